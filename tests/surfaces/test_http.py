"""The HTTP door's own promises: who may come in, from where, and what is bound."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from repertoire.errors import BadSettings
from repertoire.surfaces.http import parse_address
from support.transports import http_server

INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with http_server(tmp_path_factory.mktemp("http") / "home", {}) as found:
        yield found


def test_healthz_answers_when_it_is_ready(url: str) -> None:
    answer = httpx2.get(f"{url}/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize(
    ("header", "value", "status"), [("Host", "evil.example", 421), ("Origin", "http://evil.example", 403)]
)
@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
def test_foreign_hosts_and_origins_are_turned_away(url: str, path: str, header: str, value: str, status: int) -> None:
    answer = httpx2.post(f"{url}{path}", json=INITIALIZE, headers={**ACCEPT, header: value})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("header", "value", "status"), [("Host", "evil.example", 421), ("Origin", "http://evil.example", 403)]
)
def test_sse_turns_them_away_too(url: str, header: str, value: str, status: int) -> None:
    assert httpx2.get(f"{url}/sse", headers={header: value}).status_code == status


def test_the_right_host_is_let_in(url: str) -> None:
    answer = httpx2.post(f"{url}/mcp", json=INITIALIZE, headers={**ACCEPT, "Origin": url})
    assert answer.status_code == 200 and "repertoire" in answer.text and '"listChanged":true' in answer.text


def test_what_is_no_message_is_refused_and_the_server_stays_up(url: str) -> None:
    for body in (b"", b"{", b"[]", b'{"jsonrpc": "2.0"}', b"\xff\xfe"):
        answer = httpx2.post(f"{url}/mcp", content=body, headers={**ACCEPT, "Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, body
    assert httpx2.get(f"{url}/healthz").status_code == 200


@pytest.mark.parametrize("address", ["0.0.0.0:80", "192.168.1.5:80", "[::]:80", "example.com:80"])
def test_other_machines_cannot_be_served_without_authentication(address: str) -> None:
    with pytest.raises(BadSettings, match="no authentication"):
        parse_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ""])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(BadSettings, match="HOST:PORT"):
        parse_address(address)


def test_addresses_are_read() -> None:
    assert parse_address(":8080") == ("127.0.0.1", 8080)
    assert parse_address("[::1]:0") == ("::1", 0)
    assert parse_address("localhost:1") == ("localhost", 1)


def test_a_home_that_is_owned_can_be_taken_over(url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with http_server(home, {}) as first:
        command = [
            sys.executable,
            "-P",
            "-m",
            "repertoire",
            "serve",
            "--http",
            "127.0.0.1:0",
            "--home",
            str(home),
        ]
        taken = subprocess.run([*command[:-2], "--http", first.rpartition("/")[2], "--home", str(tmp_path / "other")],
                               capture_output=True, text=True, timeout=30)  # fmt: skip
        assert taken.returncode == 1 and "cannot listen" in taken.stderr
        second = subprocess.Popen([*command, "--takeover"], stderr=subprocess.PIPE, text=True)
        try:
            assert second.stderr is not None
            assert any("Repertoire serves" in line for line in second.stderr)
        finally:
            second.terminate()
            second.wait(20)
            second.stderr.close() if second.stderr else None
