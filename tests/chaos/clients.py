"""Clients of a home: fronts over stdio, a connection over HTTP, the command line. Each call gives a Reply; nothing here judges it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from .processes import start

PATIENCE_S: Final = 120.0
"""For one answer. The daemon answers after `inline_deadline_s`; the rest is for a machine that is slow."""
_COMMAND: Final = [sys.executable, "-P", "-m", "repertoire"]
_PROTOCOL: Final = "2026-07-28"


class Reply(NamedTuple):
    """What a client was told. `payload` is the structured answer of a tool; `lost`: no answer came, and why."""

    payload: dict[str, Any] | None = None
    is_error: bool = False
    code: int | None = None
    message: str = ""
    run_id: str | None = None
    lost: str = ""


class Client(Protocol):
    name: str

    def call(self, tool: str, **arguments: Any) -> Reply: ...

    def close(self) -> None: ...


class Front:
    """An MCP host of 2025 with `repertoire serve` as its child. Several threads may call at once."""

    def __init__(self, home: Path, name: str, environ: dict[str, str]) -> None:
        self.name = name
        self._numbers = iter(range(1, 10**9))
        self._lock = threading.Lock()
        self._open: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._ended = False
        self.is_killed = False
        command = [*_COMMAND, "serve", "--home", str(home), "--session", name]
        self.process = start(command, stderr=subprocess.DEVNULL, env=environ)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        who = {"name": "chaos", "version": "1"}
        answer = self._ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": who})
        self.greeted = answer if answer is None or "error" not in answer else None
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}})

    @property
    def ended(self) -> bool:
        return self._ended

    def call(self, tool: str, **arguments: Any) -> Reply:
        try:
            return _reply(self._ask("tools/call", {"name": tool, "arguments": arguments}))
        except TimeoutError:
            return Reply(lost="no answer in time")

    def kill(self) -> None:
        self.is_killed = True
        self.process.kill()

    def close(self) -> None:
        """As a host goes: by closing its input."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
        self._reader.join(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """None: the front has ended."""
        box: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            if self._ended:
                return None
            self._open[number] = box
        self._say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            return box.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise TimeoutError from None

    def _say(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                assert self.process.stdin is not None
                self.process.stdin.write(line)
                self.process.stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended: the reader says so

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            with self._lock:
                box = self._open.pop(message.get("id"), None) if "method" not in message else None
            if box is not None:
                box.put(message)
        with self._lock:
            self._ended = True
            left, self._open = self._open, {}
        for box in left.values():
            box.put(None)


class Http:
    """A modern client over HTTP, on a connection for each call. It never hangs up early: that would cancel its run."""

    def __init__(self, address: str) -> None:
        self.name, self._address = "http", address

    def call(self, tool: str, **arguments: Any) -> Reply:
        headers, body = http_request(tool, arguments)
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/mcp", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Reply(lost=f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        return _of_http(answer.status, text)

    def close(self) -> None:
        pass


class CommandLine:
    """`repertoire`, a process for each call. It can run workflows and read runs."""

    name = "default"

    def __init__(self, home: Path, environ: dict[str, str]) -> None:
        self._home, self._environ = home, environ

    def call(self, tool: str, **arguments: Any) -> Reply:
        if tool == "run_workflow":
            words = ["run", arguments["name"], "--payload", json.dumps(arguments["arguments"])]
        elif tool == "get_run":
            words = ["show", arguments["run_id"]]
        else:
            words = ["runs"]
        command = [*_COMMAND, *words, "--json", "--home", str(self._home)]
        child = start(command, stderr=subprocess.PIPE, env=self._environ)
        try:
            said, complaint = child.communicate(timeout=2 * PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return Reply(lost="no answer in time")
        try:
            payload = json.loads(said)
        except ValueError:
            return Reply(lost=f"status {child.returncode}: {complaint[-500:].decode(errors='replace')}")
        return Reply(payload if isinstance(payload, dict) else {"runs": payload}, is_error=child.returncode != 0)

    def close(self) -> None:
        pass


def http_request(tool: str, arguments: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a call, in the protocol's stateless revision."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _PROTOCOL,
        "io.modelcontextprotocol/clientInfo": {"name": "chaos", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": _PROTOCOL, "Mcp-Method": "tools/call", "Mcp-Name": tool,
    }  # fmt: skip
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    return headers, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def _reply(answer: dict[str, Any] | None) -> Reply:
    if answer is None:
        return Reply(lost="the front has ended")
    if (error := answer.get("error")) is not None:
        data = error.get("data")
        run_id = data.get("run_id") if isinstance(data, dict) else None
        return Reply(code=error["code"], message=error["message"], run_id=run_id)
    result = answer["result"]
    return Reply(result.get("structuredContent") or {"text": result.get("content")}, bool(result.get("isError")))


def _of_http(status: int, text: bytes) -> Reply:
    if not text.startswith(b"{"):
        events = [line[6:] for line in text.splitlines() if line.startswith(b"data: ") and len(line) > 6]
        text = events[-1] if events else b""
    try:
        answer = json.loads(text)
    except ValueError:
        return Reply(lost=f"HTTP {status}: {text[:200]!r}")
    return _reply(answer)


def clean_environ(folder: Path) -> dict[str, str]:
    """Without settings of ours, and with a temporary folder in which whatever is left can be seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REPERTOIRE_")}
    return {**kept, "TMPDIR": str(folder), "NO_COLOR": "1"}
