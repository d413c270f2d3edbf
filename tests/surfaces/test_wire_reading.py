"""Messages as clients write them: what is harmless is read at every door, anything else is refused with a sentence; browsers too."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from repertoire.surfaces.json_rpc import Unreadable, read
from support import wrong_clients
from support.faults import Host
from support.wrong_clients import ACCEPT, MODERN

home, url, host = wrong_clients.home, wrong_clients.url, wrong_clients.host

BOM = b"\xef\xbb\xbf"


def call_of(tool: str, arguments: str, number: str = "7", **params: str) -> bytes:
    more = "".join(f', "{name}": {value}' for name, value in params.items())
    text = f'{{"jsonrpc": "2.0", "id": {number}, "method": "tools/call", "params": {{"name": "{tool}", "arguments": {arguments}{more}}}}}'
    return text.encode()


def answered(host: Host) -> Any:
    """The next message that is no notification."""
    while "method" in (said := host.receive()):
        pass
    return said


ODD: dict[str, tuple[bytes, int]] = {
    "a byte order mark": (BOM + call_of("size", '{"text": "abc"}'), 3),
    "U+2028 in a text": (call_of("size", '{"text": "a\u2028b"}'), 3),
    "half an emoji": (call_of("size", '{"text": "a\\ud83c"}'), 2),
    "both halves": (call_of("size", '{"text": "\\ud83c\\udf89"}'), 1),
    "a list for no arguments": (call_of("count", "[]"), 1),
    "null for no arguments": (call_of("count", "null"), 1),
    "arguments as text": (call_of("size", json.dumps('{"text": "abcd"}')), 4),
    "a progress token of 1.5": (call_of("size", '{"text": "abc"}', _meta='{"progressToken": 1.5}'), 3),
    "a progress token of 2.0": (call_of("size", '{"text": "abc"}', _meta='{"progressToken": 2.0}'), 3),
    "an empty list for _meta": (call_of("size", '{"text": "abc"}', _meta="[]"), 3),
    "an id of 7.0": (call_of("size", '{"text": "abc"}', number="7.0"), 3),
}


@pytest.mark.parametrize("kind", list(ODD))
def test_m14_what_is_harmless_is_read_at_stdin(host: Host, kind: str) -> None:
    line, result = ODD[kind]
    host.begin().write(line + b"\n")
    got = answered(host)["result"]["structuredContent"]
    assert got["status"] == "completed", got
    assert got["result"] == result or "count" in line.decode("utf-8-sig")


@pytest.mark.parametrize("kind", list(ODD))
def test_m14_what_is_harmless_is_read_over_http(url: str, kind: str) -> None:
    line, result = ODD[kind]
    opening = httpx2.post(f"{url}/mcp", content=INITIALIZE, headers=ACCEPT)
    headers = {**ACCEPT, "Mcp-Session-Id": opening.headers["mcp-session-id"]}
    httpx2.post(f"{url}/mcp", content=b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', headers=headers)
    text = httpx2.post(f"{url}/mcp", content=line, headers=headers, timeout=30).text
    said = [json.loads(one.removeprefix("data: ")) for one in text.splitlines() if one.startswith("data: {")]
    (answer,) = [one for one in said if "result" in one] or [json.loads(text)]
    got = answer["result"]["structuredContent"]
    assert got["status"] == "completed" and (got["result"] == result or kind.endswith("no arguments")), got


INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
).encode()  # fmt: skip

REFUSED: dict[str, tuple[bytes, str]] = {
    "a list of arguments": (call_of("size", "[1]"), "must be an object with the tool's parameters"),
    "a number for arguments": (call_of("size", "5"), "must be an object"),
    "Latin-1": (call_of("size", '{"text": "caf\u00e9"}').replace("\u00e9".encode(), b"\xe9"), "not UTF-8: byte 0xe9"),
    "a long integer": (call_of("size", '{"text": ' + "9" * 5000 + "}"), "more than 4,300 digits"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_m14_what_means_nothing_is_refused_with_a_sentence(host: Host, url: str, kind: str) -> None:
    line, words = REFUSED[kind]
    host.begin().write(line + b"\n")
    assert words in answered(host)["error"]["message"]
    answer = httpx2.post(f"{url}/mcp", content=line, headers={**MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "size"})
    assert answer.status_code == 400 and words in answer.json()["error"]["message"]


# Case M14
def test_a_message_says_its_number_where_it_can_be_read() -> None:
    with pytest.raises(Unreadable) as refused:
        read(call_of("size", "[1]"))
    assert refused.value.answer()["id"] == 7


# Case M14
def test_a_source_with_a_byte_order_mark_is_created_and_an_invisible_character_is_named(host: Host) -> None:
    host.begin()
    source = '"""Say it."""\n\ndef run() -> str:\n    return "a\u2028b"\n'
    answer = create(host, "marked", "\ufeff" + source)
    assert answer["status"] == "published", answer
    answer = create(host, "invisible", source.replace("\n\ndef", "\n\u2028\ndef"))
    assert "U+2028" in answer["error"]["message"] and "invisible character" in answer["error"]["hint"]


def create(host: Host, name: str, source: str) -> Any:
    arguments = {"name": name, "source": source, "replace": True}
    host.ask("tools/call", name="create_workflow", arguments=arguments)
    return answered(host)["result"]["structuredContent"]


INSPECTOR = "http://localhost:6274"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("origin", [INSPECTOR, "http://127.0.0.1:3000", "https://localhost:8443"])
def test_m15_a_browser_asks_first_and_then_reads_the_answer(url: str, path: str, origin: str) -> None:
    asked = {
        "Origin": origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, mcp-protocol-version, mcp-session-id, x-own",
    }  # fmt: skip
    preflight = httpx2.options(f"{url}{path}", headers=asked)
    assert preflight.status_code == 200 and preflight.headers["access-control-allow-origin"] == origin
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"].lower()
    answer = httpx2.post(f"{url}{path}", content=INITIALIZE, headers={**ACCEPT, "Origin": origin})
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == origin
    assert "mcp-session-id" in answer.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost.evil.example:6274", "null"])
def test_m15_a_foreign_page_is_not_let_in(url: str, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = httpx2.options(f"{url}/mcp", headers=asked)
    assert preflight.status_code == 400 and "access-control-allow-origin" not in preflight.headers
    answer = httpx2.post(f"{url}/mcp/", content=INITIALIZE, headers={**ACCEPT, "Origin": origin})
    assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
