"""The same echo on FastMCP, for a Python that has it. Run as a file: `fast.py stdio|http [TOOLS]`; over HTTP it says its port."""

from __future__ import annotations

import importlib
import socket
import sys
from typing import Any


def build(count: int) -> Any:
    app = importlib.import_module("fastmcp").FastMCP("fast")
    for name in ["echo", *(f"echo_{n:05d}" for n in range(1, count))]:

        async def echo(text: str, times: int = 1) -> dict[str, str]:
            """Give the text back, repeated as often as asked."""
            return {"text": text * times}

        echo.__name__ = name
        app.tool(echo)
    return app


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


if __name__ == "__main__":
    fast = build(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    if sys.argv[1] == "http":
        chosen = free_port()
        sys.stdout.write(f"http://127.0.0.1:{chosen}\n")
        sys.stdout.flush()
        fast.run(transport="http", host="127.0.0.1", port=chosen, show_banner=False, log_level="ERROR")
    else:
        fast.run(transport="stdio", show_banner=False, log_level="ERROR")
