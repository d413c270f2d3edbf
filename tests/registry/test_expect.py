"""What a result is held against: kinds of match, expectations that are none, that are large, evil, or never end.

In a real home with real workers.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from repertoire.errors import Refused
from support.publishing import DOUBLE, ME, OFF, refused
from support.services import opened

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("example", "why"),
    [
        ({"expect": {"a": 1, "b": [1, 2.5, None]}}, None),
        ({"expect": {"a": 1.0, "b": [1, 2.5, None]}}, None),
        ({"expect": {"a": True, "b": [1, 2.5, None]}}, "result['a']: expected true, got 1"),
        ({"expect": {"a": 1}}, 'result also has "b"'),
        ({"expect": {"a": 1, "b": [1, 2.5, None], "c": 0}}, 'result lacks "c"'),
        ({"expect": {"a": 1}, "match": "subset"}, None),
        ({"expect": {"b": [1, 2.5]}, "match": "subset"}, "result['b'] has 3 elements, expected 2"),
        ({"expect": {"b": [1, 2.4, None]}, "match": "subset"}, "result['b'][1]: expected 2.4, got 2.5"),
        ({"expect": {"a": 1.0000001, "b": [1, 2.5000002, None]}, "match": "approx"}, None),
        ({"expect": {"a": 1.1, "b": [1, 2.5, None]}, "match": "approx"}, "result['a']: expected 1.1, got 1"),
        ({"expect": {"a": 1.1, "b": [1, 2.5, None]}, "match": "approx", "tolerance": 0.2}, None),
        ({"expect": {"type": "object", "required": ["a"]}, "match": "schema"}, None),
        (
            {"expect": {"properties": {"a": {"minimum": 2}}}, "match": "schema"},
            "result['a'] does not fit the schema: 1 is less",
        ),
        ({}, None),
        ({"expect": None}, "result: expected null"),
        ({"expect_error": "anything"}, "expected an error with 'anything', got the result"),
    ],
)
async def test_how_a_result_is_held_against_what_is_expected(
    tmp_path: Path, example: dict[str, Any], why: str | None
) -> None:
    source = '"""Give it."""\n\ndef run() -> dict:\n    return {"a": 1, "b": [1, 2.5, None]}\n'
    async with opened(tmp_path, **OFF) as app:
        if why is None:
            answer = await app.service.publishing.create(ME, "gives", source, examples=[{"arguments": {}, **example}])
            assert answer["examples"] == {"passed": 1, "failed": 0}
        else:
            error = await refused(app, "gives", source, examples=[{"arguments": {}, **example}])
            assert why in error.message


@pytest.mark.parametrize(
    ("examples", "what"),
    [
        ("no list", "must be a list"),
        ([1], "Example 1 is not what it should be"),
        ([{"arguments": []}], "Example 1 is not what it should be"),
        ([{"arguments": {}, "wanted": 1}], "unknown field `wanted`"),
        ([{"arguments": {}, "expect": 1, "expect_error": "x"}], "expects a result and an error"),
        ([{"arguments": {}, "expect": float("nan")}], "The examples are not JSON"),
        ([{"arguments": {}, "expect": {"type": 5}, "match": "schema"}], "is no JSON Schema"),
        ([{"arguments": {}, "match": "schema"}], "must be a JSON Schema"),
        ([{"arguments": {}}] * 21, "At most 20"),
        ([{"arguments": {"a": "x" * 1_100_000}}], "bytes of JSON"),
        ([{"arguments": {}, "tolerance": -1}], "Example 1 is not what it should be"),
    ],
)
async def test_examples_that_are_none_are_refused_before_anything_runs(
    tmp_path: Path, examples: Any, what: str
) -> None:
    async with opened(tmp_path, **OFF) as app:
        assert what in (await refused(app, "double", DOUBLE, examples=examples)).message
        assert await app._store.versions_of("double") == []


async def test_examples_that_never_end_and_patterns_that_never_do(tmp_path: Path) -> None:
    async with opened(tmp_path, examples_timeout_s="1.5", **OFF) as app:
        endless = '"""Go on."""\n\ndef run() -> int:\n    while True:\n        pass\n'
        error = await refused(app, "endless", endless, examples=[{"arguments": {}}, {"arguments": {}, "expect": 1}])
        assert (
            error.message.startswith("2 of 2")
            and "did not end in time" in error.message
            and "1.5 s" in (error.hint or "")
        )
        rows = await app._store.runs("local", parent=None)
        assert rows == [] and app.live_runs() == 0, "what did not end was stopped"
        words = '"""Say."""\n\ndef run() -> str:\n    return "a" * 40 + "!"\n'
        examples = [{"arguments": {}, "expect": {"pattern": "^(a+)+$"}, "match": "schema"}]
        with anyio.fail_after(20):
            error = await refused(app, "says", words, examples=examples)
        assert "took more than" in error.message


def test_a_stored_example_is_read_again() -> None:
    import msgspec

    from repertoire.model.example import Checked, Example, Mock

    checked = Checked(
        examples=(Example(arguments={"a": 1}, mocks=(Mock(call="x", arguments={"b": 2}),)), Example(expect=None))
    )
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(checked), type=Checked)
    assert again == checked and again.examples[0].expect is msgspec.UNSET and again.examples[1].expect is None
    assert json.loads(msgspec.json.encode(again.examples[1])) == {"expect": None}


async def test_what_an_example_says_is_never_fetched(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(stream: SocketStream) -> None:
        async with stream:
            asked.append(await stream.receive())

    (tmp_path / "schema.json").write_text('{"type": "string"}')
    async with (
        opened(tmp_path / "home", **OFF) as app,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
    ):
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            for url in (f"http://127.0.0.1:{port}/x", (tmp_path / "schema.json").as_uri()):
                for key in ("$ref", "$dynamicRef"):
                    example = {"arguments": {"n": 1}, "match": "schema", "expect": {key: url}}
                    assert (
                        "cannot be held against the schema"
                        in (await refused(app, "double", DOUBLE, examples=[example])).message
                    )
            tasks.cancel_scope.cancel()
    assert asked == []


@pytest.mark.parametrize(
    ("result", "example", "what"),
    [
        ("1", {"expect": {"$ref": "#/$defs/nope"}, "match": "schema"}, "cannot be held against the schema"),
        (
            "10**400",
            {"expect": {"multipleOf": 0.1}, "match": "schema"},
            "cannot be held against the schema: OverflowError",
        ),
        ("10**400", {"expect": 1.5, "match": "approx"}, "the result cannot be compared"),
        ("1.5", {"expect": 10**400}, "Example 1 cannot be stored"),
        ("1", {"arguments": {"n": 10**30}, "expect": 1}, "Example 1 cannot be stored"),
        ("1", {"expect": json.loads('{"not":' * 400 + "{}" + "}" * 400), "match": "schema"}, "nested too deeply"),
        ("[" * 90 + "]" * 90, {"expect": []}, "result has 1 elements, expected 0"),
        ("1", {"expect_error": ""}, "is empty"),
        ("1", {"mocks": [{"call": "x", "result": 1, "error": "y"}]}, "a mock with a result and an error"),
    ],
)
async def test_what_cannot_be_compared_is_a_sentence(
    tmp_path: Path, result: str, example: dict[str, Any], what: str
) -> None:
    source = f'"""Give it."""\n\ndef run(n: int = 0) -> object:\n    return {result}\n'
    async with opened(tmp_path, **OFF) as app:
        assert what in (await refused(app, "gives", source, examples=[{"arguments": {}, **example}])).message


async def test_a_large_expectation_holds_up_nobody(tmp_path: Path) -> None:
    schema = {"properties": {f"p{n}": {"type": "object", "properties": {"a": {"type": "string"}}} for n in range(2000)}}
    example = {"arguments": {"n": 1}, "match": "schema", "expect": schema}
    gaps: list[float] = []

    async def look() -> None:
        while True:
            begun = time.monotonic()
            await anyio.sleep(0.01)
            gaps.append(time.monotonic() - begun)

    async with opened(tmp_path, **OFF) as app, anyio.create_task_group() as tasks:
        begun = time.monotonic()
        tasks.start_soon(look)
        assert "bytes of JSON" in (await refused(app, "double", DOUBLE, examples=[example] * 20)).message
        with contextlib.suppress(Refused):  # on a busy machine it takes longer than it may
            await app.service.publishing.create(ME, "double", DOUBLE, examples=[example] * 5)
        tasks.cancel_scope.cancel()
    took = time.monotonic() - begun
    assert len(gaps) > 3 and max(gaps) < took / 3, "the loop went on turning meanwhile"


def test_a_look_at_a_schema_ends_by_itself_whoever_has_died(tmp_path: Path) -> None:
    script = """
import anyio
from repertoire.model.example import Example
from repertoire.model.run import Run
from repertoire.registry.expectations import problem_of

run = Run(id="r", workflow="w", version="v", session_id="s", principal="p", created_at=0.0, status="completed", result='"' + "a" * 40 + '!"')
anyio.run(problem_of, Example(expect={"pattern": "^(a+)+$"}, match="schema"), run)
"""

    def looking() -> list[str]:
        found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        return [line for line in found.splitlines() if "anyio.to_process" in line and line.split()[1] in parents]

    host = subprocess.Popen([sys.executable, "-c", script])
    parents = [str(host.pid)]
    deadline = time.monotonic() + 20
    while not looking():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (child,) = [line.split()[0] for line in looking()]
    time.sleep(0.5)  # until it is within the pattern
    host.kill()
    host.wait()
    while _is_there(int(child)):
        assert time.monotonic() < deadline, "it goes on for ever"
        time.sleep(0.1)


def _is_there(pid: int) -> bool:
    """Where nobody reaps orphans, a zombie is what is left of one."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
