"""Code that is run once: what it gives, what refuses it, who sees it, and when it is gone. In a real home with real workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.errors import Refused, UnknownRun, UnknownWorkflow
from repertoire.model.session import Caller
from support.publishing import DOUBLE, ME, OFF
from support.services import opened, run

pytestmark = pytest.mark.anyio

OTHER = Caller(principal="another")


async def code(app: App, source: str, session_id: str | None = None, caller: Caller = ME, **arguments: Any) -> Any:
    live = await app.service.code_runs.start(caller, source, arguments, session_id)
    return app.service.runs.envelope(await app.service.runs.wait_for_end(live))


async def refusal(app: App, source: str, **arguments: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await app.service.code_runs.start(ME, source, arguments)
    assert await app.service.runs.list_runs(ME) == []
    return caught.value


async def test_a_run_of_code_is_a_run_like_any_other(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        source = 'twice = await workflows.double(n=n)\nlog.info("so far")\nprogress(1, 2)\n\nstep(max, twice, 5)\n'
        done = await code(app, source, n=21)
        assert (done["status"], done["result"]) == ("completed", 42)
        assert done["run_id"].startswith("workflow:run_code:")
        shown = await app.service.runs.get(ME, done["run_id"])
        kinds = [event["type"] for event in shown["events"]]
        assert kinds[0] == "run_start" and kinds[-1] == "run_end" and {"log", "progress", "call_end"} <= {*kinds}
        assert [one["op"] for one in (await app.service.history.tree(ME, done["run_id"]))["calls"]] == [
            "workflow",
            "step",
        ]
        (listed,) = await app.service.runs.list_runs(ME, workflow="run_code")
        assert listed["run_id"] == done["run_id"]
        module = "def run(n: int) -> int:\n    return n + 1\n"
        assert (await code(app, module, n=1))["result"] == 2
        wrong = await code(app, module, n="x")
        assert wrong["error"]["code"] == "invalid_arguments"


async def test_its_state_is_the_session_s(tmp_path: Path) -> None:
    source = 'session_state["n"] = session_state.get("n", 0) + 1\nsession_state["n"]'
    async with opened(tmp_path, **OFF) as app:
        first = await code(app, source)
        assert (first["result"], (await code(app, source + " * 10"))["result"]) == (1, 20)
        assert (await code(app, source, "new"))["result"] == 1


async def test_nobody_finds_it_by_a_name(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        done = await code(app, '"""A remarkable text."""\n1 + 1')
        hash = (await app.service.runs.get(ME, done["run_id"]))["version"]
        assert (await app.service.library.list_workflows(ME))["workflows"] == []
        assert (await app.service.library.list_workflows(ME, status="draft"))["workflows"] == []
        assert (await app.service.library.search(ME, "remarkable"))["matches"] == []
        for look in (
            lambda: app.service.versions.get(ME, "run_code"),
            lambda: app.service.versions.get(ME, "run_code", version=hash),
            lambda: app.service.publishing.publish(ME, "run_code", hash),
            lambda: app.service.runs.start(ME, "run_code", {}),
        ):
            with pytest.raises(UnknownWorkflow):
                await look()
        with pytest.raises(UnknownRun):
            await app.service.runs.get(OTHER, done["run_id"])
        with pytest.raises(Refused, match="reserved"):
            await app.service.publishing.create(ME, "run_code", DOUBLE)


async def test_what_is_certain_refuses_it_before_it_runs(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        wrong = await refusal(app, "import os\n\nn = 1\njson.dumps(n)\n")
        assert wrong.reason == "cannot_work" and wrong.line == 4 and "was not run" in wrong.message
        assert "`json` is not defined" in wrong.message and "import json" in (wrong.hint or "")
        assert "no workflow" in (await refusal(app, "await workflows.nothing(a=1)")).message
        assert (await refusal(app, "x = (")).reason == "syntax_error"
        assert (await refusal(app, "import json")).reason == "no_run"
        assert "is not installed" in (await refusal(app, "import no_such_package_at_all\n1")).message


async def test_a_failure_shows_the_text_of_its_line(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        failed = await code(app, "x = [1]\nx[3]\n")
        assert failed["status"] == "failed" and failed["error"]["hint"] == "The line is: return x[3]"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"authoring": "off"}, "authoring_off"), ({"publish_requires": "approval"}, "approval_required")],
)
async def test_it_is_allowed_as_creating_is(tmp_path: Path, settings: dict[str, str], reason: str) -> None:
    async with opened(tmp_path, **OFF, **settings) as app:
        assert (await refusal(app, "1")).reason == reason
        live = await app.service.code_runs.start(ME, "1", origin="operator")
        assert (await app.service.runs.wait_for_end(live)).result == "1"


async def test_it_goes_on_after_the_server_was_gone(tmp_path: Path) -> None:
    source = 'import uuid\n\nfirst = step(lambda: uuid.uuid4().hex)\ngo = await ask("Go on?", bool)\n[first, go, n]'
    async with opened(tmp_path, **OFF) as app:
        live = await app.service.code_runs.start(ME, source, {"n": 3})
        run = await app.service.runs.wait(live, 20)
        assert run.status == "input_required"
        (made,) = [one for one in await app.store.calls(run.id) if one["op"] == "step"]
    async with opened(tmp_path, **OFF) as app:
        await app.service.runs.answer(ME, run.id, True)
        done = await app.service.runs.get(ME, run.id, wait_s=20)
        assert done["status"] == "completed" and done["result"][1:] == [True, 3]
        (again,) = [one for one in await app.store.calls(run.id) if one["op"] == "step"]
        assert made["began_at"] == again["began_at"], "the step is not repeated"


async def test_its_version_is_deleted_with_its_last_run(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        one, same = await code(app, "n + 1", n=1), await code(app, "n + 1", n=2)
        versions = {(await app.store.run(each["run_id"])).version for each in (one, same)}  # type: ignore[union-attr]
        (hash,) = versions
        await app.service.history.collect_garbage(keep=1)
        assert await app.store.version(hash) is not None
        await app.service.history.collect_garbage(keep_s=0.0001)
        assert await app.store.version(hash) is None
        assert (await code(app, "n + 1", n=3))["result"] == 4
        assert await app.store.version(hash) is not None


async def test_it_is_run_again_with_another_source(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        done = await code(app, "step(max, n, 5)", n=9)
        live = await app.service.history.rerun(ME, done["run_id"], source="step(max, n, 5) + 1")
        assert (await app.service.runs.wait_for_end(live)).result == "10"


async def test_a_run_of_code_is_kept_as_a_workflow(tmp_path: Path) -> None:
    """Its arguments are typed parameters, its result is the example, its calls are mocks."""
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        source = "found = [await workflows.double(n=n) for n in numbers]\n{'label': label, 'sum': sum(found)}\n"
        done = await code(app, source, numbers=[1, 2], label="a")
        kept = await app.service.publishing.create(ME, "sum_of_doubles", from_run=done["run_id"], description="Add.")
        assert kept["status"] == "published" and kept["examples"] == {"passed": 1, "failed": 0}
        properties = kept["input_schema"]["properties"]
        assert (properties["numbers"]["items"], properties["label"]["type"]) == ({"type": "integer"}, "string")
        assert kept["output_schema"]["type"] == "object" and kept["description"] == "Add."
        (told,) = [one for one in kept["findings"] if one["rule"] == "types_from_values"]
        assert "numbers, label" in told["message"]
        shown = await app.service.versions.get(ME, "sum_of_doubles")
        assert shown["source"].startswith("async def run(numbers: list[int], label: str) -> dict:\n    found =")
        (example,) = shown["examples"]
        assert example["expect"] == {"label": "a", "sum": 6} and len(example["mocks"]) == 2
        assert (await run(app, ME, "sum_of_doubles", numbers=[5], label="b"))["result"] == {"label": "b", "sum": 10}


async def test_only_the_owner_of_a_run_keeps_it(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        done = await code(app, "1 + 1")
        with pytest.raises(UnknownRun):
            await app.service.publishing.create(OTHER, "two", from_run=done["run_id"])
        failed = await code(app, "import json\n\njson.loads(text)", text="{")
        kept = await app.service.publishing.create(ME, "reader", from_run=failed["run_id"])
        shown = await app.service.versions.get(ME, "reader")
        assert kept["status"] == "draft" and "def run(text: str):" in shown["source"]
        assert "Expecting property name" in shown["examples"][0]["expect_error"]
        (told,) = [one for one in kept["findings"] if one["rule"] == "from_failed_run"]
        assert "kept as a draft" in told["message"] and "publish_workflow('reader')" in told["hint"]
        assert (await app.service.publishing.publish(ME, "reader"))["status"] == "published"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("n = 1\nn / zero\n", 2),
        ("import math\nn = 1\n\nfor one in range(1):\n    math.sqrt(one) / zero", 5),
        ("import math\n\n\nn = math.pi / zero", 4),
        ("def run(zero):\n    return 1 / zero", 2),
        ("def half(n):\n    return n / 0\n\n\nhalf(zero)\n", 2),
    ],
)
async def test_the_line_of_an_error_and_the_source_are_those_that_were_sent(
    tmp_path: Path, source: str, line: int
) -> None:
    async with opened(tmp_path, **OFF) as app:
        failed = await code(app, source, zero=0)
        assert (failed["status"], failed["error"]["line"]) == ("failed", line)
        assert source.split("\n")[line - 1].strip() in failed["error"]["hint"]
        shown = await app.service.runs.get(ME, failed["run_id"])
        assert shown["source"] == source and shown["events"][-1]["data"]["error"]["line"] == line
        assert (await app.service.history.show(ME, failed["run_id"]))["source"] == source
        again = await app.service.history.rerun(ME, failed["run_id"], source=source + "\n# again")
        ended = await app.service.runs.wait_for_end(again)
        assert ended.error is not None and ended.error.line == line
        assert (await app.service.runs.get(ME, ended.id))["source"] == source + "\n# again"


async def test_a_long_source_is_cut_in_the_answer_for_a_run(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        done = await code(app, f"n = 1\n# {'long ' * 2_000}\nn\n")
        shown = await app.service.runs.get(ME, done["run_id"])
        assert len(shown["source"]) <= 4_000 and shown["source_chars"] > 10_000


async def test_other_code_of_the_same_arguments_does_not_get_the_run_whose_answer_was_lost(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.code_runs.start(ME, "1 + 1", {}, None)
        app.service.runs.note_undelivered(first.run.id)
        assert (await code(app, "2 + 2"))["result"] == 4
        await app.service.runs.wait_for_end(first)
        app.service.runs.note_undelivered(first.run.id)
        assert (await code(app, "1 + 1"))["run_id"] == first.run.id
