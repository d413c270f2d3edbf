"""MCP, both protocol eras, over any transport: `build_server` makes the SDK's lowlevel Server for one kind of caller."""

from .build_server import build_server

__all__ = ["build_server"]
