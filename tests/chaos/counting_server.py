"""Counting server: an MCP server with one tool, which writes each of its calls into the traces; run as a script over stdio.

`counter.add(name, idempotency_key)` gives the name back. Plain Python, because every daemon that is started starts it anew.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "idempotency_key": {"type": "string"}},
    "required": ["name"],
}


def mark(line: str) -> None:
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
    os.write(file, (line + "\n").encode())
    os.close(file)


def result_of(message: dict[str, Any]) -> dict[str, Any] | None:
    match message["method"]:
        case "initialize":
            server = {"name": "counting", "version": "1"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": [{"name": "add", "description": "Count a name.", "inputSchema": SCHEMA}]}
        case "tools/call":
            name, key = message["params"]["arguments"]["name"], message["params"]["arguments"]["idempotency_key"]
            mark(f"+ {name}\nkey {name} {key}")
            time.sleep(0.03)
            mark(f"= {name}")
            return {"content": [{"type": "text", "text": name}]}
    return None


for text in sys.stdin:
    asked = json.loads(text)
    if asked.get("id") is None:
        continue
    result = result_of(asked)
    answer = {"error": {"code": -32601, "message": "unknown"}} if result is None else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
