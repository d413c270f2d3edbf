"""What a client may do to its connection: wrong messages, wrong headers, too much, half a connection, no reading.

Real servers, raw bytes. Each fault is answered in the protocol's own words, and the same server answers the next good request.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from daemon_kit import PATIENCE_S, Peer, until
from faults_kit import Host, owner_of, query, repertoire, stored_home
from transports import http_server

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
    """One home; `serve --http` owns it, and the fronts of the stdio tests come in beside."""
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
    """The next good request is answered."""
    return "count" in [tool["name"] for tool in host.answer("tools/list", **params)["result"]["tools"]]


# Messages over stdio.


@pytest.mark.parametrize("number", [None, 1.5, True, [1], {}], ids=str)
def test_a_request_with_an_id_of_another_kind_is_refused(host: Host, number: object) -> None:
    """The SDK takes such a request for a notification and says nothing."""
    host.begin()
    host.say({"jsonrpc": "2.0", "id": number, "method": "ping"})
    answer = host.receive()
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)
    assert "result" in host.answer("ping")


def test_a_cancellation_of_nothing_that_could_be_is_ignored(tmp_path: Path) -> None:
    """It must not be an ERROR with a traceback in the daemon's log."""
    host = Host(home := stored_home(tmp_path / "home"))
    try:
        host.begin()
        host.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": [1]}})
        assert "result" in host.answer("ping")
        assert "Traceback" not in (home / "logs" / "daemon.log").read_text()
    finally:
        host.close()
        repertoire(home, "stop", "--force")


@pytest.mark.parametrize("number", [0, -1, 2**70, "a", "", 'ü"\\\n', "x" * 100_000], ids=lambda n: str(n)[:10])
def test_any_legal_id_comes_back_as_it_was(host: Host, number: int | str) -> None:
    host.begin()
    host.say({"jsonrpc": "2.0", "id": number, "method": "ping"})
    assert host.receive() == {"jsonrpc": "2.0", "id": number, "result": {}}


LINES = {
    "no JSON": (b"{what", -32700, None),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":5,"method":"\xff\xfe"}', -32700, None),
    "NUL": (b"\0\0", -32700, None),
    "a note of the daemon's": (b'#{"bye":"stopped"}', -32700, None),
    "an id of 5000 digits": (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}', -32700, None),
    "deep nesting": (
        b'{"jsonrpc":"2.0","id":5,"method":"ping","params":' + b'{"a":' * 50_000 + b"}" * 50_001,
        -32700,
        None,
    ),
    "a lone surrogate": (b'{"jsonrpc":"2.0","id":5,"method":"\\ud800"}', -32600, 5),
    "a batch": (b'[{"jsonrpc":"2.0","id":5,"method":"ping"},{"jsonrpc":"2.0","id":6,"method":"ping"}]', -32600, None),
    "an empty batch": (b"[]", -32600, None),
    "a number": (b"7", -32600, None),
    "null": (b"null", -32600, None),
    "no version": (b'{"id":5,"method":"ping"}', -32600, 5),
    "another version": (b'{"jsonrpc":"1.0","id":5,"method":"ping"}', -32600, 5),
    "no method": (b'{"jsonrpc":"2.0","id":"five"}', -32600, "five"),
    "a method that is no text": (b'{"jsonrpc":"2.0","id":5,"method":5}', -32600, 5),
    "params in a list": (b'{"jsonrpc":"2.0","id":5,"method":"tools/list","params":[1]}', -32600, 5),
}


@pytest.mark.parametrize("kind", LINES)
def test_a_line_that_is_no_message_is_refused_with_its_id(host: Host, kind: str) -> None:
    line, code, number = LINES[kind]
    host.begin()
    host.write(line + b"\n")
    answer = host.receive()
    assert (answer["error"]["code"], answer["id"]) == (code, number), answer
    assert answer["error"]["message"] and len(answer["error"]["message"]) < 400
    assert lists(host)


def test_an_embedded_server_refuses_them_too_and_a_line_over_16_mib(tmp_path: Path) -> None:
    with closing(Host(home := stored_home(tmp_path / "home"), "--embedded")) as host:
        host.begin()
        for line, code, number in LINES.values():
            host.write(line + b"\n")
            answer = host.receive()
            assert (answer["error"]["code"], answer["id"]) == (code, number), answer
        for _ in range(100):
            host.write(b"x" * 1024 * 1024)
        host.write(b"\n")
        assert "16 MiB" in host.receive()["error"]["message"]
        assert lists(host) and host.call("count")["result"] == 3
        assert _peak_mb(host.process.pid) < 250
        host.stdin.close()
        assert host.process.wait(PATIENCE_S) == 0
    assert query(home, "SELECT count(*) FROM run WHERE status = 'completed'") == [(3,)]


def test_unknown_methods_are_refused_and_unknown_notifications_ignored(host: Host) -> None:
    host.begin()
    host.say({"jsonrpc": "2.0", "method": "notifications/nonsense", "params": {"x": 1}})
    host.say({"jsonrpc": "2.0", "id": 99, "result": {"nobody": "asked"}})
    host.say({"jsonrpc": "2.0", "id": 99, "error": {"code": 1, "message": "nobody asked"}})
    error = host.answer("no/such/method")["error"]
    assert error["code"] == -32601 and "no/such/method" in json.dumps(error)
    assert lists(host)


def test_an_id_in_use_twice_gets_both_answers(host: Host) -> None:
    host.begin()
    for method in ("ping", "tools/list"):
        host.say({"jsonrpc": "2.0", "id": 7, "method": method})
    answers = [host.receive() for _ in range(2)]
    assert [answer["id"] for answer in answers] == [7, 7]
    assert sorted(len(answer["result"]) > 0 for answer in answers) == [False, True]
    assert lists(host)


def test_requests_before_initialize_are_served_or_told_what_is_missing(host: Host) -> None:
    error = host.answer("tools/list")["error"]
    assert error["code"] == -32602 and error["message"]
    host.begin()
    assert lists(host)


@pytest.mark.parametrize("version", ["1999-01-01", "2099-01-01", "soon"])
def test_a_version_nobody_knows_is_answered_with_one_that_is_spoken(host: Host, version: str) -> None:
    client = {"name": "t", "version": "1"}
    answer = host.answer("initialize", protocolVersion=version, capabilities={}, clientInfo=client)
    assert answer["result"]["protocolVersion"].startswith("2025-")
    assert lists(host)


@pytest.mark.parametrize(
    ("meta", "code", "word"),
    [
        ({}, -32602, VERSION),
        ({VERSION: "2026-07-28"}, -32602, CAPABILITIES),
        ({CAPABILITIES: {}}, -32602, VERSION),
        ({VERSION: "2026-07-28", CAPABILITIES: 5}, -32602, ""),
        ({VERSION: "2099-01-01", CAPABILITIES: {}}, -32022, "2026-07-28"),
    ],
)
def test_a_wrong_meta_is_refused_with_what_is_missing(host: Host, meta: Any, code: int, word: str) -> None:
    assert lists(host, _meta=META)
    error = host.answer("tools/list", _meta=meta)["error"]
    assert error["code"] == code and word in json.dumps(error), error
    assert lists(host, _meta=META)


def test_the_other_era_is_refused_on_a_connection_that_has_begun_in_one(host: Host) -> None:
    assert lists(host, _meta=META)
    error = host.answer("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={})["error"]
    assert error["code"] == -32022 and error["data"]["supported"] == ["2026-07-28"]
    assert lists(host, _meta=META)


def test_a_line_of_a_hundred_megabytes_is_dropped_in_little_memory(host: Host) -> None:
    host.begin()
    for _ in range(100):
        host.write(b"x" * 1024 * 1024)
    assert "16 MiB" in host.receive()["error"]["message"]
    host.write(b"\n")
    assert lists(host)
    assert _peak_mb(host.process.pid) < 100


def test_a_line_without_an_end_is_refused_and_a_new_front_is_served(host: Host, home: Path) -> None:
    host.begin()
    for _ in range(20):
        host.write(b"{" * 1024 * 1024)
    error = host.receive()["error"]
    assert error["code"] == -32600 and "16 MiB" in error["message"]
    host.stdin.close()
    assert host.process.wait(PATIENCE_S) == 0 and host.receive() is None
    with closing(Host(home)) as other:
        assert lists(other.begin())


def _peak_mb(pid: int) -> float:
    """The most memory that a process has had; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except FileNotFoundError:
        return 0.0


# Messages over HTTP.

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODERN = {**ACCEPT, "MCP-Protocol-Version": "2026-07-28"}


def _modern(url: str, method: str = "tools/list", meta: Any = META, headers: Any = None, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    name = {"Mcp-Name": params["name"]} if "name" in params else {}
    sent = {**MODERN, "Mcp-Method": method, **name, **(headers or {})}
    sent = {key: value for key, value in sent.items() if value is not None}
    return httpx2.post(f"{url}/mcp", json=body, headers=sent, timeout=PATIENCE_S)


@pytest.fixture
def well(url: str) -> Iterator[None]:
    """After each fault the server lists its tools, and runs them with the state that was there."""
    yield
    assert "count" in _modern(url).text
    answer = _modern(url, "tools/call", name="count", arguments={"session_id": "new"}).json()
    assert answer["result"]["structuredContent"]["result"] == 1


@pytest.fixture(scope="module")
def legacy(url: str) -> dict[str, str]:
    """The headers of an initialised legacy session."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    answer = httpx2.post(f"{url}/mcp", json=body, headers=ACCEPT)
    return {**ACCEPT, "Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}


BODIES = {
    "no JSON": (b"{what", -32700),
    "nothing": (b"", -32700),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":5,"method":"\xff\xfe"}', -32700),
    "a lone surrogate": (b'{"jsonrpc":"2.0","id":5,"method":"\\ud800"}', -32700),
    "a byte order mark": (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":5,"method":"ping"}', -32700),
    "deep nesting": (b'{"jsonrpc":"2.0","id":5,"method":"ping","params":' + b'{"a":' * 50_000 + b"1", -32700),
    "an id of 5000 digits": (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}', -32700),
    "a batch": (b'[{"jsonrpc":"2.0","id":5,"method":"ping"}]', -32602),
    "a number": (b"7", -32602),
    "another version": (b'{"jsonrpc":"1.0","id":5,"method":"ping"}', -32602),
    "no method": (b'{"jsonrpc":"2.0","id":5}', -32602),
    "a method that is no text": (b'{"jsonrpc":"2.0","id":5,"method":5}', -32602),
    "params in a list": (b'{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}', -32602),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_no_message_is_refused(url: str, well: None, legacy: dict[str, str], kind: str) -> None:
    body, code = BODIES[kind]
    for headers in (legacy, MODERN):
        answer = httpx2.post(f"{url}/mcp", content=body, headers=headers)
        error = answer.json()["error"]
        assert answer.status_code == 400 and error["message"], answer.text
        assert error["code"] == code or headers is MODERN, answer.text  # there the headers may be found wrong first


@pytest.mark.parametrize(
    ("headers", "status", "word"),
    [
        ({"Mcp-Session-Id": None}, 400, "Missing session ID"),
        ({"Mcp-Session-Id": "0" * 32}, 404, "Session not found"),
        ({"Accept": "text/html"}, 406, "Not Acceptable"),
        ({"Content-Type": "text/plain"}, 400, "Content-Type"),
        ({"MCP-Protocol-Version": "1999-01-01"}, 400, "protocolVersion"),
    ],
)
def test_wrong_headers_of_a_legacy_client_are_named(
    url: str, well: None, legacy: dict[str, str], headers: dict[str, str | None], status: int, word: str
) -> None:
    sent = {key: value for key, value in {**legacy, **headers}.items() if value is not None}
    answer = httpx2.post(f"{url}/mcp", content=b'{"jsonrpc":"2.0","id":1,"method":"ping"}', headers=sent)
    assert (answer.status_code, word in answer.text) == (status, True), answer.text
    good = httpx2.post(f"{url}/mcp", content=b'{"jsonrpc":"2.0","id":1,"method":"ping"}', headers=legacy)
    assert good.status_code == 200, "its session is still there"


@pytest.mark.parametrize(
    ("headers", "meta", "code", "word"),
    [
        ({}, None, -32602, VERSION),
        ({}, {}, -32602, VERSION),
        ({}, {VERSION: "2026-07-28"}, -32602, CAPABILITIES),
        ({}, {**META, VERSION: "2025-11-25"}, -32020, "protocol-version"),
        ({"MCP-Protocol-Version": "2099-01-01"}, {**META, VERSION: "2099-01-01"}, -32022, "2026-07-28"),
        ({"MCP-Protocol-Version": None}, META, -32600, "session"),
        ({"Mcp-Method": "tools/call"}, META, -32020, "mcp-method"),
        ({"Mcp-Method": None}, META, -32020, "mcp-method"),
    ],
)
def test_wrong_headers_and_meta_of_a_stateless_client_are_named(
    url: str, well: None, headers: dict[str, str | None], meta: Any, code: int, word: str
) -> None:
    answer = _modern(url, meta=meta, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == code, answer.text
    assert word in answer.text


@pytest.mark.parametrize("name", [None, "other"])
def test_a_call_whose_header_names_another_tool_is_not_run(url: str, well: None, home: Path, name: str | None) -> None:
    before = query(home, "SELECT count(*) FROM run")
    answer = _modern(url, "tools/call", name="count", headers={"Mcp-Name": name})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == -32020 and "mcp-name" in answer.text
    assert query(home, "SELECT count(*) FROM run") == before


def test_as_long_arguments_pass_over_http_as_over_stdio(url: str, well: None, host: Host) -> None:
    arguments = {"text": "x" * 7_000_000}
    assert host.begin().call("size", **arguments)["result"] == 7_000_000
    answer = _modern(url, "tools/call", name="size", arguments=arguments).json()
    assert answer["result"]["structuredContent"]["result"] == 7_000_000
    refused = _modern(url, "tools/call", name="size", arguments={"text": "x" * 9_000_000}).json()["result"]
    assert refused["isError"] and refused["structuredContent"]["error"]["code"] == "invalid_arguments"
    assert "at most 8388608" in refused["structuredContent"]["error"]["message"]


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=" + "0" * 32])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(url: str, well: None, home: Path, path: str, chunked: bool) -> None:
    part = b"x" * 1024 * 1024
    before = _peak_mb(owner_of(home))
    answer = httpx2.post(f"{url}{path}", content=(part for _ in range(100)) if chunked else part * 100, headers=ACCEPT)
    assert answer.status_code == 413 and "too large" in answer.text
    assert _peak_mb(owner_of(home)) < before + 50


def test_an_sse_message_to_nobody_and_one_that_is_none_are_refused(url: str, well: None) -> None:
    good = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert httpx2.post(f"{url}/messages/?session_id={'0' * 32}", content=good, headers=ACCEPT).status_code == 404
    for query_string in ("", "?session_id=nonsense"):
        assert httpx2.post(f"{url}/messages/{query_string}", content=good, headers=ACCEPT).status_code == 400
    with Events(url) as stream:
        answer = httpx2.post(f"{url}{stream.endpoint}", content=b"{what", headers=ACCEPT)
        assert answer.status_code == 400 and answer.text
        assert httpx2.post(f"{url}{stream.endpoint}", content=good, headers=ACCEPT).status_code == 202


# Connections.


class Raw:
    """A TCP connection that says what it likes."""

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
        """Gone without a good-bye."""
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


def test_connections_that_break_off_in_the_middle_hold_up_nobody(url: str, well: None) -> None:
    begun: list[Raw] = []
    for said in (
        b"",
        b"POST /mcp HTTP/1.1\r\nHost: loc",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        for end in (Raw.reset, lambda raw: raw.socket.shutdown(socket.SHUT_WR), lambda raw: None):
            raw = Raw(url)
            raw.socket.sendall(said)
            end(raw)
            begun.append(raw)
    assert "count" in _modern(url).text
    for raw in begun:
        raw.socket.close()


def test_a_half_closed_socket_of_the_daemon_lets_its_run_go_on(home: Path, url: str, tmp_path: Path) -> None:
    peer = Peer(str(home), {"mode": "mcp", "version": "0.1.0"})
    peer.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
               "params": {"name": "noisy", "arguments": {"events": 200}, "_meta": META}})  # fmt: skip
    assert b"workflow:noisy" in (peer.lines.line() or b"")
    run_id = _latest(home, "noisy")
    peer.socket.shutdown(socket.SHUT_WR)
    until(lambda: _status(home, run_id) == "completed")
    while peer.lines.line() is not None:
        pass  # what was on its way; then the end
    peer.close()
    assert _modern(url, "tools/call", name="get_run", arguments={"run_id": run_id}).status_code == 200


def _latest(home: Path, workflow: str) -> str:
    statement = "SELECT id FROM run WHERE workflow = ? ORDER BY created_at DESC, id DESC LIMIT 1"
    run_id: str = until(lambda: query(home, statement, workflow))[0][0]
    return run_id


def _status(home: Path, run_id: str) -> str:
    status: str = query(home, "SELECT status FROM run WHERE id = ?", run_id)[0][0]
    return status


# Clients that stop reading.


def test_a_host_that_stops_reading_is_not_kept_in_memory_and_gets_everything_later(home: Path, host: Host) -> None:
    host.begin()
    call = {"name": "noisy", "arguments": {"events": 5000}, "_meta": {"progressToken": 1}}
    host.say({"jsonrpc": "2.0", "id": "deaf", "method": "tools/call", "params": call})
    run_id = _latest(home, "noisy")
    before = _peak_mb(owner_of(home))
    listing = {"jsonrpc": "2.0", "id": "again", "method": "tools/list", "params": {"_meta": {"padding": "x" * 9900}}}
    asked = _write_until_full(host.stdin.fileno(), json.dumps(listing).encode() + b"\n")
    with closing(Host(home)) as other:
        assert other.begin().call("get_run", run_id=run_id, wait_s=20)["status"] == "completed"
        assert lists(other)
    assert asked > 100 and _peak_mb(owner_of(home)) < before + 100
    answered = 0
    while answered < asked:
        message = host.receive()
        answered += message.get("id") == "again"
        if message.get("id") == "deaf":
            assert message["result"]["structuredContent"]["result"] == 5000


def _write_until_full(fd: int, line: bytes) -> int:
    """Write one line again and again until nobody has taken any of it for a while; how many, the last one whole."""
    written = 0
    os.set_blocking(fd, False)
    while select.select([], [fd], [], 0.5)[1]:
        written += os.write(fd, line[written % len(line) :][:4096])
    os.set_blocking(fd, True)
    if rest := line[written % len(line) :]:
        threading.Thread(target=os.write, args=(fd, rest), daemon=True).start()  # it goes when there is room again
    return -(-written // len(line))


@pytest.mark.parametrize("door", ["/mcp", "/sse"])
def test_an_http_client_that_stops_reading_holds_up_nobody_and_its_run_is_recorded(
    url: str, well: None, home: Path, door: str
) -> None:
    before = _peak_mb(owner_of(home))
    params = {"name": "noisy", "arguments": {"events": 300, "size": 20_000}}
    if door == "/mcp":
        body = {"params": {**params, "_meta": {**META, "progressToken": 1}}}
        path, headers = "/mcp", {**MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "noisy"}
    with Events(url) as stream, Raw(url) as raw:
        if door == "/sse":
            body, headers = {"params": {**params, "_meta": {"progressToken": 1}}}, ACCEPT
            path = stream.endpoint
            for first in (
                {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {},
                                                            "clientInfo": {"name": "t", "version": "1"}}},
                {"method": "notifications/initialized"},
            ):  # fmt: skip
                assert httpx2.post(f"{url}{path}", json={"jsonrpc": "2.0", **first}, headers=ACCEPT).status_code == 202
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", **body}
        known = query(home, "SELECT count(*) FROM run WHERE workflow = 'noisy'")
        raw.post(path, json.dumps(message).encode(), **{key.replace("-", "_"): value for key, value in headers.items()})
        until(lambda: query(home, "SELECT count(*) FROM run WHERE workflow = 'noisy'") != known)
        run_id = _latest(home, "noisy")
        until(lambda: _status(home, run_id) == "completed")
        assert "count" in _modern(url).text
        assert repertoire(home, "run", "count", "--session", "deaf").returncode == 0
        assert _peak_mb(owner_of(home)) < before + 100
