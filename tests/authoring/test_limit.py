"""A step's time limit changes nothing of what is computed (authoring/time_limit.py): real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.authoring import time_limit
from support import workers
from support.workers import Worker

shared, worker = workers.shared, workers.worker

HEAD = """
import asyncio, contextvars, decimal, socket, sqlite3, subprocess, threading, time
from concurrent.futures import ThreadPoolExecutor
from repertoire import step
variable, local = contextvars.ContextVar("variable", default=0), threading.local()
"""

SURROUNDED = {
    "decimal": "with decimal.localcontext() as c:\n  c.prec = 3\n  return str(step(lambda: decimal.Decimal(1) / 3, LIMIT))",
    "context variable": "variable.set(7)\n return step(lambda: variable.get(), LIMIT)",
    "set in it": "step(lambda: variable.set(8) and None, LIMIT)\n return variable.get()",
    "thread-local": "local.x = 5\n return step(lambda: local.x, LIMIT)",
    "sqlite3": "c = sqlite3.connect(':memory:')\n return step(lambda: c.execute('select 6').fetchone()[0], LIMIT)",
    "thread": "return step(lambda: threading.current_thread() is threading.main_thread(), LIMIT)",
    "error": "try: step(lambda: [][1], LIMIT)\n except IndexError as e: return str(e)",
}
PLACES = {
    "main thread": "def run():\n BODY",
    "async body": "async def run():\n BODY",
    "pool": "def body():\n BODY\ndef run():\n with ThreadPoolExecutor() as pool: return pool.submit(body).result()",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("body", SURROUNDED.values(), ids=SURROUNDED)
def test_w17_a_limit_does_not_change_what_is_computed(worker: Worker, body: str, place: str) -> None:
    source = HEAD + place.replace("BODY", body)
    assert worker.result(source.replace("LIMIT", "timeout=60")) == worker.result(source.replace(", LIMIT", ""))


SLOW = {
    "sleep": "time.sleep(60)",
    "computation": "n = 0\n  while True: n += 1",
    "lock": "threading.Event().wait(60)",
    "socket": "pair = socket.socketpair(); pair[0].recv(1)",
    "process": "subprocess.run(['sleep', '60'])",
    "swallows it": "\n  while True:\n   try: time.sleep(60)\n   except Exception: pass",
    "own loop": "asyncio.run(asyncio.sleep(60))",
    "inner limit": "step(time.sleep, 60, timeout=50)",
}


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW)
def test_w17_what_takes_too_long_in_the_main_thread_is_broken_off(worker: Worker, slow: str) -> None:
    source = f"""{HEAD}
def slow():
 try:
  {slow}
 finally: said.append("cleaned up")
said = []
def run():
    try: step(slow, timeout=0.05)
    except TimeoutError as error: return [str(error), *said, step(lambda: 1, timeout=60)]
"""
    assert worker.result(source) == ["the step took longer than 0.05 s", "cleaned up", 1]


def test_w17_an_inner_limit_is_not_taken_for_the_outer_one(worker: Worker) -> None:
    source = """
def inner():
    try: return step(time.sleep, 60, timeout=0.05)
    except TimeoutError: return "inner"
def run(): return step(inner, timeout=60)
"""
    assert worker.result(HEAD + source) == "inner"


def test_w17_a_computation_in_a_thread_is_broken_off(worker: Worker) -> None:
    source = """
def slow():
    while True: pass
def body():
    try: step(slow, timeout=0.05)
    except TimeoutError as error: return str(error)
def run():
    with ThreadPoolExecutor() as pool: return pool.submit(body).result()
"""
    assert worker.result(HEAD + source) == "the step took longer than 0.05 s"


def test_files_that_a_limit_does_not_interrupt_are_there() -> None:
    """The table names files: one that was renamed would be interrupted half-way, and no other test would see that."""
    files = {path.name for path in Path(time_limit._OURS).rglob("*.py")}
    assert files >= time_limit._UNINTERRUPTED
