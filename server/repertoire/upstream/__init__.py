"""Upstream: sources of tools that a workflow body can call: MCP servers, commands, HTTP, Python functions.

Used by `service`, which decides who may call a tool, and by `app`, which opens the sources. A source knows nothing of runs, sessions and
records: it lists tools and calls one. tool.py has the contract of a source.
"""
