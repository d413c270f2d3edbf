"""What a run finds around it: whatever process-wide thing another run has changed, the next one finds it as the first one did.

Each row is a workflow that changes one thing and one expression that shows it. It is run three times through a real pool, one after the
other: without the change, with it, without it. The second answer must differ from the first, and the third must not.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.engine.frame_check import Rules
from repertoire.engine.pool import WorkerPool
from repertoire.engine.scratch_folders import Scratch
from repertoire.limits import Limits
from repertoire.settings import load
from repertoire.wire import Answer, Code, Done, Failed, Inspect, Inspected, Record, Task
from support.surroundings_table import CHANGES, CLEAN, Change

pytestmark = pytest.mark.anyio


class OneAfterTheOther:
    """Runs of a pool with one place; the next begins when the worker of the last is idle or was replaced."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self.pids: list[int] = []

    async def answer(self, source: str, *, cwd: str | None = None, **arguments: Any) -> Any:
        async with self._pool.lease(trusted=True) as worker:
            self.pids.append(worker.pid)
            worker.channel.begin(Rules.of(Limits(), trusted=True, is_reused=True))
            worker.channel.send(Task("run", source, json.dumps(arguments), code=_code(source), cwd=cwd))
            while not isinstance(frame := await worker.channel.receive(), Done | Failed | None):
                if isinstance(frame, Record):
                    worker.channel.send(Answer(frame.id, 1, 0.0, frame.result, frame.error))
            worker.reusable = frame is not None and not frame.pending
        await self._settled()
        return frame

    async def result(self, source: str, *, cwd: str | None = None, **arguments: Any) -> Any:
        frame = await self.answer(source, cwd=cwd, **arguments)
        assert isinstance(frame, Done), frame
        return json.loads(frame.result)

    async def inspect(self, source: str) -> None:
        async with self._pool.lease(trusted=True, once=True) as worker:
            worker.channel.begin(Rules.of(Limits(), trusted=True, is_reused=False))
            worker.channel.send(Inspect(_code(source)))
            assert isinstance(await worker.channel.receive(), Inspected)

    async def _settled(self) -> None:
        idle = self._pool._idle
        with anyio.fail_after(60):
            while idle.coming or not len(idle):
                await idle.wait_for_change()


@pytest.fixture(scope="module")
async def one(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneAfterTheOther]:
    home = tmp_path_factory.mktemp("home")
    settings = load(home=str(home), environ={"REPERTOIRE_WORKERS": "1"})
    async with anyio.create_task_group() as tasks:
        pool = WorkerPool(settings, tasks, Scratch(str(home / "scratch")))
        try:
            made = OneAfterTheOther(pool)
            await made.inspect("def run() -> int: return 1")  # now what forks workers is there
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await pool.close()
            tasks.cancel_scope.cancel()


def _code(source: str) -> Code:
    return Code(source, "w", source, "/nowhere/w.py")


def _workflow(change: Change) -> str:
    return (
        textwrap.dedent(change.before)
        + "\ndef change():\n" + textwrap.indent(textwrap.dedent(change.does).strip() or "pass", "    ")
        + "\ndef observe():\n" + textwrap.indent(textwrap.dedent(change.shows).strip(), "    ")
        + "\ndef run(act: bool = False):\n    if act:\n        change()\n    return repr(observe())\n"
    )  # fmt: skip


# Cases W7 and M16.
@pytest.mark.parametrize("name", CHANGES)
async def test_w7_m16_what_a_run_changes_is_not_there_for_the_next(name: str, one: OneAfterTheOther) -> None:
    source = _workflow(CHANGES[name])
    before = await one.result(source)
    assert await one.result(source, act=True) != before, "this row changes nothing, or does not see it"
    assert await one.result(source) == before


# Case W7.
@pytest.mark.parametrize("name", CLEAN)
async def test_w7_a_worker_that_nothing_has_changed_is_used_again(name: str, one: OneAfterTheOther) -> None:
    one.pids.clear()
    for _ in range(3):
        await one.answer(textwrap.dedent(CLEAN[name]))
    assert len(set(one.pids)) == 1


# Case W7.
async def test_w7_a_module_that_only_one_run_can_find_reaches_no_other(one: OneAfterTheOther, tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("import json\njson.dumps = lambda *a: 'anew'\n")
    changes = f"import sys\nsys.path.append({str(tmp_path)!r})\nimport only_here, json\ndef run(): return json.dumps(1)"
    looks = "import json, sys\ndef run(): return [json.dumps(1), 'only_here' in sys.modules]"
    assert await one.result(changes) == "anew"
    assert await one.result(looks) == ["1", False]


# Case W7.
async def test_w7_a_run_that_fails_or_leaves_is_compared_too(one: OneAfterTheOther) -> None:
    looks = "import json\ndef run(): return json.dumps(1)"
    for end in ("raise ValueError", "raise SystemExit(3)", "raise KeyboardInterrupt"):
        assert isinstance(await one.answer(f"import json\ndef run():\n    json.dumps = len\n    {end}"), Failed)
        assert await one.result(looks) == "1"
    assert isinstance(await one.answer("import json\njson.dumps = len\nraise ValueError"), Failed)
    assert await one.result(looks) == "1"


# Case W7.
async def test_w7_what_a_run_changed_before_it_imported_something_is_seen(one: OneAfterTheOther) -> None:
    changes = "import json\njson.loads = len\nimport wave\ndef run(): return 1"
    await one.answer(changes)
    assert await one.result("import json\ndef run(): return json.loads('1')") == 1


# Case W8.
async def test_w8_a_file_that_is_only_looked_at_changes_nothing_for_runs(one: OneAfterTheOther) -> None:
    looks = "import ssl, os\ndef run(): return [str(ssl._create_default_https_context().verify_mode), os.getpid()]"
    before = await one.result(looks)
    await one.inspect(
        "import ssl\nssl._create_default_https_context = ssl._create_unverified_context\ndef run() -> int: return 1"
    )
    assert await one.result(looks) == before


# Case W9.
LOOPS = """
import asyncio, threading

async def main():
    await asyncio.sleep(0)
    return 1

def once():
    loop = asyncio.get_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()

def elsewhere():
    said = []
    def work():
        try:
            asyncio.get_event_loop()
        except RuntimeError as error:
            said.append(str(error))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return said

def run():
    return [once(), once(), elsewhere(), asyncio.run(main())]
"""


async def test_w9_the_current_loop_is_closed_and_asked_for_again(one: OneAfterTheOther) -> None:
    for _ in range(3):
        first, second, elsewhere, third = await one.result(LOOPS)
        assert (first, second, third) == (1, 1, 1)
        assert "no current event loop" in elsewhere[0], "as in plain Python"


async def test_w9_a_loop_that_is_left_open_is_not_the_next_runs(one: OneAfterTheOther) -> None:
    leaves = "import asyncio\nloop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\nloop.anew = 1\ndef run(): return 1"
    await one.result(leaves)
    assert await one.result("import asyncio\ndef run(): return hasattr(asyncio.get_event_loop(), 'anew')") is False
