"""Check before publishing: examples, drafts, findings, versions, callers; in a real home with real workers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from repertoire.app import App
from repertoire.errors import BadArguments, Refused, UnknownRun, UnknownWorkflow
from repertoire.model.session import Caller
from test_service import opened, run

pytestmark = pytest.mark.anyio

ME = Caller(client="a test 1.0")
DOUBLE = '''"""Double a number."""


def run(n: int) -> int:
    """Double a number.

    Args:
        n: The number.
    """
    return n * 2
'''
TRIPLE = DOUBLE.replace("n * 2", "n * 3")
OFF = {"ready_workflows": "false", "search_model": "off"}


async def refused(app: App, *args: Any, **kwargs: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await app.service.create(ME, *args, **kwargs)
    return caught.value


def rules(answer: dict[str, Any]) -> list[str]:
    return [finding["rule"] for finding in answer["findings"]]


async def test_examples_that_hold_publish(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        examples = [{"arguments": {"n": 2}, "expect": 4}, {"arguments": {"n": "x"}, "expect_error": "n"}]
        answer = await app.service.create(ME, "double", DOUBLE, examples=examples, tags=["numbers", "numbers"])
        assert (answer["status"], answer["examples"]) == ("published", {"passed": 2, "failed": 0})
        assert "no_examples" not in rules(answer)
        assert (await run(app, ME, "double", n=21))["result"] == 42
        shown = await app.service.get(ME, "double")
        assert shown["examples"] == examples and shown["checked"]["passed"] == 2 and shown["tags"] == ["numbers"]
        assert [row["workflow"] for row in await app.service.runs(ME)] == ["double"], "examples are nobody's runs"
        assert len(await app.service.sessions(ME)) == 1


async def test_examples_that_fail_leave_a_draft_and_say_which_and_why(tmp_path: Path) -> None:
    source = DOUBLE.replace("return n * 2", 'if n > 5:\n        raise ValueError("too large")\n    return n * 2')
    examples = [
        {"arguments": {"n": 1}, "expect": 2},
        {"arguments": {"n": 2}, "expect": 5},
        {"arguments": {"n": 9}, "expect": 18},
    ]
    async with opened(tmp_path, **OFF) as app:
        error = await refused(app, "double", source, examples=examples)
        assert error.reason == "examples_failed" and "2 of 3 examples" in error.message
        wrong = [one for one in error.details["findings"] if one["rule"] == "example"]
        assert wrong[0]["message"] == 'Example 2, arguments {"n": 2}: result: expected 5, got 4.'
        assert (
            "ValueError: too large" in wrong[1]["message"]
            and wrong[1]["line"] == source.split("\n").index('        raise ValueError("too large")') + 1
        )
        run_id = re.findall(r"get_run\('(.+)'\)", wrong[0]["hint"])[0]
        assert (await app.service.get_run(ME, run_id))["result"] == 4, "the hint leads to the run"
        with pytest.raises(UnknownWorkflow):
            app.service.find(ME, "double")
        draft = await app.service.get(ME, "double", version=error.details["version"])
        assert draft["status"] == "draft" and draft["checked"]["failed"] == 2
        with pytest.raises(Refused, match="do not hold"):
            await app.service.publish(ME, "double", error.details["version"])


async def test_a_draft_is_published_when_its_examples_hold(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        examples = [{"arguments": {"n": 2}, "expect": 4}]
        draft = await app.service.create(ME, "double", DOUBLE, examples=examples, publish=False)
        assert draft["status"] == "draft"
        with pytest.raises(UnknownWorkflow):
            app.service.find(ME, "double")
        answer = await app.service.publish(ME, "double", draft["version"][:6])
        assert answer["status"] == "published" and answer["examples"]["passed"] == 1
        assert (await run(app, ME, "double", n=2))["result"] == 4


async def test_the_examples_of_the_version_before_hold_the_next_one_too(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.create(ME, "double", DOUBLE, examples=[{"arguments": {"n": 2}, "expect": 4}])
        error = await refused(app, "double", TRIPLE, replace=True)
        assert error.reason == "examples_failed"
        assert (await run(app, ME, "double", n=2))["result"] == 4
        second = await app.service.create(ME, "double", TRIPLE, replace=True, examples=[])
        assert (await run(app, ME, "double", n=2))["result"] == 6
        await app.service.publish(ME, "double", first["version"])
        shown = await app.service.get(ME, "double", diff=second["version"])
        assert (shown["version"], shown["status"]) == (first["version"], "published")
        assert "-    return n * 3" in shown["diff"] and "+    return n * 2" in shown["diff"]
        assert [row["status"] for row in shown["versions"]] == ["former", "published"]
        lines = [(line["action"], line["version"], line["from_version"]) for line in shown["history"]]
        one, two = first["version"], second["version"]
        assert lines == [
            ("published", one, two),
            ("published", two, one),
            ("draft", two, None),
            ("published", one, None),
        ]
        assert shown["history"][0]["client"] == "a test 1.0"
        await app.service.delete(ME, "double")
        await app.service.publish(ME, "double", one)
        assert (await run(app, ME, "double", n=2))["result"] == 4


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
            answer = await app.service.create(ME, "gives", source, examples=[{"arguments": {}, **example}])
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
        assert await app.service._store.versions_of("double") == []


async def test_examples_that_never_end_and_patterns_that_never_do(tmp_path: Path) -> None:
    async with opened(tmp_path, examples_timeout_s="1.5", **OFF) as app:
        endless = '"""Go on."""\n\ndef run() -> int:\n    while True:\n        pass\n'
        error = await refused(app, "endless", endless, examples=[{"arguments": {}}, {"arguments": {}, "expect": 1}])
        assert (
            error.message.startswith("2 of 2")
            and "did not end in time" in error.message
            and "1.5 s" in (error.hint or "")
        )
        rows = await app.service._store.runs("local", parent=None)
        assert rows == [] and app.live_runs() == 0, "what did not end was stopped"
        words = '"""Say."""\n\ndef run() -> str:\n    return "a" * 40 + "!"\n'
        examples = [{"arguments": {}, "expect": {"pattern": "^(a+)+$"}, "match": "schema"}]
        with anyio.fail_after(20):
            error = await refused(app, "says", words, examples=examples)
        assert "took more than" in error.message


CALLS = '''"""Ask around."""


def run(n: int) -> dict:
    """Ask around.

    Args:
        n: The number.
    """
    session_state["seen"] = n
    commit_state()
    found = workflows.search("double")
    name = ask("Who are you?", str)
    sleep(3600)
    return {"doubled": workflows.invoke("double", n=n), "more": workflows.invoke("double", n=n + 1), "name": name, "found": len(found) > 0}
'''


async def test_what_an_example_calls_is_mocked_or_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        example = {"arguments": {"n": 2}, "expect": {"doubled": 4, "more": 6, "name": "Ada", "found": True}}
        error = await refused(app, "asks_around", CALLS, examples=[example])
        assert "it calls ask, which is not done in an example" in error.message and '"call": "ask"' in error.message
        mocks: list[dict[str, Any]] = [{"call": "ask", "result": "Ada"}]
        error = await refused(app, "asks_around", CALLS, examples=[{**example, "mocks": mocks}])
        assert "calls the workflow 'double'" in error.message
        mocks += [{"call": "double", "arguments": {"n": 3}, "result": 6}, {"call": "double", "result": 4}]
        answer = await app.service.create(ME, "asks_around", CALLS, examples=[{**example, "mocks": mocks}])
        assert answer["examples"] == {"passed": 1, "failed": 0}
        rows = await app.service._store.read(lambda db: db.execute("SELECT count(*) FROM state").fetchone())
        assert rows == (0,), "what an example keeps in its session goes with it"
        failing = [{**example, "expect_error": "no luck", "mocks": [{"call": "ask", "error": "no luck"}]}]
        del failing[0]["expect"]
        assert (await app.service.create(ME, "asks_around", CALLS, replace=True, examples=failing))["examples"][
            "passed"
        ] == 1


async def test_a_workflow_that_only_reads_is_really_called(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", '__workflow__ = {"read_only": True}\n' + DOUBLE)
        source = '"""Quadruple."""\n\ndef run(n: int) -> int:\n    return workflows.double(n=workflows.double(n=n))\n'
        answer = await app.service.create(ME, "quadruple", source, examples=[{"arguments": {"n": 2}, "expect": 8}])
        assert answer["examples"]["passed"] == 1
        assert await app.service.runs(ME) == [], "nor are those below an example's run anybody's"


async def test_a_run_that_went_well_becomes_an_example(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        await app.service.create(ME, "asks_around", CALLS.replace("sleep(3600)", "sleep(0.01)"))
        live = await app.service.run(ME, "asks_around", {"n": 5})
        await app.service.wait(live, 30)
        await app.service.answer(ME, live.run.id, "Grace")
        ended = await app.service.finish(live)
        assert ended.status == "completed"
        answer = await app.service.create(ME, "saved", from_run=live.run.id)
        assert answer["examples"] == {"passed": 1, "failed": 0}
        (example,) = (await app.service.get(ME, "saved"))["examples"]
        assert example["arguments"] == {"n": 5} and example["expect"]["name"] == "Grace"
        assert {"call": "double", "arguments": {"n": 6}, "result": 12} in example["mocks"]
        broken = CALLS.replace('"more": workflows.invoke("double", n=n + 1)', '"more": 0')
        assert "result['more']: expected 12, got 0" in (await refused(app, "saved", broken, replace=True)).message
        live = await app.service.run(ME, "double", {"n": "no number"})
        failed = await app.service.finish(live)
        assert failed.error is not None
        await app.service.create(ME, "fails", DOUBLE, from_run=failed.id)
        assert (await app.service.get(ME, "fails"))["examples"][0]["expect_error"] == failed.error.message
        with pytest.raises(UnknownRun):
            await app.service.create(ME, "theirs", DOUBLE, from_run="workflow:double:01ARZ3NDEKTSV4RRFFQ69G5FAV")
        with pytest.raises(UnknownRun):
            await app.service.create(Caller(principal="bob"), "theirs", DOUBLE, from_run=live.run.id)
        with pytest.raises(BadArguments, match="source"):
            await app.service.create(ME, "nothing")


async def test_two_creates_of_one_name_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        outcomes: list[str] = []

        async def create(source: str, expect: int) -> None:
            try:
                answer = await app.service.create(
                    ME, "double", source, examples=[{"arguments": {"n": 1}, "expect": expect}]
                )
                outcomes.append(answer["version"])
            except Refused as error:
                outcomes.append(error.reason)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(create, DOUBLE, 2)
            tasks.start_soon(create, TRIPLE, 3)
        assert sorted(outcomes)[1] == "name_taken"
        published = next(outcome for outcome in outcomes if outcome != "name_taken")
        assert app.service.find(ME, "double").short == published


async def test_what_the_settings_demand(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", publish_requires="examples", **OFF) as app:
        error = await refused(app, "double", DOUBLE)
        assert error.reason == "no_examples" and error.details["status"] == "draft"
        with pytest.raises(Refused, match="only workflows with examples"):
            await app.service.publish(ME, "double", error.details["version"])
        await app.service.create(ME, "double", DOUBLE, examples=[{"arguments": {"n": 1}, "expect": 2}])
    async with opened(tmp_path / "b", publish_requires="approval", **OFF) as app:
        marker = tmp_path / "it ran"
        source = f'open({str(marker)!r}, "w").close()\n' + DOUBLE
        examples = [{"arguments": {"n": 1}, "expect": 2}]
        error = await refused(app, "double", source, examples=examples)
        assert error.reason == "approval_required" and not marker.exists(), "nothing of it runs before a person agrees"
        version = error.details["version"]
        draft = await app.service.create(ME, "double", source, publish=False)
        assert (draft["status"], draft["version"], draft["examples"]) == ("draft", version, {"not_run": 1})
        with pytest.raises(Refused, match="approved"):
            await app.service.publish(ME, "double", version)
        answer = await app.service.publish(ME, "double", version, approved=True)
        assert marker.exists() and answer["examples"]["passed"] == 1 and answer["input_schema"]["properties"]["n"]
        await app.service.delete(ME, "double")
        await app.service.publish(ME, "double", version)
        assert (await run(app, ME, "double", n=2))["result"] == 4
    async with opened(tmp_path / "b", publish_requires="approval", **OFF) as app:
        assert (await app.service.get(ME, "double"))["input_schema"]["properties"]["n"], "its schemas are stored"


async def test_what_others_call_is_not_taken_from_them(tmp_path: Path) -> None:
    caller = '"""Use it."""\n\ndef run() -> int:\n    return workflows.invoke("double", n=1)\n'
    async with opened(tmp_path, **OFF) as app:
        answer = await app.service.create(ME, "uses", caller)
        assert any("double" in one["message"] for one in answer["findings"] if one["rule"] not in ("isolation",))
        await app.service.create(ME, "double", DOUBLE)
        assert (await app.service.get(ME, "double"))["called_by"] == ["uses"]
        assert (await app.service.get(ME, "uses"))["calls"]["workflows"] == ["double"]
        with pytest.raises(Refused, match="called by uses"):
            await app.service.delete(ME, "double")
        other = DOUBLE.replace("n: int", "number: int").replace("n: The", "number: The").replace("n * 2", "number * 2")
        error = await refused(app, "double", other, replace=True)
        assert error.reason == "in_use" and error.details["called_by"] == ["uses"]
        assert (await run(app, ME, "uses"))["result"] == 2
        wider = DOUBLE.replace("n: int", "n: int, times: int = 2").replace("n * 2", "n * times")
        await app.service.create(ME, "double", wider, replace=True)
        await app.service.create(ME, "double", other, replace=True, force=True)
        assert await app.service.delete(ME, "double", force=True)
        assert not await app.service.delete(ME, "double")


async def test_a_body_publishes_with_examples(tmp_path: Path) -> None:
    source = f'''"""Write one."""


def run(expect: int) -> dict:
    made = workflows.create("double", {DOUBLE!r}, examples=[{{"arguments": {{"n": 2}}, "expect": expect}}], tags=["numbers"])
    return {{"made": made["status"], "four": workflows.invoke("double", n=2)}}
'''
    async with opened(tmp_path, workers="1", **OFF) as app:
        await app.service.create(ME, "writes", source)
        with anyio.fail_after(60):
            answer = await run(app, ME, "writes", expect=5)
            assert answer["status"] == "failed" and "expected 5, got 4" in answer["error"]["message"]
            answer = await run(app, ME, "writes", expect=4)
        assert answer["result"] == {"made": "published", "four": 4}
        history = (await app.service.get(ME, "double"))["history"]
        assert history[0]["client"] == answer["run_id"], "which run has written it"


async def test_old_versions_stay_for_going_back_and_drafts_for_a_month(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.create(ME, "double", DOUBLE)
        await app.service.create(ME, "double", TRIPLE, replace=True)
        draft = await app.service.create(ME, "other", TRIPLE, publish=False)
        store = app.service._store
        await store.write(lambda db: db.execute("UPDATE version SET created_at = created_at - 100").rowcount)
        assert (await app.service.gc(keep_s=1.0))["versions"] == 0
        month = 31 * 24 * 3600
        await store.write(lambda db: db.execute(f"UPDATE publication SET at = at - {month}").rowcount)
        assert (await app.service.gc(keep_s=1.0))["versions"] == 1
        with pytest.raises(UnknownWorkflow):
            await app.service.get(ME, "other", version=draft["version"])
        assert (await app.service.publish(ME, "double", first["version"]))["status"] == "published"


async def test_an_example_whose_server_died_is_not_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        await run(app, ME, "double", n=1)
        store = app.service._store
        await store.write(
            lambda db: (
                db.execute(
                    "UPDATE run SET example = 1, status = 'working', ended_at = NULL, result = NULL, epoch = 0"
                ).rowcount
            )
        )
        run_id = await store.read(lambda db: db.execute("SELECT id FROM run").fetchone()[0])
    async with opened(tmp_path, **OFF) as app:
        answer = await app.service.get_run(ME, run_id, wait_s=5)
        assert (answer["status"], app.live_runs()) == ("cancelled", 0)


async def test_pinned_workflows_are_listed_among_many(tmp_path: Path) -> None:
    async with opened(tmp_path, max_listed_tools="3", **OFF) as app:
        for n in range(8):
            await app.service.create(ME, f"w{n}", DOUBLE.replace("a number", f"number {n}"))
        assert [one.name for one in await app.service.listed(ME, 0)] == ["w5", "w6", "w7"]
        assert await app.service.pin(ME, "w0") and not await app.service.pin(ME, "w0")
        assert [one.name for one in await app.service.listed(ME, 0)] == ["w0", "w6", "w7"]
        page = await app.service.list_workflows(ME)
        assert [row["name"] for row in page["workflows"] if row["pinned"]] == ["w0"]
        with pytest.raises(UnknownWorkflow):
            await app.service.pin(ME, "nothing_like_it")
    async with opened(tmp_path, max_listed_tools="3", **OFF) as app:
        assert [one.name for one in await app.service.listed(ME, 0)] == ["w0", "w6", "w7"], "pins are kept"
        assert await app.service.unpin(ME, "w0") and not await app.service.unpin(ME, "w0")
        assert [one.name for one in await app.service.listed(ME, 0)] == ["w5", "w6", "w7"]


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
            await app.service.create(ME, "double", DOUBLE, examples=[example] * 5)
        tasks.cancel_scope.cancel()
    took = time.monotonic() - begun
    assert len(gaps) > 3 and max(gaps) < took / 3, "the loop went on turning meanwhile"


async def test_the_examples_of_a_version_are_those_it_was_published_with(tmp_path: Path) -> None:
    wrong, right = {"arguments": {"n": 1}, "expect": 99}, {"arguments": {"n": 1}, "expect": 2}
    async with opened(tmp_path, **OFF) as app:
        await refused(app, "double", DOUBLE, examples=[wrong])
        await app.service.create(ME, "double", DOUBLE)
        assert (await app.service.get(ME, "double"))["examples"] == []
        await app.service.create(ME, "double", DOUBLE, replace=True, examples=[right])
        await refused(app, "double", DOUBLE, replace=True, examples=[wrong])
        shown = await app.service.get(ME, "double")
        assert shown["examples"] == [right] and shown["checked"]["failed"] == 0
        await app.service.create(ME, "double", DOUBLE, replace=True, examples=[])
        assert (await app.service.get(ME, "double"))["examples"] == []
    async with opened(tmp_path / "b", publish_requires="approval", **OFF) as app:
        error = await refused(app, "double", DOUBLE, examples=[right])
        assert error.details["examples"] == {"not_run": 1}
        for examples in ([], [wrong]):
            await refused(app, "double", DOUBLE, examples=examples)
        answer = await app.service.publish(ME, "double", error.details["version"], approved=True)
        assert answer["examples"] == {"passed": 1, "failed": 0}, "what a person has looked at is what is run"
        await app.service.delete(ME, "double")
        assert (await app.service.create(ME, "double", DOUBLE, examples=[right]))["status"] == "published", (
            "it was approved once"
        )


async def test_old_and_unpublished_versions_are_found_however_many_there_are(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.create(ME, "double", DOUBLE)
        await app.service.create(ME, "double", TRIPLE, replace=True)
        for n in range(120):
            await app.service.create(ME, "double", f"{DOUBLE}# {n}\n", publish=False)
        assert (await app.service.get(ME, "double", version=first["version"]))["status"] == "former"
        assert (await app.service.publish(ME, "double", first["version"]))["status"] == "published"
        await app.service.create(ME, "only_a_draft", DOUBLE, publish=False)
        shown = await app.service.get(ME, "only_a_draft")
        assert shown["status"] == "draft" and shown["source"] == DOUBLE
        assert (await app.service.drafts())[0]["name"] == "only_a_draft"
        await app.service.delete(ME, "double")
        assert (await app.service.get(ME, "double"))["status"] in ("former", "draft")


async def test_a_create_that_is_given_up_while_it_is_stored_leaves_no_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, **OFF) as app, anyio.create_task_group() as tasks:
        catalog, store = app.service._catalog, app.service._store
        published, reached = store.publish, anyio.Event()

        async def slow(*args: Any) -> float:
            at = await published(*args)
            reached.set()
            await anyio.sleep(0.3)
            return at

        monkeypatch.setattr(store, "publish", slow)  # the commit takes long
        tasks.start_soon(app.service.create, ME, "double", DOUBLE)
        await reached.wait()
        tasks.cancel_scope.cancel()
    assert catalog.created("double") is not None, "it is stored, so it is known"


async def test_a_run_of_many_calls_is_an_example_with_all_of_them_or_none(tmp_path: Path) -> None:
    source = '''"""Add up."""


def run(n: int) -> int:
    for _ in range(n):
        step(float, 1)
    return sum(workflows.double(n=i) for i in range(n))
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        await app.service.create(ME, "adds", source)
        ended = await app.service.finish(await app.service.run(ME, "adds", {"n": 150}))
        assert (await app.service.create(ME, "saved", from_run=ended.id))["examples"]["passed"] == 1
        ended = await app.service.finish(await app.service.run(ME, "adds", {"n": 210}))
        with pytest.raises(Refused, match="more than 200 calls"):
            await app.service.create(ME, "saved_too", from_run=ended.id)


async def test_what_calls_itself_is_checked_with_itself(tmp_path: Path) -> None:
    source = '"""N!"""\n\ndef run(n: int) -> int:\n    return BASE if n < 2 else n * workflows.fact(n=n - 1)\n'
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(
            ME, "fact", source.replace("BASE", "2"), examples=[{"arguments": {"n": 3}, "expect": 12}]
        )
        right = [{"arguments": {"n": 3}, "expect": 6}]
        await app.service.create(ME, "fact", source.replace("BASE", "1"), replace=True, examples=right)
        assert (await run(app, ME, "fact", n=4))["result"] == 24


async def test_a_mock_that_is_missing_is_no_matter_of_taste(tmp_path: Path) -> None:
    source = '''"""Try."""


def run() -> int:
    try:
        workflows.invoke("double", n=1)
    except Exception as error:
        log.warning(str(error))
    return 1
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        assert "has no" in (await refused(app, "tries", source, examples=[{"arguments": {}, "expect": 1}])).message
        mocks = [{"call": "workflows.double", "result": 2}, {"call": "nobody", "result": 1}]
        answer = await app.service.create(
            ME, "tries", source, examples=[{"arguments": {}, "expect": 1, "mocks": mocks}]
        )
        (unused,) = [one["message"] for one in answer["findings"] if one["rule"] == "unused_mock"]
        assert unused == "Example 1 has mocks that no call has taken: nobody."


async def test_what_is_refused_for_others_is_kept_as_a_draft(tmp_path: Path) -> None:
    caller = '"""Use it."""\n\ndef run() -> int:\n    return workflows.invoke("double", n=1)\n'
    other = DOUBLE.replace("n: int", "number: int").replace("n: The", "number: The").replace("n * 2", "number * 2")
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        await app.service.create(ME, "uses", caller)
        error = await refused(app, "double", other, replace=True)
        assert (error.reason, error.details["status"]) == ("in_use", "draft")
        answer = await app.service.publish(ME, "double", error.details["version"], force=True)
        assert answer["status"] == "published"


async def test_an_examples_run_says_so_and_is_not_done_again(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        error = await refused(app, "double", DOUBLE, examples=[{"arguments": {"n": 1}, "expect": 3}])
        run_id = re.findall(r"get_run\('(.+)'\)", error.hint or "")[0]
        assert (await app.service.get_run(ME, run_id))["example"] is True
        with pytest.raises(BadArguments, match="check an example"):
            await app.service.rerun(ME, run_id)


def test_a_look_at_a_schema_ends_by_itself_whoever_has_died(tmp_path: Path) -> None:
    script = """
import anyio
from repertoire.model.example import Example
from repertoire.model.run import Run
from repertoire.registry.expect import problem_of

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


async def test_two_texts_that_have_nothing_in_common_hold_up_nobody(tmp_path: Path) -> None:
    def text(sign: str) -> str:
        return DOUBLE + "".join(
            f"#{(sign + str(n))} {n * n % 101}\n" if n % 7 else f"#{n % 101}{sign}\n" for n in range(14_000)
        )

    def chosen(sign: int) -> str:
        return DOUBLE + "".join(f"#{sign * n % 101}\n" for n in range(40_000))

    async with opened(tmp_path, **OFF) as app:
        for one, other in ((chosen(1), chosen(-1)), (text("a"), text("b"))):
            first = await app.service.create(ME, "double", one, publish=False)
            second = await app.service.create(ME, "double", other, publish=False)
            with anyio.fail_after(60):
                shown = await app.service.get(ME, "double", version=second["version"], diff=first["version"])
            assert shown["diff"]
        assert "too different" in (
            await app.service.get(
                ME, "double",
                version=(await app.service.create(ME, "double", chosen(1), publish=False))["version"],
                diff=(await app.service.create(ME, "double", chosen(-1), publish=False))["version"],
            )
        )["diff"]  # fmt: skip


async def test_a_file_with_the_text_of_a_draft_that_waits_is_loaded(tmp_path: Path) -> None:
    async with opened(tmp_path, publish_requires="approval", **OFF) as app:
        await refused(app, "double", DOUBLE, examples=[{"arguments": {"n": 1}, "expect": 2}])
        (tmp_path / "workflows" / "double.py").write_text(DOUBLE)
        await app.service.refresh(ME)
        assert app.service.find(ME, "double").input_schema["properties"]["n"]


async def test_from_run_adds_to_what_there_is(tmp_path: Path) -> None:
    first = {"arguments": {"n": 1}, "expect": 2}
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE, "My words.", examples=[first], tags=["numbers"])
        ended = await app.service.finish(await app.service.run(ME, "double", {"n": 21}))
        for _ in range(2):
            answer = await app.service.create(ME, "double", from_run=ended.id, replace=True)
            assert answer["examples"]["passed"] == 2
        shown = await app.service.get(ME, "double")
        assert (shown["description"], shown["tags"]) == ("My words.", ["numbers"])
        assert shown["examples"] == [first, {"arguments": {"n": 21}, "expect": 42}]


async def test_calls_within_steps_and_a_session_that_is_shared_are_as_in_the_run(tmp_path: Path) -> None:
    counts = '''"""Count."""

__workflow__ = {"read_only": True}


def run() -> int:
    session_state["n"] = session_state.get("n", 0) + 1
    return session_state["n"]
'''
    outer = '''"""Call from everywhere."""


def inner(n: int) -> int:
    return workflows.double(n=n)


def run() -> list[int]:
    counted = [workflows.counts(session_id="parent") for _ in range(3)]
    return [step(inner, 4), *counted]
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        await app.service.create(ME, "counts", counts)
        example = {"arguments": {}, "expect": [8, 1, 2, 3], "mocks": [{"call": "double", "result": 8}]}
        answer = await app.service.create(ME, "outer", outer, examples=[example])
        assert answer["examples"]["passed"] == 1
        ended = await app.service.finish(await app.service.run(ME, "outer", {}))
        assert json.loads(ended.result or "") == [8, 1, 2, 3]
        assert (await app.service.create(ME, "saved", from_run=ended.id))["examples"]["passed"] == 1
        left = await app.service._store.read(lambda db: db.execute("SELECT count(*) FROM state").fetchone())
        assert left == (1,), "that of the run; none of the examples'"


async def test_files_that_others_call_are_not_taken_away_either(tmp_path: Path) -> None:
    caller = '"""Use it."""\n\ndef run() -> int:\n    return workflows.invoke("double", n=1)\n'
    other = DOUBLE.replace("n: int", "number: int").replace("n: The", "number: The").replace("n * 2", "number * 2")
    async with opened(tmp_path, **OFF) as app:
        await app.service.add_file(ME, "double", DOUBLE)
        await app.service.create(ME, "uses", caller)
        with pytest.raises(Refused, match="could not any more"):
            await app.service.add_file(ME, "double", other, replace=True)
        with pytest.raises(Refused, match="called by uses"):
            await app.service.remove(ME, "double")
        await app.service.add_file(ME, "double", other, replace=True, force=True)
        assert await app.service.remove(ME, "double", force=True)


async def test_a_published_text_that_is_created_again_is_told_as_what_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        assert (await app.service.create(ME, "double", DOUBLE, publish=False))["status"] == "published"
        error = await refused(app, "double", DOUBLE, replace=True, examples=[{"arguments": {"n": 1}, "expect": 5}])
        assert error.details["status"] == "published" and "keeps the examples" in error.message


@pytest.mark.parametrize("text", ["\ud800", "", "..", "a" * 5000, "%", "*"])
async def test_names_versions_and_tags_that_are_none(tmp_path: Path, text: str) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.create(ME, "double", DOUBLE)
        with pytest.raises(UnknownWorkflow):
            await app.service.get(ME, text)
        with pytest.raises(UnknownWorkflow):
            await app.service.get(ME, "double", version=text)
        with pytest.raises(UnknownWorkflow):
            await app.service.publish(ME, "double", text)
        if text not in ("..", "%", "*"):
            assert (await refused(app, "other", DOUBLE, tags=[text])).reason == "bad_tags"


def test_a_source_cannot_hide_from_whoever_looks_at_it() -> None:
    from repertoire.cli.render import visible

    assert visible("a\x1b[8mhidden\x1b[0m\tb\nc \u202e d\x9b") == "a\\x1b[8mhidden\\x1b[0m\tb\nc \\u202e d\\x9b"
