"""Forked children of a body: as in a plain script, while the run's socket and its record stay with the process that runs the body."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from repertoire import wire
from repertoire.app import App
from support import replays, workers
from support.replays import ME, ended, publish
from support.survivals import run
from support.workers import Worker, Zygote, code_of, pooled

shared, worker, zygote = workers.shared, workers.worker, workers.zygote
home, app, traces = replays.home, replays.app, replays.traces

pytestmark = pytest.mark.anyio

FORK = "import multiprocessing as mp\nctx = mp.get_context('fork')\n"

TALKATIVE = (
    FORK
    + """
import logging, sys, time, warnings
def work(i):
    print("printed", i)
    print("to stderr", i, file=sys.stderr)
    logging.getLogger("w").warning("logged %d", i)
    warnings.warn(f"warned {i}")
    log.error("told", i=i)
    progress(i, 2)
    time.sleep(1.01)
    return i * i
"""
)
STYLES = {
    "function": "def run():\n    with ctx.Pool(2) as pool: return pool.map(work, range(2))",
    "context": "def run(ctx):\n    with mp.get_context('fork').Pool(2) as pool: return pool.map(work, range(2))",
    "class": "from repertoire import Workflow\nclass W(Workflow):\n    def run(self):\n"
    "        with ctx.Pool(2) as pool: return pool.map(work, range(2))",
}


@pytest.mark.parametrize("style", STYLES)
def test_w2_a_forked_child_may_say_whatever_it_likes_and_sleep(worker: Worker, style: str) -> None:
    source = TALKATIVE + STYLES[style]
    code = code_of(source, {}, f"{style}_talks")
    entry = "W" if style == "class" else None
    worker.events = []
    worker.line.send(
        wire.Task("run", code.key, "{}", code=wire.Code(code.key, code.name, code.source, code.filename, entry=entry))
    )  # fmt: skip
    frame = worker.end()
    assert isinstance(frame, wire.Done) and frame.result == "[0,1]", frame
    said = "\n".join(worker.messages)
    for i in range(2):
        for line in (f"printed {i}", f"to stderr {i}", f"logged {i}", f"warned {i}"):
            assert line in said
    assert sorted(data["i"] for data in worker.said() if data["message"] == "told") == [0, 1]
    assert sorted(data["done"] for data in worker.said("progress")) == [0, 1]
    assert worker.result("def run(): return 'the worker lives on'") == "the worker lives on"


def test_w2_a_failed_child_reads_as_one_and_shows_its_traceback(worker: Worker) -> None:
    source = (
        FORK
        + """
import os, sys
def fail(i): raise ValueError(f"of {i}")
def leave(how):
    print("without end", how, end="")
    sys.exit(how)
def exit_code(target, *args):
    child = ctx.Process(target=target, args=args); child.start(); child.join()
    return child.exitcode
def run():
    with ctx.Pool(1) as pool:
        try: pool.map(fail, [1])
        except ValueError as error: caught = str(error)
    return [caught, exit_code(fail, 2), exit_code(leave, 3), exit_code(leave, "words"), exit_code(leave, None), exit_code(os.abort)]
"""
    )
    assert worker.result(source) == ["of 1", 1, 3, 1, 0, -signal.SIGABRT]
    assert "ValueError: of 2" in worker.messages and "words" in worker.messages
    assert "without end 3" in worker.messages


@pytest.mark.parametrize(
    ("end", "code"),
    [("return 5", 0), ("raise ValueError('x')", 1), ("sys.exit(7)", 7), ("sys.exit('x')", 1), ("os._exit(9)", 9)],
)
def test_w2_a_child_of_os_fork_that_reaches_the_end_of_the_body_ends_as_a_script(
    worker: Worker, end: str, code: int
) -> None:
    source = f"""
    import atexit, os, sys
    def run():
        pid = os.fork()
        if pid == 0:
            atexit.register(print, "at exit")
            print("child")
            {end}
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """
    assert worker.result(source) == code
    assert "child" in worker.messages and ("at exit" in worker.messages) == ("_exit" not in end)
    assert worker.result("def run(): return 2") == 2


CALLS = {
    "step(str, 1)": "step",
    "ask('sure?')": "ask",
    "commit_state()": "commit_state",
    "workflows.other(a=1)": "",
    "asyncio.run(aio())": "step",
}


@pytest.mark.parametrize("call", CALLS)
def test_w2_a_call_that_needs_the_host_is_refused_in_a_child_with_a_sentence(worker: Worker, call: str) -> None:
    source = (
        FORK
        + f"""
import asyncio
async def aio(): await step(str, 1)
def work(_):
    try: {call}
    except Exception as error: return f"{{type(error).__name__}} {{error}}"
def run():
    with ctx.Pool(1) as pool: return pool.map(work, [0])[0] + str(step(str, 2))
"""
    )
    message = worker.result(source, state="{}")
    assert message.startswith(f"NotInAChild {CALLS[call]}") and "a child process cannot" in message
    assert message.endswith("2"), "the parent's own calls go on"


def test_w2_time_sleep_and_loops_of_a_child_are_real(worker: Worker) -> None:
    source = (
        FORK
        + """
import asyncio, datetime, time
async def both():
    await sleep(0.06)
    return await asyncio.gather(*(asyncio.sleep(0.01, i) for i in range(3)))
def work(_):
    began = time.monotonic(); sleep(0.06); time.sleep(0.01)
    return [time.monotonic() - began > 0.06, abs(time.time() - datetime.datetime.now().timestamp()) < 5, asyncio.run(both())]
async def run():
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1, mp_context=ctx) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, work, 0)
"""
    )
    assert worker.result(source) == [True, True, [0, 1, 2]]


def test_w2_forking_while_threads_print_never_locks_a_child(worker: Worker) -> None:
    source = (
        FORK
        + """
import threading
def child(i): [print("child", i, n) for n in range(10)]
def noise(stop):
    while not stop.is_set(): print("noise")
def run():
    stop = threading.Event()
    thread = threading.Thread(target=noise, args=(stop,)); thread.start()
    codes = []
    for i in range(10):
        child_process = ctx.Process(target=child, args=(i,)); child_process.start(); child_process.join()
        codes.append(child_process.exitcode)
    stop.set(); thread.join()
    return codes
"""
    )
    assert worker.result(source) == [0] * 10


SEEDS = (
    FORK
    + """
import random, uuid
def draw(q, depth):
    q.put([depth, random.random(), str(uuid.uuid4())])
    if depth:
        inner = ctx.Process(target=draw, args=(q, depth - 1)); inner.start(); inner.join()
def run():
    drawn = [random.random()]
    for _ in range(3):
        q = ctx.SimpleQueue(); child = ctx.Process(target=draw, args=(q, 1)); child.start(); child.join()
        drawn += [q.get(), q.get()]
    return drawn
"""
)


def test_w3_children_draw_numbers_of_their_own_that_the_run_determines(worker: Worker) -> None:
    first, again, other = (worker.result(SEEDS, run_id=run_id) for run_id in ("a", "a", "b"))
    assert first == again != other
    numbers = [first[0], *(drawn[1] for drawn in first[1:]), *(drawn[2] for drawn in first[1:])]
    assert len(set(numbers)) == len(numbers) == 13


def test_w3_libraries_numbers_and_numpys_are_seeded_in_children_too(worker: Worker) -> None:
    source = (
        FORK
        + """
import sys, types
numpy = types.ModuleType("numpy.random"); seeds = []; numpy.seed = seeds.append
sys.modules["numpy.random"] = numpy
import tempfile, random
def draw(q):
    real = sys.modules["random"]
    q.put([real.random(), seeds[-1]])
def run():
    drawn = []
    for _ in range(2):
        q = ctx.SimpleQueue(); child = ctx.Process(target=draw, args=(q,)); child.start(); child.join()
        drawn.append(q.get())
    del sys.modules["numpy.random"]
    return drawn
"""
    )
    (a, a_seed), (b, b_seed) = worker.result(source, run_id="a")
    assert a != b and a_seed != b_seed
    assert worker.result(source, run_id="a") == [[a, a_seed], [b, b_seed]]


def test_w2_processes_that_are_not_joined_are_waited_for_as_at_a_scripts_end(worker: Worker) -> None:
    source = (
        FORK
        + """
import time
from concurrent.futures import ProcessPoolExecutor
POOL = ProcessPoolExecutor(1, mp_context=ctx)
def late(word): time.sleep(0.1); print(word)
def forever(): time.sleep(1000)
def run():
    MANAGER = ctx.Manager()
    ctx.Process(target=late, args=("process",)).start()
    ctx.Process(target=forever, daemon=True).start()
    POOL.submit(late, "executor")
    return MANAGER.list([1])[0]
"""
    )
    assert worker.result(source) == 1
    assert sorted(worker.messages) == ["executor", "process"]
    assert worker.result("import multiprocessing\ndef run(): return len(multiprocessing.active_children())") == 0


@pytest.mark.parametrize("how", ["subprocess.Popen(['sleep', '1000'])", "os.system('sleep 1000 &')"])
def test_w2_a_worker_with_a_process_left_in_it_is_not_used_again(how: str) -> None:
    with pooled() as (worker, _):
        worker.run("import subprocess\ndef run(): subprocess.run(['echo', 'a'])")
        assert worker.settled() is None
        worker.run(f"import os, subprocess\ndef run(): {how}")
        assert worker.settled() == "a process that was left behind"


def test_w2_multiprocessing_is_as_new_in_the_next_run(worker: Worker) -> None:
    source = """
    import multiprocessing as mp
    def name(): print(mp.current_process().name)
    def run():
        mp.set_start_method("fork")
        child = mp.Process(target=name); child.start(); child.join()
    """
    for _ in range(2):
        assert worker.run(source).result == "null"
        assert worker.messages == ["Process-1"]


def test_w2_created_code_forks_as_well(zygote: Zygote) -> None:
    worker = zygote.fork(memory_mb=1024, open_files=1024)[2]
    assert worker.result(TALKATIVE + STYLES["function"]) == [0, 1]
    assert "printed 1" in worker.messages


async def test_w2_what_children_say_is_told_once_though_the_run_is_begun_again(app: App, traces: Path) -> None:
    source = (
        FORK
        + """
import subprocess
def say(i): print("child", i)
def both(i):
    child = ctx.Process(target=say, args=(i,)); child.start(); child.join()
    subprocess.run(["echo", f"program {i}"], check=True)
def run():
    both(1)
    print("body 1")
    step(effect, "one")
    ask("go on?")
    both(2)
    print("body 2")
    return "done"
"""
    )
    await publish(app, traces, flow=source)
    live = await app.service.runs.start(ME, "flow", {}, None)
    with anyio.fail_after(30):
        while (answer := await app.service.runs.get(ME, live.run.id))["status"] != "input_required":
            await anyio.sleep(0.02)
    await app.service.runs.answer(ME, live.run.id, "yes")
    answer = await ended(app, live.run.id)
    assert answer["result"] == "done", answer["error"]
    told = [event.public() async for event in app.service.runs.follow(live.run.id)]
    messages = [event["data"]["message"] for event in told if event["type"] == "log"]
    assert messages == [f"{who} {i}" for i in (1, 2) for who in ("child", "program", "body")]


async def test_w2_a_run_that_leaves_a_program_behind_is_followed_by_one_in_another_worker(
    app: App, traces: Path
) -> None:
    left = "import os, subprocess\ndef run():\n    subprocess.Popen(['sh', '-c', 'sleep 1000; echo late'])\n    return os.getpid()"
    await publish(app, traces, leaves=left, next="import os\ndef run(): return os.getpid()")
    first, second = await run(app, "leaves"), await run(app, "next")
    assert first["result"] != second["result"]
    deadline = time.monotonic() + 20
    while _lives(first["result"]) and time.monotonic() < deadline:
        await anyio.sleep(0.02)
    assert not _lives(first["result"])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
