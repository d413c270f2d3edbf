"""What bodies see of their threads is the same when they are begun again: after a kill, and after a park."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from repertoire.app import App
from support import replays
from support.replays import survived
from support.survivals import effects, repeated

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces

HEAD = """
KILLS = ()
import concurrent.futures as cf, queue, random as chance, threading
from concurrent.futures import ThreadPoolExecutor, as_completed
real = chance.SystemRandom()

def slow(name):
    time.sleep(real.random() * 0.01)
    with open(os.path.join(FOLDER, "effects"), "a+") as file:
        file.seek(0)
        count = len(file.readlines())
    for kill in KILLS:
        if count >= kill: die(f"after {kill}")
    return effect(name)
"""

ENDS = """
def ends(got):
    step(effect, f"saw {got}")
    die()
"""
"""What is seen is the argument of a step: another one the second time would be no less than NonDeterminism."""

BODIES = {
    "as_completed": """
def run():
    got = []
    with ThreadPoolExecutor(4) as pool:
        jobs = {pool.submit(step, slow, f"a{n}"): n for n in range(9)}
        for job in as_completed(jobs):
            got.append(step(slow, f"of {jobs[job]} {job.result()}"))
    ends(got)
    return got
""",
    "no steps in the items": """
def work(n):
    sum(range(real.randrange(20000)))
    return n
def run():
    with ThreadPoolExecutor(4) as pool:
        got = [step(slow, f"of {job.result()}") for job in as_completed([pool.submit(work, n) for n in range(9)])]
    ends(got)
    return got
""",
    "wait": """
def run():
    got = []
    with ThreadPoolExecutor(4) as pool:
        left = {pool.submit(step, slow, f"a{n}") for n in range(9)}
        while left:
            done, left = cf.wait(left, return_when=cf.FIRST_COMPLETED)
            got.append(step(slow, f"of {[job.result() for job in done]}"))
    ends(got)
    return got
""",
    "map": """
def one(n): return [step(slow, f"a{n}"), step(slow, f"b{n}")]
def run():
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(one, range(7)))
    got.append(step(slow, "end"))
    ends(got)
    return got
""",
    "a list of all": """
def one(n, got):
    got.append(step(slow, f"a{n}"))
    got.append(step(slow, f"b{n}"))
def run():
    got = []
    threads = [threading.Thread(target=one, args=(n, got)) for n in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    step(slow, f"end {got}")
    ends(got)
    return got
""",
    "a lock around steps": """
def one(n, got, lock):
    with lock: got.append(step(slow, f"a{n}"))
def run():
    got, lock = [], threading.Lock()
    with ThreadPoolExecutor(4) as pool:
        for n in range(6): pool.submit(one, n, got, lock)
    step(slow, f"end {sorted(got)}")
    ends(sorted(got))
    return sorted(got)
""",
    "submit from threads": """
def outer(pool, n):
    return [job.result() for job in as_completed([pool.submit(step, slow, f"a{n}.{k}") for k in range(3)])]
def run():
    with ThreadPoolExecutor(8) as inner, ThreadPoolExecutor(3) as pool:
        got = [step(slow, f"of {job.result()}") for job in as_completed([pool.submit(outer, inner, n) for n in range(4)])]
    ends(got)
    return got
""",
    "queues": """
def make(n, to):
    for k in range(3): to.put(step(slow, f"a{n}.{k}"))
def take(n, of, to):
    while (item := of.get()) is not None: to.put(step(slow, f"{n} took {item}"))
def run():
    items, results = queue.Queue(2), queue.Queue()
    makers = [threading.Thread(target=make, args=(n, items)) for n in range(3)]
    takers = [threading.Thread(target=take, args=(n, items, results)) for n in range(2)]
    for thread in makers + takers: thread.start()
    for thread in makers: thread.join()
    for _ in takers: items.put(None)
    for thread in takers: thread.join()
    got = []
    while not results.empty(): got.append(results.get_nowait())
    step(slow, f"end {got}")
    ends(got)
    return got
""",
    "errors": """
def one(n):
    step(slow, f"a{n}")
    if n % 2: raise ValueError(n)
    return n
def run():
    got = []
    with ThreadPoolExecutor(3) as pool:
        for job in as_completed([pool.submit(one, n) for n in range(7)]):
            got.append(step(slow, f"of {job.exception() or job.result()!r}"))
    ends(got)
    return got
""",
    "an initializer": """
def one(n): return step(slow, f"a{n}")
def run():
    with ThreadPoolExecutor(3, initializer=lambda: step(slow, "begin")) as pool:
        got = [step(slow, f"of {job.result()}") for job in as_completed([pool.submit(one, n) for n in range(7)])]
    ends(got)
    return got
""",
    "timers": """
def run():
    got = []
    timers = [threading.Timer(0.001, lambda n=n: got.append(step(slow, f"a{n}"))) for n in range(4)]
    for timer in timers: timer.start()
    got.append(step(slow, "main"))
    for timer in timers: timer.join()
    step(slow, f"end {got}")
    ends(got)
    return got
""",
    "polls": """
def run():
    got = []
    with ThreadPoolExecutor(3) as pool:
        left = [pool.submit(step, slow, f"a{n}") for n in range(5)]
        while left:
            for job in [job for job in left if job.done()]:
                left.remove(job)
                got.append(step(slow, f"of {job.result()}"))
    ends(got)
    return got
""",
    "loops of threads": """
async def aslow(name):
    await asyncio.sleep(real.random() * 0.01)
    return effect(name)
async def main(n):
    got = []
    for one in asyncio.as_completed([step(aslow, f"a{n}.{k}") for k in range(3)]):
        got.append(await step(aslow, f"of {await one}"))
    return got
def run():
    with ThreadPoolExecutor(3) as pool:
        got = [job.result() for job in as_completed([pool.submit(asyncio.run, main(n)) for n in range(3)])]
    step(slow, f"end {got}")
    ends(got)
    return got
""",
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_w13_what_threads_see_of_each_other_is_the_same_again(app: App, traces: Path, body: str) -> None:
    # promise: threads
    answer = await survived(app, traces, HEAD + ENDS + body)
    assert not repeated(line for line in effects(traces) if line != "begin")
    assert answer["result"]


@pytest.mark.parametrize("name", [name for name in BODIES if name != "no steps in the items"])
async def test_w13_threads_are_killed_at_any_point(app: App, traces: Path, name: str) -> None:
    """THREADS_SEED repeats the choice of the points, though not what the machine did meanwhile."""
    seed = int(os.environ.get("THREADS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"THREADS_SEED={seed}")
    kills = sorted(random.Random(seed).sample(range(1, 9), 2))
    answer = await survived(app, traces, HEAD.replace("KILLS = ()", f"KILLS = {kills}") + ENDS + BODIES[name])
    again = sum(count - 1 for line, count in repeated(effects(traces)).items() if line != "begin")
    assert answer["result"] and again <= 8 * len(kills), "only what was under way is done again"


async def test_w13_threads_and_then_a_sleep_that_parks(app: App, traces: Path) -> None:
    body = BODIES["as_completed"].replace("    ends(got)", "    sleep(5.1)\n    ends(got)")
    await survived(app, traces, HEAD + ENDS + body)
    assert not repeated(effects(traces))
