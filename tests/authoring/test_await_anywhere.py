"""A door's value may be awaited wherever its call was written (authoring/awaited_values.py): real workers, with the test as their host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from repertoire import wire
from support import workers
from support.workers import Worker

shared, worker = workers.shared, workers.worker


def doubled(worker: Worker, source: str, together: int = 1) -> Any:
    """The result of a body whose calls of other workflows are answered with 2 * n, once `together` of them wait."""
    worker.begin("import asyncio, functools\nfrom repertoire import step, workflows\n" + source)
    waiting: list[wire.Call] = []
    while True:
        frame = worker.line.receive()
        if isinstance(frame, wire.Done):
            return json.loads(frame.result)
        assert not isinstance(frame, wire.Failed | None), frame
        if isinstance(frame, wire.Record):
            worker.line.send(wire.Answer(frame.id, frame.id, 0.0, frame.result, frame.error))
        elif isinstance(frame, wire.Call):
            waiting.append(frame)
            if len(waiting) >= together:
                for call in waiting:
                    value = 2 * json.loads(call.args)["arguments"]["n"]
                    worker.line.send(wire.Answer(call.id, call.id, 0.0, json.dumps(value), None))
                waiting.clear()


AT_ONCE = {
    "lambda": "async def run():\n a = lambda n: workflows.invoke('x', n=n)\n return await asyncio.gather(a(1), a(2), a(3))",
    "partial": "async def run():\n a = functools.partial(workflows.invoke, 'x')\n return await asyncio.gather(*[a(n=n) for n in (1, 2, 3)])",
    "helper": "def a(n):\n  return workflows.x(n=n)\nasync def run():\n return await asyncio.gather(a(1), a(2), a(3))",
    "helper of a helper": """
def a(n): return workflows.x(n=n)
def b(n): return a(n)
async def run(): return await asyncio.gather(b(1), b(2), b(3))""",
    "lambdas in a dict": """
async def run():
    calls = {n: (lambda n=n: workflows.x(n=n)) for n in (1, 2, 3)}
    return await asyncio.gather(*(call() for call in calls.values()))""",
    "parameter": """
async def limited(limit, call):
    async with limit:
        return await call
async def run():
    limit = asyncio.Semaphore(3)
    return await asyncio.gather(*(limited(limit, workflows.x(n=n)) for n in (1, 2, 3)))""",
    "list as a parameter": """
async def every(calls): return await asyncio.gather(*calls)
async def run(): return await every([workflows.x(n=1), workflows.x(n=2), workflows.x(n=3)])""",
    "star parameter": """
async def every(*calls): return await asyncio.gather(*calls)
async def run(): return await every(workflows.x(n=1), workflows.x(n=2), workflows.x(n=3))""",
    "method": """
class A:
    async def limited(self, call): return await call
    async def all(self): return await asyncio.gather(*(self.limited(workflows.x(n=n)) for n in (1, 2, 3)))
async def run(): return await A().all()""",
    "decorator": """
def loud(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs): return function(*args, **kwargs)
    return wrapper
@loud
def a(n): return workflows.x(n=n)
async def run(): return await asyncio.gather(a(1), a(2), a(3))""",
    "task group": """
def a(n): return workflows.x(n=n)
async def one(n, call): return await call(n)
async def run():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(1, a)), group.create_task(a(2)), group.create_task(one(3, lambda n: workflows.x(n=n)))]
    return [task.result() for task in tasks]""",
    "wait_for": """
def a(n): return workflows.x(n=n)
async def run(): return await asyncio.gather(*(asyncio.wait_for(a(n), timeout=60) for n in (1, 2, 3)))""",
    "awaited by a library": """
from contextlib import AsyncExitStack
import anyio
async def run():
    found = {}
    async def one(n): found[n] = await anyio.to_thread.run_sync(lambda: n) * (await workflows.x(n=n)) // n
    async with anyio.create_task_group() as group:
        for n in (1, 2, 3): group.start_soon(one, n)
    return [found[n] for n in (1, 2, 3)]""",
}  # fmt: skip


@pytest.mark.parametrize("source", AT_ONCE.values(), ids=AT_ONCE)
def test_r14_calls_that_are_awaited_elsewhere_are_made_at_once(worker: Worker, source: str) -> None:
    assert doubled(worker, source, together=3) == [2, 4, 6]


IN_TURN = {
    "attribute": """
class A:
    def start(self): self.pending = workflows.x(n=1)
    async def finish(self): return await self.pending
async def run():
    a = A(); a.start()
    return await a.finish()""",
    "container from a helper": """
def calls(): return {"a": workflows.x(n=1)}
async def run(): return await calls()["a"]""",
    "container, gathered": """
def calls(): return [workflows.x(n=1)]
async def run(): return (await asyncio.gather(*calls()))[0]""",
    "with block": """
import contextlib
def a():
    with contextlib.suppress(KeyError):
        return workflows.x(n=1)
async def run(): return await a()""",
    "create_task of a value": """
def calls(): return [workflows.x(n=1)]
async def run():
    task = asyncio.create_task(calls()[0])
    return await asyncio.shield(task)""",
    "wait_for of a value": """
def calls(): return (workflows.x(n=1),)
async def run():
    first, = calls()
    return await asyncio.wait_for(first, 60)""",
    "library": """
import library
async def run(): return await library.retried(lambda: workflows.x(n=1))""",
    "library and partial": """
import library
async def run(): return await library.retried(functools.partial(workflows.x, n=1))""",
    "library that asks": """
import library
async def run(): return await library.maybe(functools.partial(workflows.x, n=1))""",
    "step": "async def run():\n a = lambda: step(lambda: 2)\n return await a()",
    "decorated step": "@step\ndef a(): return 2\ndef b(): return a()\nasync def run(): return await b()",
}  # fmt: skip

LIBRARY = """
import inspect
async def retried(function):
    for attempt in range(3):
        return await function()
async def maybe(function):
    value = function()
    return await value if inspect.isawaitable(value) else value
"""


@pytest.mark.parametrize("source", IN_TURN.values(), ids=IN_TURN)
def test_r14_a_value_is_awaited_wherever_its_call_was_written(worker: Worker, source: str, tmp_path: Any) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    assert doubled(worker, f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{source}") == 2


PLAIN = {
    "unawaited": "async def run(): return workflows.x(n=1) + 1",
    "result of a coroutine": "async def a(): return workflows.x(n=1)\nasync def run(): return await a() + 1",
    "key of sorted": "async def run(): return sorted([1], key=lambda n: workflows.x(n=n) + 0)[0] + 2",
    "map": "async def run(): return sum(map(lambda n: workflows.x(n=n), [1])) + 1",
    "sync": "def run(): return (lambda: workflows.x(n=1))() + 1",
    "generator": "def a():\n  yield workflows.x(n=1)\nasync def run(): return next(a()) + 1",
}


@pytest.mark.parametrize("source", PLAIN.values(), ids=PLAIN)
def test_r14_a_value_that_is_not_awaited_is_a_plain_value(worker: Worker, source: str) -> None:
    assert doubled(worker, source) == 3


def test_r14_what_no_door_gave_is_not_awaitable(worker: Worker) -> None:
    source = "async def run():\n a = workflows.x(n=1)\n b = [a]\n await b"
    worker.begin("from repertoire import workflows\n" + source)
    frame = worker.line.receive()
    while not isinstance(frame, wire.Failed):
        if isinstance(frame, wire.Call):
            worker.line.send(wire.Answer(frame.id, 1, 0.0, "2", None))
        frame = worker.line.receive()
    assert frame.fault.type == "TypeError" and "await" in frame.fault.message
