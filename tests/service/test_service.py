"""The service without a protocol: whose session and run it is, ten thousand workflows, progress rules, limits."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from repertoire.errors import BadArguments, Busy, Refused, UnknownRun, UnknownSession
from repertoire.model.run import RunEvent
from repertoire.model.session import Caller
from repertoire.model.workflow_version import FIXED_TOOLS
from repertoire.store import open_store
from repertoire.surfaces.mcp import build_server, progress
from support.services import opened, run
from support.versions import a_version

pytestmark = pytest.mark.anyio

COUNT = '"""Count."""\n\ndef run() -> int:\n    session_state["n"] = session_state.get("n", 0) + 1\n    return session_state["n"]\n'
NAP = '"""Nap."""\nimport time\n\ndef run(seconds: float) -> None:\n    time.sleep(seconds)\n'


async def test_an_id_alone_never_authorises(tmp_path: Path) -> None:
    ada, bob = Caller(principal="ada"), Caller(principal="bob")
    async with opened(tmp_path) as app:
        await app.service.publishing.create(ada, "counts", COUNT)
        hers = await run(app, ada, "counts")
        assert (await run(app, bob, "counts"))["result"] == 1
        with pytest.raises(UnknownSession):
            await app.service.runs.start(bob, "counts", {}, hers["session_id"])
        for verb in (app.service.runs.get, app.service.runs.cancel):
            with pytest.raises(UnknownRun):
                await verb(bob, hers["run_id"])
        assert [row["run_id"] for row in await app.service.runs.list_runs(ada)] == [hers["run_id"]]
        assert (await run(app, ada, "counts", hers["session_id"]))["result"] == 2


async def test_an_expired_session_is_an_error_that_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, session_ttl_s="0.05") as app:
        await app.service.publishing.create(Caller(), "counts", COUNT)
        session = (await run(app, Caller(), "counts", "new"))["session_id"]
        await anyio.sleep(0.1)
        with pytest.raises(UnknownSession, match="expired"):
            await app.service.runs.start(Caller(), "counts", {}, session)


async def test_a_queued_run_says_for_whom_it_waits_and_can_be_cancelled(tmp_path: Path) -> None:
    source = NAP.replace("    time.sleep", "    session_state.clear()\n    time.sleep")
    caller = Caller()
    async with opened(tmp_path, workers="4") as app:
        await app.service.publishing.create(caller, "naps", source)
        first = await app.service.runs.start(caller, "naps", {"seconds": 20}, None)
        others = [await app.service.runs.start(caller, "naps", {"seconds": 0}, None) for _ in range(3)]
        async for event in app.service.runs.follow(others[0].run.id):
            if event.type == "log":
                break
        answer = await app.service.runs.get(caller, others[0].run.id)
        assert answer["status"] == "working" and answer["message"] == f"waiting for {first.run.id} (same session)"
        assert (await app.service.runs.cancel(caller, others[1].run.id))["status"] == "cancelled"
        elsewhere = await app.service.runs.start(caller, "naps", {"seconds": 0}, "new")
        assert (await app.service.runs.wait_for_end(elsewhere)).status == "completed"
        assert (await app.service.runs.cancel(caller, first.run.id))["status"] == "cancelled"
        with anyio.fail_after(15):
            assert (await app.service.runs.wait_for_end(others[0])).status == "completed"
            assert (await app.service.runs.wait_for_end(others[2])).status == "completed"


async def test_beyond_the_queue_a_run_is_refused(tmp_path: Path) -> None:
    caller = Caller(session_name=None)
    async with opened(tmp_path, workers="1", max_queued="2") as app:
        await app.service.publishing.create(caller, "naps", NAP)
        lives = [await app.service.runs.start(caller, "naps", {"seconds": 20}) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Busy, match="wait for a worker") as caught:
            await app.service.runs.start(caller, "naps", {"seconds": 1})
        assert caught.value.retry_after_s > 0
        for live in lives:
            assert (await app.service.runs.cancel(caller, live.run.id))["status"] == "cancelled"


async def test_what_is_going_on_when_the_house_closes_goes_on_when_it_opens(tmp_path: Path) -> None:
    caller = Caller()
    source = NAP.replace(
        "    time.sleep(seconds)", '    step(time.sleep, 0.01)\n    log("slept")\n    time.sleep(seconds)'
    )
    async with opened(tmp_path) as app:
        await app.service.publishing.create(caller, "naps", source)
        live = await app.service.runs.start(caller, "naps", {"seconds": 60})
        async for event in app.service.runs.follow(live.run.id):
            if event.type == "log":
                break
    async with opened(tmp_path) as app:
        answer = await app.service.runs.get(caller, live.run.id)
        assert answer["status"] == "working" and [event["n"] for event in answer["events"]][:3] == [1, 2, 3]
        answer = await app.service.runs.cancel(caller, live.run.id)
        assert answer["status"] == "cancelled" and answer["error"]["code"] == "cancelled"
        ended = await app.service.runs.get(caller, live.run.id)
        types = [
            event["type"] for event in ended["events"] if event["type"] != "resumed"
        ]  # told if a worker had it again
        assert types == ["run_start", "call_end", "log", "run_end"]


def inner_pids_below(pid: int) -> Iterator[int]:
    """The ids that the processes below this one have in their own namespace."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = Path(f"/proc/{child}/status").read_text()
                yield int(status.partition("NSpid:")[2].splitlines()[0].split()[-1])
                yield from inner_pids_below(int(child))


async def test_each_run_of_created_code_has_a_process_of_its_own_and_leaves_none(tmp_path: Path) -> None:
    source = '"""Say who runs."""\nimport os\nimport sys\n\ndef run() -> list[int]:\n'
    source += "    seen = getattr(sys, 'seen_before', 0)\n    sys.seen_before = 1\n    return [os.getpid(), seen]\n"
    async with opened(tmp_path, workers="3") as app:
        await app.service.publishing.create(Caller(), "says_who", source)
        lives = [await app.service.runs.start(Caller(), "says_who", {}, "new") for _ in range(12)]
        answers = [json.loads((await app.service.runs.wait_for_end(live)).result or "") for live in lives]
        assert len({pid for pid, _ in answers}) == 12 and {seen for _, seen in answers} == {0}

        def alive() -> set[int]:
            return {pid for pid, _ in answers} & set(inner_pids_below(os.getpid()))

        with anyio.fail_after(10):
            while alive():
                await anyio.sleep(0.02)


async def test_a_file_that_asks_for_a_fresh_process_gets_one_for_each_run(tmp_path: Path) -> None:
    folder = tmp_path / "workflows"
    folder.mkdir()
    body = '"""Say who runs."""\nimport os\n\ndef run() -> int:\n    return os.getpid()\n'
    (folder / "reuses.py").write_text(body)
    (folder / "fresh.py").write_text(body.replace("import os\n", 'import os\n__workflow__ = {"fresh": True}\n'))
    async with opened(tmp_path, workers="1") as app:
        reused = {(await run(app, Caller(), "reuses"))["result"] for _ in range(6)}
        fresh = [(await run(app, Caller(), "fresh"))["result"] for _ in range(3)]
        assert len(reused) < 6 and len(set(fresh)) == 3


async def test_two_creates_of_one_name_at_once_give_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        outcomes: list[str] = []

        async def create(number: int) -> None:
            try:
                await app.service.publishing.create(
                    Caller(), "same", f'"""Say."""\n\ndef run() -> int:\n    return {number}\n'
                )
                outcomes.append("made")
            except Refused as refused:
                outcomes.append(refused.reason)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(create, number)
        assert sorted(outcomes) == ["made", *["name_taken"] * 4]


async def test_replacing_makes_a_version_and_leaves_a_live_run_alone(tmp_path: Path) -> None:
    source = '"""Say."""\nimport time\n\ndef run(wait: float = 0) -> int:\n    time.sleep(wait)\n    return 1\n'
    async with opened(tmp_path, workers="2") as app:
        first = await app.service.publishing.create(Caller(), "says", source)
        live = await app.service.runs.start(Caller(), "says", {"wait": 0.5}, "new")
        second = await app.service.publishing.create(
            Caller(), "says", source.replace("return 1", "return 2"), replace=True
        )
        assert first["version"] != second["version"]
        kept = (await app.service.versions.get(Caller(), "says"))["versions"]
        assert [row["version"] for row in kept] == [second["version"], first["version"]]
        assert (await run(app, Caller(), "says"))["result"] == 2
        ended = await app.service.runs.wait_for_end(live)
        assert ended.result == "1" and ended.version.startswith(first["version"])


async def test_authoring_can_be_switched_off(tmp_path: Path) -> None:
    async with opened(tmp_path, authoring="off") as app:
        with pytest.raises(Refused, match="does not let"):
            await app.service.publishing.create(Caller(), "counts", COUNT)
        with pytest.raises(Refused):
            await app.service.publishing.delete(Caller(), "counts")


@pytest.mark.parametrize(
    "arguments", [{"big": 2**70}, {"text": "\ud800"}, {"text": "\0"}, {"deep": [[[[{"a": None}]]]]}]
)
async def test_any_json_passes_as_an_argument(tmp_path: Path, arguments: dict[str, Any]) -> None:
    async with opened(tmp_path) as app:
        await app.service.publishing.create(
            Caller(), "echo_any", '"""Echo."""\n\ndef run(**anything) -> int:\n    return len(anything)\n'
        )
        assert (await run(app, Caller(), "echo_any", None, **arguments))["result"] == 1


async def test_too_large_arguments_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, max_arguments_bytes="1000") as app:
        await app.service.publishing.create(Caller(), "counts", COUNT)
        with pytest.raises(BadArguments, match="at most 1000"):
            await app.service.runs.start(Caller(), "counts", {"text": "x" * 1000})


async def test_ten_thousand_workflows_are_paged_found_and_callable(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "repertoire.db")) as store, anyio.create_task_group() as tasks:
        for i in range(10_000):
            tasks.start_soon(store.publish, a_version(f"made_{i:05}", description=f"Do thing number {i}."))
    async with opened(tmp_path, max_listed_tools="20000", ready_workflows="true") as app:
        server = build_server(app.service, app.settings.limits, app.changes, lambda ctx: Caller())
        async with Client(server) as client:
            names: list[str] = []
            cursor: str | None = None
            while True:
                page = await client.list_tools(cursor=cursor)
                names += [tool.name for tool in page.tools]
                assert len(page.tools) <= app.settings.limits.page_size
                cursor = page.next_cursor
                if cursor is None:
                    break
            ready = len(list((Path(__file__).parents[2] / "workflows").glob("[!_]*.py")))
            assert len(names) == len(set(names)) == 10_000 + len(FIXED_TOOLS) + ready
            assert tuple(names[: len(FIXED_TOOLS)]) == FIXED_TOOLS
            assert names[len(FIXED_TOOLS) :] == sorted(names[len(FIXED_TOOLS) :])
            found = await app.service.library.search(Caller(), "thing number 7777")
            assert found["matches"][0]["name"] == "made_07777"
    async with opened(tmp_path) as app:
        server = build_server(app.service, app.settings.limits, app.changes, lambda ctx: Caller())
        async with Client(server) as client:
            first = [tool.name for tool in (await client.list_tools()).tools]
            assert len(first) == 40 and first == [
                tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools
            ]


class Heard:
    def __init__(self) -> None:
        self.sent: list[tuple[float, float | None, str | None]] = []
        self.times: list[float] = []

    async def __call__(self, value: float, total: float | None, message: str | None) -> None:
        self.sent.append((value, total, message))
        self.times.append(time.monotonic())


async def follow(events: list[RunEvent], pause_s: float, heard: Heard, then_s: float = 0) -> None:
    async def stream() -> AsyncIterator[RunEvent]:
        for event in events:
            yield event
            await anyio.sleep(pause_s)
        await anyio.sleep(then_s)

    told = progress.Progress(heard)
    await told.watch(stream())
    await told.settle()


def progressed(n: int, done: float, total: float | None = None, message: str | None = None) -> RunEvent:
    return RunEvent(n, "progress", 0.0, {"done": done, "total": total, "message": message})


async def test_progress_is_at_most_ten_a_second_and_ends_with_the_last() -> None:
    heard = Heard()
    await follow([progressed(i, i, 100) for i in range(1, 101)], 0.01, heard)
    times = heard.times[:-1]  # the last one does not wait: the result comes after it
    assert all(len([t for t in times if start <= t < start + 0.99]) <= 10 for start in times)
    assert [value for value, _, _ in heard.sent] == sorted({value for value, _, _ in heard.sent})
    assert heard.sent[-1] == (100, 100, None)


async def test_progress_always_increases_and_messages_are_short() -> None:
    heard = Heard()
    said = RunEvent(3, "log", 0.0, {"message": "x" * 500})
    await follow([progressed(1, 5, 10, "half"), progressed(2, 3, 10), said, progressed(4, 5, 10)], 0.03, heard)
    values = [value for value, _, _ in heard.sent]
    assert values == sorted(set(values)) and values[0] == 5 and values[-1] <= 5.03
    assert max(len(message or "") for _, _, message in heard.sent) == 200


async def test_n22_progress_has_clean_numbers_and_is_never_above_its_total() -> None:
    heard = Heard()
    said = RunEvent(9, "log", 0.0, {"message": "said"})
    events = [
        progressed(1, 0, 4.0),
        said,
        progressed(2, 0.1 + 0.2, 4),
        progressed(3, 4.0, 4),
        said,
        progressed(4, 6, 4),
    ]
    await follow(events, 0.03, heard)
    assert [(value, total) for value, total, _ in heard.sent] == [
        (0, 4), (0.001, 4), (0.3, 4), (4, 4), (5, None), (6, None)
    ]  # fmt: skip
    assert all(isinstance(value, int) for value, _, _ in heard.sent if value == int(value))


async def test_n22_log_lines_alone_count_the_seconds() -> None:
    heard = Heard()
    await follow([RunEvent(n, "log", 0.0, {"message": f"line {n}"}) for n in range(1, 4)], 0.15, heard)
    values = [value for value, _, _ in heard.sent]
    assert [message for _, _, message in heard.sent] == ["line 1", "line 2", "line 3"]
    assert values[0] == 0 and values == sorted(set(values)) and 0.25 < values[-1] < 5 and heard.sent[0][1] is None


async def test_a_silent_run_still_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT_S", 0.05)
    heard = Heard()
    await follow([], 0, heard, then_s=0.3)
    values = [value for value, _, _ in heard.sent]
    assert len(values) >= 3 and values == sorted(set(values)) and values[-1] < 2  # seconds


async def test_the_result_waits_after_the_last_progress() -> None:
    heard = Heard()
    await follow([progressed(1, 1)], 0, heard)
    assert time.monotonic() - heard.times[-1] >= 0.019
