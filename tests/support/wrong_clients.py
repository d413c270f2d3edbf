"""Wrong clients: one home with its servers, hand-made requests, raw connections; used by tests of bad input.

A test file takes the fixtures with `home, url = wrong_clients.home, wrong_clients.url`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.daemons import PATIENCE_S
from support.faults import Host, query, stored_home
from support.transports import http_server

NOISY = '''"""Report much, in many events."""

def run(events: int, size: int = 1) -> int:
    for i in range(events):
        print("x" * size)
        progress(i + 1, events, "at it")
    return events
'''

PREFIX = "io.modelcontextprotocol/"
VERSION, CAPABILITIES = f"{PREFIX}protocolVersion", f"{PREFIX}clientCapabilities"
META = {VERSION: "2026-07-28", CAPABILITIES: {}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home. `serve --http` owns it, and the fronts of the stdio tests connect to it."""
    home = stored_home(tmp_path_factory.mktemp("wire") / "home")
    (home / "workflows" / "noisy.py").write_text(NOISY)
    (home / "workflows" / "size.py").write_text('"""Measure."""\n\ndef run(text: str) -> int:\n    return len(text)\n')
    yield home
    assert query(home, "SELECT count(*) FROM run WHERE status NOT IN ('completed', 'failed', 'cancelled')") == [(0,)]
    assert query(home, "SELECT count(*) FROM run WHERE workflow = 'count' AND status = 'completed'")[0][0] >= 2


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with http_server(home, {}) as found:
        yield found


@pytest.fixture
def host(home: Path, url: str) -> Iterator[Host]:
    it = Host(home)
    yield it
    it.close()


def lists(host: Host, **params: Any) -> bool:
    """Check that the next good request is answered."""
    return "count" in [tool["name"] for tool in host.answer("tools/list", **params)["result"]["tools"]]


def peak_mb(pid: int) -> float:
    """The peak memory of a process; 0 if the system does not report it."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except FileNotFoundError:
        return 0.0


ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


MODERN = {**ACCEPT, "MCP-Protocol-Version": "2026-07-28"}


def modern(url: str, method: str = "tools/list", meta: Any = META, headers: Any = None, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    name = {"Mcp-Name": params["name"]} if "name" in params else {}
    sent = {**MODERN, "Mcp-Method": method, **name, **(headers or {})}
    sent = {key: value for key, value in sent.items() if value is not None}
    return httpx2.post(f"{url}/mcp", json=body, headers=sent, timeout=PATIENCE_S)


@pytest.fixture
def well(url: str) -> Iterator[None]:
    """After each fault: check that the server lists its tools and runs them with the stored state."""
    yield
    assert "count" in modern(url).text
    answer = modern(url, "tools/call", name="count", arguments={"session_id": "new"}).json()
    assert answer["result"]["structuredContent"]["result"] == 1


class Raw:
    """A TCP connection that sends any bytes."""

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition("/")[2].partition(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def post(self, path: str, body: bytes, **headers: str) -> None:
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """Close the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Events(Raw):
    """A legacy SSE stream that is open and not read beyond its first event."""

    def __enter__(self) -> Events:
        self.socket.sendall(b"GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        said = b""
        while b"/messages/" not in said or not said.endswith(b"\r\n\r\n"):
            said += self.socket.recv(4096)
        self.endpoint = said.partition(b"data: ")[2].split()[0].decode()
        return self
