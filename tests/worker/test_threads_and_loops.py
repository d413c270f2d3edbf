"""Doors work from any thread and any loop of a body, or say at once why not: real workers, with the test as their host."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from repertoire import wire
from support import workers
from support.workers import Worker

shared, worker = workers.shared, workers.worker

HEAD = """
import asyncio, concurrent.futures as cf, threading, time
from repertoire import step, workflows
def work(i): return i
async def main(i): return sum(await asyncio.gather(*(step(work, i) for _ in range(3)))) + await workflows.x()
"""


def ended(worker: Worker, source: str) -> Any:
    """Done or Failed of a body whose steps are recorded and whose calls are answered with 1."""
    worker.begin(HEAD + textwrap.dedent(source))
    count = 0
    while not isinstance(frame := worker.line.receive(), wire.Done | wire.Failed):
        count += 1
        if isinstance(frame, wire.Record):
            worker.line.send(wire.Answer(frame.id, count, 0.0, frame.result, frame.error))
        elif isinstance(frame, wire.Call):
            worker.line.send(wire.Answer(frame.id, count, 0.0, "1", None))
    return frame


def result(worker: Worker, source: str) -> Any:
    frame = ended(worker, source)
    assert isinstance(frame, wire.Done), frame
    return json.loads(frame.result)


@pytest.mark.parametrize("rounds", range(3))
def test_w11_threads_and_their_loop_share_one_socket(worker: Worker, rounds: int) -> None:
    source = """
    async def run():
        found = []
        for _ in range(20):
            for one in asyncio.as_completed([asyncio.to_thread(step, work, i) for i in range(8)]):
                await step(work, 0)
                found.append(await one)
        return len(found)"""
    assert result(worker, source) == 160


LOOPS = {
    "asyncio.run in a pool": "def run():\n  with cf.ThreadPoolExecutor(3) as p: return list(p.map(lambda i: asyncio.run(main(i)), range(3)))",
    "the same below a loop": """
    async def run():
        loop = asyncio.get_running_loop()
        with cf.ThreadPoolExecutor(3) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, lambda i=i: asyncio.run(main(i))) for i in range(3)))""",
    "the same while the loop is blocked": """
    async def run():
        with cf.ThreadPoolExecutor(3) as p: return list(p.map(lambda i: asyncio.run(main(i)), range(3)))""",
    "run_coroutine_threadsafe": """
    def run():
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        found = [asyncio.run_coroutine_threadsafe(main(i), loop).result() for i in range(3)]
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        return found""",
    "run_coroutine_threadsafe into the main thread": """
    async def run():
        loop = asyncio.get_running_loop()
        return [await asyncio.to_thread(lambda i=i: asyncio.run_coroutine_threadsafe(main(i), loop).result()) for i in range(3)]""",
    "asyncio.Runner in a thread": """
    def run():
        found = []
        def act():
            with asyncio.Runner() as runner: found.extend(runner.run(main(i)) for i in range(3))
        thread = threading.Thread(target=act)
        thread.start(); thread.join()
        return found""",
    "a portal of anyio": """
    from anyio.from_thread import start_blocking_portal
    def run():
        with start_blocking_portal() as portal: return [portal.call(main, i) for i in range(3)]""",
    "anyio.run": "import anyio\ndef run(): return [anyio.run(main, i) for i in range(3)]",
    "a loop made here and run there": """
    def run():
        loop, found = asyncio.new_event_loop(), []
        loop.call_later(0.01, found.append, 1)
        async def all():
            await asyncio.sleep(0.05)
            return [await main(i) for i in range(3)]
        thread = threading.Thread(target=lambda: found.extend(loop.run_until_complete(all())))
        thread.start(); thread.join()
        loop.close()
        return found[1:] if found[0] == 1 else found""",
}  # fmt: skip


@pytest.mark.parametrize("source", LOOPS.values(), ids=LOOPS)
def test_w12_doors_are_awaited_in_loops_of_any_thread(worker: Worker, source: str) -> None:
    assert result(worker, source) == [1, 4, 7]


FOREIGN = {
    "another kind of loop": "def run():\n with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner: runner.run(main(1))",
    "the same in a thread": """
    def act():
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner: runner.run(main(1))
    def run():
        with cf.ThreadPoolExecutor() as pool: pool.submit(act).result()""",
    "no asyncio": "def run(): main2 = step.aio(work, 1); main2.send(None)",
}


@pytest.mark.parametrize("source", FOREIGN.values(), ids=FOREIGN)
def test_w12_a_loop_that_cannot_be_repeated_is_refused_at_once(worker: Worker, source: str) -> None:
    frame = ended(worker, source)
    assert isinstance(frame, wire.Failed) and frame.fault.code == "not_available"
    assert "asyncio.run(main())" in (frame.fault.hint or "")


JOBS = """
def job(done, i):
    time.sleep(0.001)
    done.append(i)
"""


@pytest.mark.parametrize(
    "source",
    [
        """
    async def begin(done):
        for i in range(20): asyncio.get_running_loop().run_in_executor(None, job, done, i)
    def run():
        done = []
        asyncio.run(begin(done))
        return sorted(done)""",
        """
    done = []
    async def run():
        for i in range(20): asyncio.get_running_loop().run_in_executor(None, job, done, i)
        asyncio.get_running_loop().call_soon(done.append, -1)
        return done""",
        """
    async def begin(done):
        loop = asyncio.get_running_loop()
        loop.set_default_executor(cf.ThreadPoolExecutor(2))
        for i in range(20): loop.run_in_executor(None, job, done, i)
    def run():
        done = []
        with asyncio.Runner() as runner: runner.run(begin(done)); runner.run(asyncio.sleep(0))
        return sorted(done)""",
    ],
    ids=["asyncio.run", "async body", "own executor"],
)
def test_w15_what_the_default_executor_was_given_is_done(worker: Worker, source: str) -> None:
    assert sorted(one for one in result(worker, JOBS + textwrap.dedent(source)) if one >= 0) == list(range(20))


def test_w15_tasks_and_generators_end_with_their_loop(worker: Worker) -> None:
    source = """
    async def numbers(said):
        try: yield 1
        finally:
            await asyncio.sleep(0)
            said.append("generator closed")
    async def waits(said):
        try: await asyncio.sleep(60)
        finally: said.append("task cancelled")
    async def begin(said):
        task = asyncio.create_task(waits(said))
        async for _ in (generator := numbers(said)): break
        return task, generator
    def run():
        said = []
        kept = asyncio.run(begin(said))
        return said"""
    assert result(worker, source) == ["task cancelled", "generator closed"]


def test_a_body_that_only_yields_gets_its_timers_and_answers(worker: Worker) -> None:
    source = """
    async def run():
        tasks = [asyncio.create_task(asyncio.sleep(0.01)), asyncio.create_task(step(work, 1))]
        while not all(task.done() for task in tasks): await asyncio.sleep(0)
        return [task.result() for task in tasks]"""
    assert result(worker, source) == [None, 1]
