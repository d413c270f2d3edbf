"""Raw upstream: an MCP server in plain Python that does what servers must not do; run as a script over stdio. It starts in a moment.

Words of the command line: `log=FILE` notes each start, `exit` ends at once, `slow=SECONDS` starts late, `rubbish` writes other lines too,
`strict` ends when the first message is not `initialize`, `silent` never answers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

NAMES = ("pid", "die", "hang", "flood", "late_id", "echo")


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(number: int, name: str, given: dict[str, Any], token: str) -> None:
    text = str(os.getpid())
    if name == "die":
        os._exit(3)
    elif name == "hang":
        time.sleep(600)
    elif name == "flood":
        for step in range(given["times"]):
            progress = {"progressToken": token, "progress": step + 1, "total": given["times"], "message": "x" * 100}
            sys.stdout.write(
                json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}) + "\n"
            )
    elif name == "late_id":
        result = {"content": [{"type": "text", "text": "x" * given["size"]}]}
        sys.stdout.write(json.dumps({"result": result, "jsonrpc": "2.0", "id": number}) + "\n")
        sys.stdout.flush()
        return
    elif name == "echo":
        text = json.dumps(given)
    send({"id": number, "result": {"content": [{"type": "text", "text": text}]}})


def answer(message: dict[str, Any]) -> None:
    number, params = message.get("id"), message.get("params") or {}
    if number is None:
        return
    match message["method"]:
        case "initialize":
            server = {"name": "raw", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
            send({"id": number, "result": result})
        case "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
            send({"id": number, "result": {"tools": [*tools, tools[0]]}})
        case "tools/call":
            call(number, params["name"], params.get("arguments") or {}, params.get("_meta", {}).get("progressToken"))
        case method:
            send({"id": number, "error": {"code": -32601, "message": f"no {method}"}})


def main(words: dict[str, str]) -> None:
    if "log" in words:
        with open(words["log"], "a") as log:
            log.write(f"{os.getpid()}\n")
    if "exit" in words:
        print("bad key: sk-very-secret", file=sys.stderr)
        sys.exit(7)
    time.sleep(float(words.get("slow", 0)))
    is_first = True
    for line in sys.stdin:
        if "rubbish" in words:
            print("Listening on stdio ...\n\n{}\n\x00\xff[1]")
        message = json.loads(line)
        if "strict" in words and is_first and message["method"] != "initialize":
            sys.exit(1)
        is_first = False
        if "silent" not in words:
            answer(message)


if __name__ == "__main__":
    main(dict(word.partition("=")[::2] for word in sys.argv[1:]))
