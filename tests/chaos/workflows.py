"""Sources of the bodies that the campaign runs: each walks a plan (plans.py) and leaves a line for all that it does.

The lines go into one file, `traces`, each in one write at its end, so their order is the order in which things happened:

    + NAME        a step begins
    = NAME        its effect: it is done
    ( NAME PID    a body begins
    ) NAME PID    it ends
    # NAME PID    a second body of the run was alive beside it for longer than a killed process takes to die
    ! N / ? N     the disturbance number N begins / is over (faults.py)
    $ NAME        a step has been seen recorded (driver.py)
"""

from __future__ import annotations

from typing import Final

TRACES: Final = '''
import asyncio, contextlib, fcntl, os, select, time
from concurrent.futures import ThreadPoolExecutor

FOLDER = ""
LOCK_TRIES = 400


def mark(line):
    file = os.open(os.path.join(FOLDER, "traces"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, (line + "\\n").encode())
    finally:
        os.close(file)


def locked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        select.select([], [], [], 0.05)  # real time: `time.sleep` is the run's own clock
        return False


@contextlib.contextmanager
def body(folder, name):
    global FOLDER
    FOLDER = folder
    file = os.open(os.path.join(folder, "bodies", name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not any(locked(file) for _ in range(LOCK_TRIES)):
            mark(f"# {name} {os.getpid()}")
        mark(f"( {name} {os.getpid()}")
        yield
        mark(f") {name} {os.getpid()}")
    finally:
        os.close(file)


def effect(name, after):
    mark(f"+ {name}")
    time.sleep(after)
    mark(f"= {name}")
    return name


async def aeffect(name, after):
    mark(f"+ {name}")
    await asyncio.sleep(after)
    mark(f"= {name}")
    return name


def broken(name, after):
    effect(name, after)
    raise LookupError(name)


def flat(parts):
    return [name for part in parts for name in part]


TINY = """\\"\\"\\"Made by a body.\\"\\"\\"

def run(n: int) -> int:
    return n + 1
"""
'''

WALK: Final = """
def walk(node):
    kind, name = node["do"], node["name"]
    if kind == "step":
        return [step(effect, name, node["s"])]
    if kind == "broken":
        try:
            return [step(broken, name, node["s"])]
        except LookupError:
            return [name]
    if kind == "rest":
        time.sleep(node["s"])
    elif kind == "sleep":
        sleep(node["s"])
    elif kind == "log":
        log(name)
    elif kind == "ask":
        return [ask(name)]
    elif kind == "run":
        return workflows.invoke(node["workflow"], folder=FOLDER, plan=node)
    elif kind == "make":
        workflows.create(name, TINY)
        got = 2 if workflows.get(name) else 0  # it is untrusted, so this file may not call it
        workflows.delete(name)
        return [f"{name} {got}"]
    elif kind == "threads":
        with ThreadPoolExecutor(3) as pool:
            return flat(pool.map(walk, node["of"]))
    elif kind == "seq":
        return flat([walk(one) for one in node["of"]])
    return []
"""

AWALK: Final = (
    WALK
    + """

async def awalk(node):
    kind, name = node["do"], node["name"]
    if kind == "step":
        return [await step(aeffect, name, node["s"])]
    if kind == "rest":
        await asyncio.sleep(node["s"])
    elif kind == "sleep":
        await sleep(node["s"])
    elif kind == "ask":
        return [await ask(name)]
    elif kind == "run":
        return await workflows.invoke(node["workflow"], folder=FOLDER, plan=node)
    elif kind == "gather":
        return flat(await asyncio.gather(*(awalk(one) for one in node["of"])))
    elif kind == "group":
        async with asyncio.TaskGroup() as tasks:
            inside = [tasks.create_task(awalk(one)) for one in node["of"]]
        return flat([task.result() for task in inside])
    elif kind == "completed":
        got = []
        for done in asyncio.as_completed([awalk(one) for one in node["of"]]):
            got += await done
        return got
    elif kind == "threads":
        return flat(await asyncio.gather(*(asyncio.to_thread(walk, one) for one in node["of"])))
    elif kind == "seq":
        got = []
        for one in node["of"]:
            got += await awalk(one)
        return got
    else:
        return walk(node)
    return []
"""
)

ASYNC: Final = f'''"""Walk a plan with tasks."""
{TRACES}{AWALK}

async def run(folder: str, plan: dict) -> list:
    with body(folder, plan["name"]):
        got = flat([await awalk(one) for one in plan["of"]])
    if plan.get("fails"):
        raise ArithmeticError(plan["name"])
    return sorted(got)
'''

PLAIN: Final = f'''"""Walk a plan, one thing after the other or in threads."""
{TRACES}{WALK}

def run(folder: str, plan: dict) -> list:
    with body(folder, plan["name"]):
        got = flat([walk(one) for one in plan["of"]])
    if plan.get("fails"):
        raise ArithmeticError(plan["name"])
    return sorted(got)
'''

COUNT: Final = f'''"""Count the runs of a session, and walk a plan."""
{TRACES}{WALK}

def run(folder: str, plan: dict) -> list:
    with body(folder, plan["name"]):
        session_state["count"] = session_state.get("count", 0) + 1
        session_state.setdefault("names", []).append(plan["name"])
        got = flat([walk(one) for one in plan["of"]])
    return sorted(got)
'''

COMMIT: Final = f'''"""Count the runs of a session and save that at once, and walk a plan."""
{TRACES}{WALK}

def run(folder: str, plan: dict) -> list:
    with body(folder, plan["name"]):
        got = walk(plan["of"][0])
        session_state["count"] = session_state.get("count", 0) + 1
        session_state.setdefault("names", []).append(plan["name"])
        commit_state()
        got += flat([walk(one) for one in plan["of"][1:]])
    if plan.get("fails"):
        raise ArithmeticError(plan["name"])
    return sorted(got)
'''

FILES: Final = {"grow": ASYNC, "plain": PLAIN, "count": COUNT}
"""The operator's: run in workers that are used again."""
CREATED: Final = {"grow_made": ASYNC, "plain_made": PLAIN, "commit": COMMIT}
"""Created by a client: each run has a process of its own."""
STATEFUL: Final = frozenset(("count", "commit"))
ASYNC_ONES: Final = frozenset(("grow", "grow_made"))

TINY: Final = '"""Add one to a number."""\n\ndef run(n: int) -> int:\n    return n + 1\n'
"""What clients create and delete."""
