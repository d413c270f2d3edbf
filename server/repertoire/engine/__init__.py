"""Runs it: worker processes and the runner. Knows nothing of MCP, HTTP, argv or how workflows are found."""
