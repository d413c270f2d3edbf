"""Surfaces: MCP, HTTP and the control socket. Each translates a protocol into calls of the service, and the answers back.

control.py serves the command line, http.py HTTP, mcp/ the MCP protocol over any transport. json_rpc.py and request_bodies.py repair
odd messages, shutdown.py answers open calls when the server ends. No rules of the product here: these are in service/.
"""
