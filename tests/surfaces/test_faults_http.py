"""What a client may send over HTTP: bodies that are no messages, wrong headers, too much.

A real server, raw bytes. Each fault is answered in the protocol's own words, and the same server answers the next good request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import wrong_clients
from support.faults import Host, owner_of, query
from support.wrong_clients import ACCEPT, CAPABILITIES, META, MODERN, VERSION, Events, modern, peak_mb

home, url, host, well = wrong_clients.home, wrong_clients.url, wrong_clients.host, wrong_clients.well


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
    answer = modern(url, meta=meta, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == code, answer.text
    assert word in answer.text


@pytest.mark.parametrize("name", [None, "other"])
def test_a_call_whose_header_names_another_tool_is_not_run(url: str, well: None, home: Path, name: str | None) -> None:
    before = query(home, "SELECT count(*) FROM run")
    answer = modern(url, "tools/call", name="count", headers={"Mcp-Name": name})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == -32020 and "mcp-name" in answer.text
    assert query(home, "SELECT count(*) FROM run") == before


def test_as_long_arguments_pass_over_http_as_over_stdio(url: str, well: None, host: Host) -> None:
    arguments = {"text": "x" * 7_000_000}
    assert host.begin().call("size", **arguments)["result"] == 7_000_000
    answer = modern(url, "tools/call", name="size", arguments=arguments).json()
    assert answer["result"]["structuredContent"]["result"] == 7_000_000
    refused = modern(url, "tools/call", name="size", arguments={"text": "x" * 9_000_000}).json()["result"]
    assert refused["isError"] and refused["structuredContent"]["error"]["code"] == "invalid_arguments"
    assert "at most 8388608" in refused["structuredContent"]["error"]["message"]


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=" + "0" * 32])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(url: str, well: None, home: Path, path: str, chunked: bool) -> None:
    part = b"x" * 1024 * 1024
    before = peak_mb(owner_of(home))
    answer = httpx2.post(f"{url}{path}", content=(part for _ in range(100)) if chunked else part * 100, headers=ACCEPT)
    assert answer.status_code == 413 and "too large" in answer.text
    assert peak_mb(owner_of(home)) < before + 50


def test_an_sse_message_to_nobody_and_one_that_is_none_are_refused(url: str, well: None) -> None:
    good = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert httpx2.post(f"{url}/messages/?session_id={'0' * 32}", content=good, headers=ACCEPT).status_code == 404
    for query_string in ("", "?session_id=nonsense"):
        assert httpx2.post(f"{url}/messages/{query_string}", content=good, headers=ACCEPT).status_code == 400
    with Events(url) as stream:
        answer = httpx2.post(f"{url}{stream.endpoint}", content=b"{what", headers=ACCEPT)
        assert answer.status_code == 400 and answer.text
        assert httpx2.post(f"{url}{stream.endpoint}", content=good, headers=ACCEPT).status_code == 202
