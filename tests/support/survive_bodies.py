"""Survive bodies: bodies of every form that a crash may hit, with the effects and results that each must have after any number of kills.

Each takes the folder for its traces. An effect's name begins with the workflow's. It is written once for each execution, and it is the
result of the step. So the journal says which effects were committed. `before-NAME` or `after-NAME` in the folder kills the worker
there, once.
"""

from __future__ import annotations

from typing import Any

TRACES = """
import asyncio, os, signal, time

FOLDER = ""

def here(folder):
    global FOLDER
    FOLDER = folder

def point(when, name):
    try:
        os.unlink(os.path.join(FOLDER, f"{when}-{name}"))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

def effect(name, after=0.0):
    time.sleep(after)
    point("before", name)
    with open(os.path.join(FOLDER, "effects"), "a") as file:
        file.write(name + "\\n")
    point("after", name)
    return name

async def aeffect(name, after=0.0):
    await asyncio.sleep(after)
    return effect(name)
"""

SOURCES: dict[str, str] = {
    "seq": """
def run(folder: str) -> list:
    here(folder)
    got = []
    for n in range(6):
        got.append(step(effect, f"seq {n}", 0.08))
        log(f"did {n}")
    return got
""",
    "eight": """
async def run(folder: str) -> list:
    here(folder)
    got = []
    for round in range(3):
        got += await asyncio.gather(*(step(aeffect, f"eight {round}.{n}", (n * 5 % 8) * 0.02) for n in range(8)))
        log(f"round {round}")
    return got
""",
    "chains": """
import random

async def chain(n, length):
    rest = random.Random(n)
    for k in range(length):
        await step(aeffect, f"chains {n}.{k}", rest.random() * 0.08)
        await asyncio.sleep(rest.random() * 0.02)
    return n

async def run(folder: str) -> list:
    here(folder)
    order = []
    for done in asyncio.as_completed([chain(n, 3) for n in range(4)]):
        n = await done
        order.append(n)
        await step(aeffect, f"chains as {len(order)} {n}")
    tasks = {asyncio.create_task(chain(n, 3)) for n in range(4, 8)}
    while tasks:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            order.append(task.result())
            await step(aeffect, f"chains first {len(order)} {order[-1]}")
    step(effect, "chains " + " ".join(map(str, order)))
    return order
""",
    "items": """
def run(folder: str):
    here(folder)
    for n in range(6):
        yield step(effect, f"items {n}", 0.06)
        log(f"gave {n}")
""",
    "aitems": """
async def run(folder: str):
    here(folder)
    for n in range(6):
        yield await step(aeffect, f"aitems {n}", 0.06)
        log(f"gave {n}")
""",
    "threads": """
from concurrent.futures import ThreadPoolExecutor

def pair(n):
    return [step(effect, f"threads {n}a", 0.05 * (n % 3)), step(effect, f"threads {n}b", 0.05)]

def run(folder: str) -> list:
    here(folder)
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(pair, range(5)))
    return [name for names in got for name in names] + [step(effect, "threads end")]
""",
    "athreads": """
def pair(n):
    return [step(effect, f"athreads {n}a", 0.05 * (n % 3)), step(effect, f"athreads {n}b", 0.05)]

async def run(folder: str) -> list:
    here(folder)
    got = await asyncio.gather(*(asyncio.to_thread(pair, n) for n in range(4)), step(aeffect, "athreads beside", 0.1))
    got.append([await step(aeffect, "athreads end")])
    return sorted(name for names in got for name in ([names] if isinstance(names, str) else names))
""",
    "group": """
async def pair(n):
    return [await step(aeffect, f"group {n}a", 0.05 * n), await step(aeffect, f"group {n}b", 0.05)]

async def run(folder: str) -> list:
    here(folder)
    alone = asyncio.create_task(pair(0))
    async with asyncio.TaskGroup() as tasks:
        inside = [tasks.create_task(pair(n)) for n in (1, 2, 3)]
    return [name for task in (alone, *inside) for name in await task]
""",
    "child": """
def run(folder: str, name: str, deep: bool = False) -> list:
    here(folder)
    got = [step(effect, f"{name} {n}", 0.05) for n in range(3)]
    return got + (workflows.child(folder=folder, name=name + " deep") if deep else [])
""",
    "parent": """
async def run(folder: str) -> list:
    here(folder)
    first = await workflows.child(folder=folder, name="parent first", deep=True)
    many = await asyncio.gather(*(workflows.invoke("child", folder=folder, name=f"parent {n}") for n in range(3)))
    return [*first, *(name for names in many for name in names), step(effect, "parent end")]
""",
    "state": """
def run(folder: str) -> list:
    here(folder)
    session_state.setdefault("seen", [])
    for n in range(5):
        session_state["seen"].append(step(effect, f"state {n}", 0.06))
        if n == 2:
            commit_state()
    return session_state["seen"]
""",
    "asks": """
async def run(folder: str) -> list:
    here(folder)
    got = [step(effect, "asks first", 0.05)]
    answer, beside = await asyncio.gather(ask("Which?"), step(aeffect, "asks beside", 0.1))
    got += [beside, step(effect, f"asks {answer}")]
    session_state["answer"] = answer
    again = ask("Sure?", {"type": "boolean"})
    return got + [step(effect, f"asks {again}")]
""",
    "boss": """
def run(folder: str) -> list:
    here(folder)
    return [*workflows.asks(folder=folder), step(effect, "boss end")]
""",
    "chance": """
import random, uuid

def note_pid():
    with open(os.path.join(FOLDER, "pids"), "a") as file:
        file.write(f"{os.getpid()}\\n")

async def chain(name, n):
    for k in range(4):
        await asyncio.sleep(random.random() * 0.05)
        await step(aeffect, f"{name} {n}.{k} {uuid.uuid4()}", random.random() * 0.1)
        log(f"{n}.{k}")
    return n

async def run(folder: str, name: str) -> list:
    here(folder)
    note_pid()
    order = []
    for done in asyncio.as_completed([chain(name, n) for n in range(4)]):
        order.append(await done)
        step(effect, f"{name} {len(order)} {order[-1]} {time.time()}")
    got = await asyncio.gather(*(asyncio.to_thread(step, effect, f"{name} thread {n}", 0.05) for n in range(2)))
    return [order, *got]
""",
}

ANSWERS: dict[str, Any] = {"Which?": "this", "Sure?": True}
TOP = tuple(name for name in SOURCES if name not in ("child", "boss", "chance"))

RESULTS: dict[str, list[str]] = {
    "seq": [f"seq {n}" for n in range(6)],
    "eight": [f"eight {round}.{n}" for round in range(3) for n in range(8)],
    "items": [f"items {n}" for n in range(6)],
    "aitems": [f"aitems {n}" for n in range(6)],
    "threads": [f"threads {n}{half}" for n in range(5) for half in "ab"] + ["threads end"],
    "athreads": sorted([f"athreads {n}{half}" for n in range(4) for half in "ab"] + ["athreads beside", "athreads end"]),
    "group": [f"group {n}{half}" for n in range(4) for half in "ab"],
    "parent": [f"parent first {n}" for n in range(3)] + [f"parent first deep {n}" for n in range(3)]
    + [f"parent {m} {n}" for m in range(3) for n in range(3)] + ["parent end"],
    "state": [f"state {n}" for n in range(5)],
    "asks": ["asks first", "asks beside", "asks this", "asks True"],
    "boss": ["asks first", "asks beside", "asks this", "asks True", "boss end"],
}  # fmt: skip
"""Of `chains` the result is an order, which may be any."""

LOGS: dict[str, list[str]] = {
    "seq": [f"did {n}" for n in range(6)],
    "eight": [f"round {n}" for n in range(3)],
    "items": [f"gave {n}" for n in range(6)],
    "aitems": [f"gave {n}" for n in range(6)],
}


def source(name: str) -> str:
    return f'"""Leave traces."""\n{TRACES}\n{SOURCES[name]}'
