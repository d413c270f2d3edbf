"""What a client may write to its connection: wrong messages, wrong ids, lines without an end.

Real servers, raw bytes. Each fault is answered in the protocol's own words, and the same server answers the next good request.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support import wrong_clients
from support.daemons import PATIENCE_S
from support.faults import Host, query, repertoire, stored_home
from support.wrong_clients import CAPABILITIES, META, VERSION, lists, peak_mb

home, url, host = wrong_clients.home, wrong_clients.url, wrong_clients.host


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
    "a lone surrogate": (b'{"jsonrpc":"2.0","id":5,"method":"\\ud800"}', -32601, 5),
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
        assert peak_mb(host.process.pid) < 250
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
    assert peak_mb(host.process.pid) < 100


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
