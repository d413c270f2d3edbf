"""Check before publishing: what is published, what is refused and kept, what settings and callers demand; pins.

In a real home with real workers.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.errors import Refused, UnknownWorkflow
from repertoire.store.publications import Making
from support.publishing import DOUBLE, ME, OFF, TRIPLE, refused, rules
from support.services import opened, run

pytestmark = pytest.mark.anyio


async def test_examples_that_hold_publish(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        examples = [{"arguments": {"n": 2}, "expect": 4}, {"arguments": {"n": "x"}, "expect_error": "n"}]
        answer = await app.service.publishing.create(
            ME, "double", DOUBLE, examples=examples, tags=["numbers", "numbers"]
        )
        assert (answer["status"], answer["examples"]) == ("published", {"passed": 2, "failed": 0})
        assert "no_examples" not in rules(answer)
        assert (await run(app, ME, "double", n=21))["result"] == 42
        shown = await app.service.versions.get(ME, "double")
        assert shown["examples"] == examples and shown["checked"]["passed"] == 2 and shown["tags"] == ["numbers"]
        assert [row["workflow"] for row in await app.service.runs.list_runs(ME)] == ["double"], (
            "examples are nobody's runs"
        )
        assert len(await app.service.sessions.list_sessions(ME)) == 1


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
        assert 'Example 2, arguments {"n": 2}: result: expected 5, got 4.' in error.message
        (other,) = [one for one in error.details["findings"] if one["rule"] == "example"]  # the first is the message
        assert "ValueError: too large" in other["message"]
        assert other["line"] == source.split("\n").index('        raise ValueError("too large")') + 1
        run_id = re.findall(r"get_run\('(.+)'\)", error.hint or "")[0]
        assert (await app.service.runs.get(ME, run_id))["result"] == 4, "the hint leads to the run"
        with pytest.raises(UnknownWorkflow):
            app.service.library.find(ME, "double")
        draft = await app.service.versions.get(ME, "double", version=error.details["version"])
        assert draft["status"] == "draft" and draft["checked"]["failed"] == 2
        with pytest.raises(Refused, match="do not hold"):
            await app.service.publishing.publish(ME, "double", error.details["version"])


async def test_a_draft_is_published_when_its_examples_hold(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        examples = [{"arguments": {"n": 2}, "expect": 4}]
        draft = await app.service.publishing.create(ME, "double", DOUBLE, examples=examples, publish=False)
        assert draft["status"] == "draft"
        with pytest.raises(UnknownWorkflow):
            app.service.library.find(ME, "double")
        answer = await app.service.publishing.publish(ME, "double", draft["version"][:6])
        assert answer["status"] == "published" and answer["examples"]["passed"] == 1
        assert (await run(app, ME, "double", n=2))["result"] == 4


async def test_two_creates_of_one_name_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        outcomes: list[str] = []

        async def create(source: str, expect: int) -> None:
            try:
                answer = await app.service.publishing.create(
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
        assert app.service.library.find(ME, "double").short == published


async def test_what_the_settings_demand(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", publish_requires="examples", **OFF) as app:
        error = await refused(app, "double", DOUBLE)
        assert error.reason == "no_examples" and error.details["status"] == "draft"
        with pytest.raises(Refused, match="only workflows with examples"):
            await app.service.publishing.publish(ME, "double", error.details["version"])
        await app.service.publishing.create(ME, "double", DOUBLE, examples=[{"arguments": {"n": 1}, "expect": 2}])
    async with opened(tmp_path / "b", publish_requires="approval", **OFF) as app:
        marker = tmp_path / "it ran"
        source = f'open({str(marker)!r}, "w").close()\n' + DOUBLE
        examples = [{"arguments": {"n": 1}, "expect": 2}]
        error = await refused(app, "double", source, examples=examples)
        assert error.reason == "approval_required" and not marker.exists(), "nothing of it runs before a person agrees"
        version = error.details["version"]
        draft = await app.service.publishing.create(ME, "double", source, publish=False)
        assert (draft["status"], draft["version"], draft["examples"]) == ("draft", version, {"not_run": 1})
        with pytest.raises(Refused, match="approved"):
            await app.service.publishing.publish(ME, "double", version)
        answer = await app.service.approvals.approve(ME, "double", version)
        assert marker.exists() and answer["examples"]["passed"] == 1 and answer["input_schema"]["properties"]["n"]
        await app.service.publishing.delete(ME, "double")
        await app.service.publishing.publish(ME, "double", version)
        assert (await run(app, ME, "double", n=2))["result"] == 4
    async with opened(tmp_path / "b", publish_requires="approval", **OFF) as app:
        assert (await app.service.versions.get(ME, "double"))["input_schema"]["properties"]["n"], (
            "its schemas are stored"
        )


async def test_what_others_call_is_not_taken_from_them(tmp_path: Path) -> None:
    caller = '"""Use it."""\n\ndef run() -> int:\n    return workflows.invoke("double", n=1)\n'
    async with opened(tmp_path, **OFF) as app:
        draft = await refused(app, "uses", caller)
        assert draft.reason == "cannot_work" and "double" in draft.message
        await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.publish(ME, "uses", draft.details["version"])
        assert (await app.service.versions.get(ME, "double"))["called_by"] == ["uses"]
        assert (await app.service.versions.get(ME, "uses"))["calls"]["workflows"] == ["double"]
        with pytest.raises(Refused, match="called by uses"):
            await app.service.publishing.delete(ME, "double")
        other = DOUBLE.replace("n: int", "number: int").replace("n: The", "number: The").replace("n * 2", "number * 2")
        error = await refused(app, "double", other, replace=True)
        assert error.reason == "in_use" and error.details["called_by"] == ["uses"]
        assert (await run(app, ME, "uses"))["result"] == 2
        wider = DOUBLE.replace("n: int", "n: int, times: int = 2").replace("n * 2", "n * times")
        await app.service.publishing.create(ME, "double", wider, replace=True)
        await app.service.publishing.create(ME, "double", other, replace=True, force=True)
        assert await app.service.publishing.delete(ME, "double", force=True)
        assert not await app.service.publishing.delete(ME, "double")


async def test_pinned_workflows_are_listed_among_many(tmp_path: Path) -> None:
    async with opened(tmp_path, max_listed_tools="3", **OFF) as app:
        for n in range(8):
            await app.service.publishing.create(ME, f"w{n}", DOUBLE.replace("a number", f"number {n}"))
        assert [one.name for one in await app.service.library.listed_tools(ME, 0)] == ["w5", "w6", "w7"]
        assert await app.service.publishing.pin(ME, "w0") and not await app.service.publishing.pin(ME, "w0")
        assert [one.name for one in await app.service.library.listed_tools(ME, 0)] == ["w0", "w6", "w7"]
        page = await app.service.library.list_workflows(ME)
        assert [row["name"] for row in page["workflows"] if row["pinned"]] == ["w0"]
        with pytest.raises(UnknownWorkflow):
            await app.service.publishing.pin(ME, "nothing_like_it")
    async with opened(tmp_path, max_listed_tools="3", **OFF) as app:
        assert [one.name for one in await app.service.library.listed_tools(ME, 0)] == ["w0", "w6", "w7"], (
            "pins are kept"
        )
        assert await app.service.publishing.unpin(ME, "w0") and not await app.service.publishing.unpin(ME, "w0")
        assert [one.name for one in await app.service.library.listed_tools(ME, 0)] == ["w5", "w6", "w7"]


async def test_a_create_that_is_given_up_while_it_is_stored_leaves_no_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, **OFF) as app, anyio.create_task_group() as tasks:
        catalog, store = app.service.library._catalog, app._store
        published, reached = store.publish, anyio.Event()

        async def slow(*args: Any) -> Making:
            made = await published(*args)
            reached.set()
            await anyio.sleep(0.3)
            return made

        monkeypatch.setattr(store, "publish", slow)  # the commit takes long
        tasks.start_soon(app.service.publishing.create, ME, "double", DOUBLE)
        await reached.wait()
        tasks.cancel_scope.cancel()
    assert catalog.find_created("double") is not None, "it is stored, so it is known"


async def test_what_is_refused_for_others_is_kept_as_a_draft(tmp_path: Path) -> None:
    caller = '"""Use it."""\n\ndef run() -> int:\n    return workflows.invoke("double", n=1)\n'
    other = DOUBLE.replace("n: int", "number: int").replace("n: The", "number: The").replace("n * 2", "number * 2")
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "uses", caller)
        error = await refused(app, "double", other, replace=True)
        assert (error.reason, error.details["status"]) == ("in_use", "draft")
        answer = await app.service.publishing.publish(ME, "double", error.details["version"], force=True)
        assert answer["status"] == "published"


async def test_files_that_others_call_are_not_taken_away_either(tmp_path: Path) -> None:
    caller = '"""Use it."""\n\ndef run() -> int:\n    return workflows.invoke("double", n=1)\n'
    other = DOUBLE.replace("n: int", "number: int").replace("n: The", "number: The").replace("n * 2", "number * 2")
    async with opened(tmp_path, **OFF) as app:
        await app.service.own_files.add(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "uses", caller)
        with pytest.raises(Refused, match="could not any more"):
            await app.service.own_files.add(ME, "double", other, replace=True)
        with pytest.raises(Refused, match="called by uses"):
            await app.service.own_files.remove(ME, "double")
        await app.service.own_files.add(ME, "double", other, replace=True, force=True)
        assert await app.service.own_files.remove(ME, "double", force=True)


def test_a_source_cannot_hide_from_whoever_looks_at_it() -> None:
    from repertoire.cli.output import visible

    assert visible("a\x1b[8mhidden\x1b[0m\tb\nc \u202e d\x9b") == "a\\x1b[8mhidden\\x1b[0m\tb\nc \\u202e d\\x9b"


async def test_a_source_is_parsed_once_for_a_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The description, the remarks and the calls come from one syntax tree."""
    parsed: list[object] = []
    parse = ast.parse

    def count(source: Any, *rest: Any, **more: Any) -> Any:
        parsed.append(source)
        return parse(source, *rest, **more)

    async with opened(tmp_path, **OFF) as app:
        with monkeypatch.context() as patch:
            patch.setattr(ast, "parse", count)
            await app.service.publishing.create(ME, "double", DOUBLE, examples=[{"arguments": {"n": 2}, "expect": 4}])
    assert parsed.count(DOUBLE) == 1
