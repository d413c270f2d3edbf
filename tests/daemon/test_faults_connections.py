"""What a client may do to its connection: break it off, close half of it, not read it.

Real servers, real sockets. Each time the same server answers the next good request.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from support import wrong_clients
from support.daemons import Peer, until
from support.faults import Host, owner_of, query, repertoire
from support.wrong_clients import ACCEPT, META, MODERN, Events, Raw, lists, modern, peak_mb

home, url, host, well = wrong_clients.home, wrong_clients.url, wrong_clients.host, wrong_clients.well


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
    assert "count" in modern(url).text
    for raw in begun:
        raw.socket.close()


def test_a_half_closed_socket_of_the_daemon_lets_its_run_go_on(home: Path, url: str, tmp_path: Path) -> None:
    peer = Peer(str(home), {"mode": "mcp", "version": "0.1.0"})
    peer.send({})  # of its environment there is nothing to tell
    peer.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
               "params": {"name": "noisy", "arguments": {"events": 200}, "_meta": META}})  # fmt: skip
    assert b"workflow:noisy" in (peer.lines.line() or b"")
    run_id = _latest(home, "noisy")
    peer.socket.shutdown(socket.SHUT_WR)
    until(lambda: _status(home, run_id) == "completed")
    while peer.lines.line() is not None:
        pass  # what was on its way; then the end
    peer.close()
    assert modern(url, "tools/call", name="get_run", arguments={"run_id": run_id}).status_code == 200


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
    before = peak_mb(owner_of(home))
    listing = {"jsonrpc": "2.0", "id": "again", "method": "tools/list", "params": {"_meta": {"padding": "x" * 9900}}}
    asked = _write_until_full(host.stdin.fileno(), json.dumps(listing).encode() + b"\n")
    with closing(Host(home)) as other:
        assert other.begin().call("get_run", run_id=run_id, wait_s=20)["status"] == "completed"
        assert lists(other)
    assert asked > 100 and peak_mb(owner_of(home)) < before + 100
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
    before = peak_mb(owner_of(home))
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
        assert "count" in modern(url).text
        assert repertoire(home, "run", "count", "--session", "deaf").returncode == 0
        assert peak_mb(owner_of(home)) < before + 100
