"""Bodies in real worker processes over real sockets: what they say, how they end, and that nothing of one reaches the next."""

from __future__ import annotations

import os
import signal

import pytest

from support import workers
from support.workers import TIMEOUT_S, Worker, pooled

shared, worker = workers.shared, workers.worker


# Kinds of bodies.

BODIES = {
    "function": "def run(a: int) -> list[int]:\n    return [a, a + 1]",
    "coroutine": "import asyncio\nasync def run(a: int) -> list[int]:\n    await asyncio.sleep(0)\n    return [a, a + 1]",
    "generator": "def run(a: int):\n    yield a\n    yield a + 1",
    "async generator": "async def run(a: int):\n    yield a\n    yield a + 1",
    "function giving a coroutine": "async def work(a): return [a, a + 1]\ndef run(a: int): return work(a)",
    "generator with a return": "def run(a: int):\n    yield 'x'\n    return [a, a + 1]",
    "function giving a generator": "def run(a: int): return (a + i for i in range(2))",
}


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_of_body_gives_its_result(worker: Worker, kind: str) -> None:
    assert worker.result(BODIES[kind], {"a": "4"}) == [4, 5]


def test_yielded_items_are_events_as_they_come(worker: Worker) -> None:
    source = """
    class Odd:
        def __repr__(self): return "Odd!"
    def run() -> "Generator[Any, None, str]":
        yield 1
        yield {"a": [2.5, None], "n": float("nan")}
        yield Odd()
        yield 2**100
        yield "lone \\ud800"
        return "end"
    from typing import Any, Generator
    """
    assert worker.result(source) == "end"
    assert [data["value"] for data in worker.said("item")] == [
        1,
        {"a": [2.5, None], "n": None},
        "Odd!",
        str(2**100),
        "lone \ufffd",
    ]


def test_a_generator_without_end_is_stopped(worker: Worker) -> None:
    assert worker.fault("import itertools\ndef run():\n    yield from itertools.count()").code == "too_many_items"
    assert len(worker.events) == 10_001 and "not recorded" in worker.events[-1].data["message"]


def test_async_bodies_may_use_subprocesses_threads_and_task_groups(worker: Worker) -> None:
    source = """
    import asyncio, sys
    async def run():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6)", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.to_thread(lambda: 7))
        return [int(out), task.result()]
    """
    assert worker.result(source) == [6, 7]


# What a body says.


def test_prints_logs_and_progress_are_events_in_order(worker: Worker) -> None:
    source = """
    import sys
    def run():
        print("one"); print("two", end="")
        print(" and a half")
        sys.stdout.write("a\\nb\\n")
        print("err", file=sys.stderr)
        sys.stdout.buffer.write("bytes é\\n".encode())
        log("three", n=1, odd=2**70)
        log.warn("four")
        progress(1, 2, "half")
        print("unfinished", end="")
    """
    assert worker.result(source) is None
    assert worker.messages == ["one", "two and a half", "a\nb", "err", "bytes é", "three", "four", "unfinished"]
    logs = worker.said()
    assert (logs[0]["source"], logs[3]["source"], logs[6]["level"]) == ("stdout", "stderr", "warning")
    assert (logs[5]["n"], logs[5]["odd"]) == (1, str(2**70))
    assert worker.said("progress") == [{"done": 1, "total": 2, "message": "half"}]


def test_the_names_work_awaited_imported_and_from_threads(worker: Worker) -> None:
    source = """
    import threading
    import repertoire
    from repertoire import log as imported, session_state as state
    async def run():
        await log.info("awaited")
        await progress(1)
        imported.error("imported")
        thread = threading.Thread(target=lambda: print("thread"))
        thread.start(); thread.join()
        session_state["same"] = state is session_state is repertoire.session_state
        await commit_state()
        return session_state
    """
    assert worker.result(source, state="{}") == {"same": True}
    assert worker.messages == ["awaited", "imported", "thread"]


def test_megabytes_of_prints_are_cut_and_counted(worker: Worker) -> None:
    source = "def run():\n    print('x' * 5_000_000)\n    for i in range(20_000): print(i)\n    return 'ok'"
    assert worker.result(source, max_message_bytes=1000) == "ok"
    assert worker.messages[0].endswith("characters cut]") and len(worker.messages[0]) < 1100
    assert len(worker.events) == 10_001


def test_threads_that_print_at_once_do_not_mix_their_lines(worker: Worker) -> None:
    source = """
    import threading
    def say(): [print("x" * 100) for _ in range(100)]
    def run():
        threads = [threading.Thread(target=say) for _ in range(8)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
    """
    worker.result(source)
    assert worker.messages == ["x" * 100] * 800


def test_functions_of_a_workflow_can_be_sent_to_its_own_processes(worker: Worker) -> None:
    source = """
    import multiprocessing
    def double(x): return 2 * x
    def run():
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(double, [1, 2])
    """
    assert worker.result(source) == [2, 4]


def test_what_c_code_prints_never_reaches_the_protocol(worker: Worker) -> None:
    source = """
    import os, subprocess, sys
    def run():
        os.write(1, b"raw")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
        return [sys.stdin.read(), sys.stdout.fileno()]
    """
    assert worker.result(source) == ["", 1]


def test_a_body_that_bends_its_streams_does_not_silence_the_next(worker: Worker) -> None:
    worker.run("import sys\ndef run():\n    sys.stdout.close(); sys.stdout = None; sys.stderr = 5")
    worker.result("def run(): print('heard')")
    assert worker.messages == ["heard"]


# How a body ends.


def test_an_exception_names_its_line_and_hides_our_frames(worker: Worker) -> None:
    source = "import json\n\ndef inner(x):\n    return json.loads(x)\n\ndef run(x: str):\n    return inner(x)\n"
    fault = worker.fault(source, {"x": "{"})
    assert (fault.code, fault.type, fault.line) == ("exception", "JSONDecodeError", 4)
    assert fault.traceback is not None and "return inner(x)" in fault.traceback
    assert "repertoire/worker" not in fault.traceback and "call.py" not in fault.traceback


def test_an_exception_in_a_coroutine_hides_asyncio(worker: Worker) -> None:
    fault = worker.fault("async def run():\n    raise KeyError('k')")
    assert (fault.type, fault.line) == ("KeyError", 2)
    assert fault.traceback is not None and "asyncio" not in fault.traceback


def test_exceptions_that_resist_being_shown_are_shown(worker: Worker) -> None:
    fault = worker.fault("class E(Exception):\n    def __str__(self): raise ValueError\ndef run(): raise E")
    assert fault.type == "E" and "cannot be shown" in fault.message
    assert worker.fault("def run(): raise ValueError('x' * 100_000 + '\\ud800')").message.endswith("characters cut]")
    group = "def run(): raise ExceptionGroup('g', [ValueError('inner')])"
    assert "ValueError: inner" in worker.fault(group).message
    named = "WORD = 'told'\nclass E(Exception):\n    def __str__(self): return WORD\ndef run(): raise E"
    assert worker.fault(named).message == "told"


def test_endless_recursion_is_an_exception(worker: Worker) -> None:
    assert worker.fault("def run(): return run()").type == "RecursionError"


@pytest.mark.parametrize("ending", ["import sys; sys.exit(3)", "raise SystemExit(3)", "exit(3)"])
def test_sys_exit_ends_the_run_and_not_the_worker(worker: Worker, ending: str) -> None:
    fault = worker.fault(f"def run():\n    {ending}")
    assert fault.code == "exit" and "3" in fault.message
    assert worker.result("def run(): return 1") == 1


def test_os_exit_closes_the_socket() -> None:
    with pooled() as (worker, process):
        assert worker.run("import os\ndef run():\n    print('last')\n    os._exit(4)") is None
        assert worker.messages == ["last"]
        assert process.wait(TIMEOUT_S) == 4


@pytest.mark.parametrize(
    "where", ["def run():\n    print('busy')\n    while True: pass", "print('busy')\nwhile True: pass"]
)
def test_a_busy_body_or_import_can_be_killed(where: str) -> None:
    with pooled() as (worker, process):
        worker.begin(where)
        assert worker.first_event().data["message"] == "busy"
        os.killpg(process.pid, signal.SIGKILL)
        assert worker.end() is None


def test_a_worker_ends_when_its_host_goes_even_while_a_body_is_busy() -> None:
    with pooled() as (worker, process):
        worker.begin("def run():\n    print('busy')\n    while True: pass")
        worker.first_event()
        worker.line.sock.close()
        assert process.wait(TIMEOUT_S) == 0


def test_an_idle_worker_ends_when_its_host_goes_and_has_written_nothing_to_stdout() -> None:
    with pooled() as (worker, process):
        assert worker.result("import os\ndef run(): os.write(1, b'raw')") is None
        worker.line.sock.close()
        assert process.wait(TIMEOUT_S) == 0
        assert process.stdout is not None and process.stdout.read() == b""


def test_threads_that_a_body_leaves_behind_hold_nothing_up_and_speak_for_no_other_run(worker: Worker) -> None:
    leave = """
    import threading, builtins
    builtins.go, builtins.gone = threading.Event(), threading.Event()
    def late():
        builtins.go.wait()
        print("late")
        builtins.gone.set()
    def run():
        threading.Thread(target=late).start()
        return 1
    """
    assert worker.result(leave) == 1
    assert (
        worker.result("import builtins\ndef run():\n    builtins.go.set()\n    builtins.gone.wait()\n    print('mine')")
        is None
    )
    assert worker.messages == ["mine"]


def test_a_call_still_running_in_a_thread_does_not_hold_up_the_result(worker: Worker) -> None:
    source = """
    import asyncio, builtins, threading
    builtins.hold = threading.Event()
    async def run():
        try:
            await asyncio.wait_for(asyncio.to_thread(builtins.hold.wait), 0.01)
        except TimeoutError:
            return "partial"
    """
    assert worker.result(source) == "partial"
    worker.result("import builtins\ndef run(): builtins.hold.set()")


def test_a_child_that_the_body_forks_cannot_break_the_frames(worker: Worker) -> None:
    source = """
    import os
    def run():
        pid = os.fork()
        if pid == 0:
            print("from the child")
            return "child"
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """
    assert worker.result(source) == 0
    assert worker.result("def run(): return 2") == 2
