"""The MCP surface: both protocol revisions over any transport. `build_server` makes the SDK's lowlevel Server for one kind of caller.

tools/list is in build_server.py, fixed_tools.py and tool_listings.py, tools/call in call_tool.py, questions to people in questions.py,
the tasks extension in tasks.py. Every use of the SDK's private parts is in sdk_adapter.py.
"""

from .build_server import build_server

__all__ = ["build_server"]
