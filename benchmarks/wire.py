"""A client of raw JSON-RPC in the modern protocol, over a child's stdio or one kept HTTP connection. No SDK: its time would be ours."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any, Protocol

_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Failed(Exception):
    """The server answered with an error, or not at all. A figure must not be made of such answers."""


class Client(Protocol):
    def ask(self, method: str, **params: Any) -> dict[str, Any]: ...


def request(number: int, method: str, params: dict[str, Any], extensions: Sequence[str] = ()) -> bytes:
    """`extensions`: those of the protocol that the client declares."""
    meta = _META
    if extensions:
        meta = {
            **_META,
            "io.modelcontextprotocol/clientCapabilities": {"extensions": {name: {} for name in extensions}},
        }
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}
    return json.dumps(body).encode()


def http_headers(method: str, params: dict[str, Any]) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
    }
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    return headers


def http_answer(body: bytes) -> dict[str, Any]:
    """The answer in a JSON body, or in the last event of a stream."""
    if not body.startswith(b"{"):
        events = [line[6:] for line in body.splitlines() if line.startswith(b"data: ") and len(line) > 6]
        if not events:
            raise Failed(f"no answer in {body[:200]!r}")
        body = events[-1]
    return good(json.loads(body))


def good(answer: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = answer.get("result") or {}
    if not result or result.get("isError"):
        raise Failed(json.dumps(answer)[:500])
    return result


class StdioClient:
    """Starts the server as a host does, and ends it as a host does: by closing its input."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], *, extensions: Sequence[str] = ()) -> None:
        self._number = 0
        self._extensions = extensions
        self.bytes_read = 0
        """Of all answers together."""
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
        )

    def __enter__(self) -> StdioClient:
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self._number += 1
        self.process.stdin.write(request(self._number, method, params, self._extensions) + b"\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            answer = json.loads(line)
            if answer.get("id") == self._number:
                self.bytes_read += len(line)
                return good(answer)
        raise Failed(f"the server ended with {self.process.wait(5)}")

    def call_all(self, name: str, each: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Call a tool with each of these arguments, all at once; the structured answers in the order in which they were asked for."""
        assert self.process.stdin is not None and self.process.stdout is not None
        first = self._number + 1
        self._number += len(each)
        for number, arguments in enumerate(each, first):
            params = {"name": name, "arguments": arguments}
            self.process.stdin.write(request(number, "tools/call", params, self._extensions) + b"\n")
        self.process.stdin.flush()
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < len(each) and (line := self.process.stdout.readline()):
            answer = json.loads(line)
            if answer.get("id") in range(first, first + len(each)):
                answers[answer["id"]] = good(answer)["structuredContent"]
        if len(answers) < len(each):
            raise Failed(f"the server ended with {self.process.wait(5)}")
        return [answers[number] for number in sorted(answers)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class HttpClient:
    """One connection, kept."""

    def __init__(self, url: str) -> None:
        self._number = 0
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.request("POST", "/mcp", request(self._number, method, params), http_headers(method, params))
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise Failed(f"{answer.status} {body[:200]!r}")
        return http_answer(body)


def call(client: Client, name: str, /, **arguments: Any) -> Any:
    """Call a tool; its structured answer."""
    return client.ask("tools/call", name=name, arguments=arguments)["structuredContent"]


def list_all(client: Client) -> list[dict[str, Any]]:
    """The tools of every page of tools/list."""
    page = client.ask("tools/list")
    tools: list[dict[str, Any]] = page["tools"]
    while cursor := page.get("nextCursor"):
        page = client.ask("tools/list", cursor=cursor)
        tools += page["tools"]
    return tools


def call_times(client: Client, name: str, count: int, /, **arguments: Any) -> list[float]:
    """Seconds of each of `count` calls, one after the other."""
    arguments = arguments or {"text": "hi"}
    times = []
    for _ in range(count):
        began = time.perf_counter()
        client.ask("tools/call", name=name, arguments=arguments)
        times.append(time.perf_counter() - began)
    return times
