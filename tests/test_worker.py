"""Bodies in real worker processes over real sockets: what they say, how they end, and that nothing of one reaches the next."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire import wire

SERVER = str(Path(__file__).resolve().parent.parent / "server")
TIMEOUT_S = 30.0
"""For what should take milliseconds; reached only when something hangs."""


class Line:
    """A socket to a worker or zygote, with frames."""

    def __init__(self, sock: socket.socket, decoder: Any = wire.worker_decoder) -> None:
        sock.settimeout(TIMEOUT_S)
        self.sock = sock
        self._decoder = decoder
        self._buffer = bytearray()
        self._frames: list[Any] = []

    def send(self, frame: Any) -> None:
        self.sock.sendall(wire.encode(frame))

    def receive(self) -> Any:
        """The next frame; None when the other end is closed."""
        while not self._frames:
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._buffer += data
            self._frames += [self._decoder.decode(frame) for frame in wire.frames(self._buffer)]
        return self._frames.pop(0)


class Worker:
    """A worker's host, for tests. `events` and `commits` are those of the last run."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.events: list[wire.RawEvent] = []
        self.commits: list[str] = []
        self.refuse_commits: str | None = None
        self._known: set[str] = set()

    def begin(self, source: str, arguments: dict[str, Any] | None = None, **task: Any) -> None:
        code = code_of(source, task.pop("modules", {}), task.pop("name", "w"))
        new = None if code.key in self._known else code
        self._known.add(code.key)
        self.events, self.commits = [], []
        run_id = task.pop("run_id", "run")
        self.line.send(wire.Task(run_id, code.key, json.dumps(arguments or {}), code=new, **task))

    def end(self) -> Any:
        while True:
            frame = self.line.receive()
            if isinstance(frame, wire.Events):
                self.events += frame.events
            elif isinstance(frame, wire.Call) and frame.op == "commit_state":
                self.commits.append(json.loads(frame.args)["state"])
                refusal = self.refuse_commits and wire.Fault("storage", "StorageError", self.refuse_commits)
                self.line.send(wire.Answer(frame.id, len(self.commits), 0.0, "null", refusal or None))
            elif isinstance(frame, wire.Record):
                self.line.send(wire.Answer(frame.id, 1, 0.0, frame.result, frame.error))
            else:
                return frame

    def run(self, source: str, arguments: dict[str, Any] | None = None, **task: Any) -> Any:
        """Done, Failed, or None when the worker is gone."""
        self.begin(source, arguments, **task)
        return self.end()

    def result(self, source: str, arguments: dict[str, Any] | None = None, **task: Any) -> Any:
        frame = self.run(source, arguments, **task)
        assert isinstance(frame, wire.Done), frame
        return json.loads(frame.result)

    def fault(self, source: str, arguments: dict[str, Any] | None = None, **task: Any) -> wire.Fault:
        frame = self.run(source, arguments, **task)
        assert isinstance(frame, wire.Failed), frame
        return frame.fault

    def inspect(self, source: str) -> Any:
        self.line.send(wire.Inspect(code_of(source, {}, "w")))
        return self.end()

    def first_event(self) -> wire.RawEvent:
        """Wait until the body has said something: then it runs."""
        frame = self.line.receive()
        assert isinstance(frame, wire.Events), frame
        return frame.events[0]

    def said(self, kind: str = "log") -> list[Any]:
        return [event.data for event in self.events if event.type == kind]

    @property
    def messages(self) -> list[str]:
        return [data["message"] for data in self.said()]


def code_of(source: str, modules: dict[str, str], name: str) -> wire.Code:
    bundled = tuple(wire.Module(path.removesuffix("/"), text, path.endswith("/")) for path, text in modules.items())
    source = textwrap.dedent(source)
    return wire.Code(f"{name}:{source}:{modules}", name, source, "/nowhere/w.py", bundled)


def start(*flags: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "repertoire.worker", *flags, "--fd", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), env={**os.environ, "PYTHONPATH": SERVER, "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    return process, ours


@contextlib.contextmanager
def pooled() -> Iterator[tuple[Worker, subprocess.Popen[bytes]]]:
    process, sock = start()
    with sock, process:
        try:
            yield Worker(Line(sock)), process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    with pooled() as (worker, _):
        yield worker


@pytest.fixture
def worker(shared: Worker) -> Worker:
    """One pooled worker for all tests that leave it alive, as in the product."""
    shared.refuse_commits = None
    return shared


class Zygote:
    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self.control = Line(sock, wire.zygote_report_decoder)
        self.process = process
        self._numbers = iter(range(1, 1000))
        self.sockets = contextlib.ExitStack()

    def fork(self, **limits: Any) -> tuple[int, int, Worker]:
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        self.sockets.enter_context(ours)
        with theirs:
            socket.send_fds(self.control.sock, [wire.encode(wire.Fork(number, **limits))], [theirs.fileno()])
            report = self.control.receive()
        assert isinstance(report, wire.Forked) and report.id == number
        return number, report.pid, Worker(Line(ours))


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    process, sock = start("--zygote")
    with sock, process:
        made = Zygote(sock, process)
        with made.sockets:
            yield made
        sock.close()
        process.wait(TIMEOUT_S)


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
        "lone ?",
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


# Loading.


@pytest.mark.parametrize(
    ("source", "code", "line", "words"),
    [
        ("def run(:\n  pass", "syntax_error", 1, "invalid syntax"),
        ("x = '\0'", "syntax_error", None, "null"),
        ("x = 1", "no_run", None, "no run"),
        ("run = 5", "no_run", None, "int"),
        ("from . import other\ndef run(): ...", "import_failed", 1, "relatively"),
        ("from .other import x\ndef run(): ...", "import_failed", 1, "relatively"),
        ("\nimport nowhere_at_all.sub\ndef run(): ...", "import_failed", 2, "nowhere_at_all"),
        ("\n\n1 / 0\ndef run(): ...", "import_failed", 3, "ZeroDivisionError"),
        ("import sys\nsys.exit(2)", "exit", 2, "sys.exit(2)"),
        ("def run(session_id: str): ...", "bad_signature", 1, "session_id"),
    ],
)
def test_a_module_that_cannot_be_loaded_says_why(
    worker: Worker, source: str, code: str, line: int | None, words: str
) -> None:
    for fault in (worker.fault(source), worker.inspect(source).fault):
        assert (fault.code, fault.line) == (code, line)
        assert words in fault.message


def test_a_missing_module_says_how_to_add_it(worker: Worker) -> None:
    for source in ("import nowhere_at_all.sub\ndef run(): ...", "def run():\n    import nowhere_at_all.sub"):
        fault = worker.fault(source)
        assert fault.hint is not None and f"{sys.executable} -m pip install nowhere_at_all " in fault.hint


def test_inspect_gives_schemas_and_notes_and_runs_only_the_top_level(worker: Worker) -> None:
    source = """
    from typing import TypedDict
    class Movie(TypedDict):
        title: str
    print("dropped")
    session_state["x"] = 1
    def run(a, m: Movie, n: int = 2) -> Movie:
        raise RuntimeError("not called")
    """
    inspected = worker.inspect(source)
    assert isinstance(inspected, wire.Inspected)
    schema = json.loads(inspected.input_schema)
    assert schema["required"] == ["a", "m"] and schema["$defs"]["Movie"]["type"] == "object"
    assert json.loads(inspected.output_schema)["title"] == "Movie"
    assert [note.rule for note in inspected.notes] == ["untyped_parameter"]


def test_module_globals_environment_path_and_folder_do_not_reach_the_next_run(worker: Worker, tmp_path: Path) -> None:
    source = """
    import os, sys
    count = 0
    def run(folder: str, items: list = []):
        global count
        count += 1
        items.append(count)
        found = [items, os.environ.get("LEAK"), "leak" in sys.path, os.getcwd() == folder]
        os.environ["LEAK"] = "1"; sys.path.insert(0, "leak"); os.chdir("/")
        return found
    """
    for _ in range(3):
        assert worker.result(source, {"folder": str(tmp_path)}, cwd=str(tmp_path)) == [[1], None, False, True]


def test_the_modules_own_types_are_fresh_in_each_run(worker: Worker) -> None:
    source = """
    import dataclasses, enum
    from pydantic import BaseModel, field_validator
    seen = []
    class Color(enum.Enum):
        RED = "red"
    class Item(BaseModel):
        n: int
        @field_validator("n")
        @classmethod
        def note(cls, value):
            seen.append(value)
            return value
    def run(item: Item, color: Color = Color.RED) -> list[int]:
        assert type(item) is Item and color is Color.RED
        return seen
    """
    for n in (1, 2, 3):
        assert worker.result(source, {"item": {"n": n}, "color": "red"}) == [n]


def test_bundled_modules_are_imported_and_belong_to_their_version(worker: Worker) -> None:
    source = "import helper\nfrom pack.deep import two\nimport sys\ndef run(): return [helper.one(), two, 'json' in sys.modules]"
    first = {"helper": "def one(): return 1", "pack/": "", "pack.deep": "two = 2"}
    second = {"helper": "def one(): return 10", "pack.deep": "two = 20"}
    assert worker.result(source, modules=first) == [1, 2, True]
    assert worker.result(source, modules=second) == [10, 20, True]
    assert worker.result(source, modules=first) == [1, 2, True]
    assert worker.fault("import helper\ndef run(): ...").code == "import_failed"


def test_an_exception_in_a_bundled_module_names_the_workflows_line(worker: Worker) -> None:
    fault = worker.fault(
        "import helper\ndef run():\n    return helper.bad()", modules={"helper": "\n\n\ndef bad():\n    return 1 / 0"}
    )
    assert fault.line == 3
    assert fault.traceback is not None and "/nowhere/helper.py" in fault.traceback and "return 1 / 0" in fault.traceback


def test_an_installed_module_wins_over_a_file_beside_the_workflow(worker: Worker) -> None:
    assert worker.result("import json\ndef run(): return json.dumps(1)", modules={"json": "dumps = None"}) == "1"


def test_a_key_that_the_worker_does_not_have_is_an_answer(worker: Worker) -> None:
    worker.line.send(wire.Task("run", "never sent", "{}"))
    assert worker.end().fault.code == "unknown_key"


# Arguments and results.


def test_wrong_arguments_are_a_fault_with_every_problem(worker: Worker) -> None:
    fault = worker.fault("def run(a: int, b: str): ...", {"a": "x", "z": 1})
    assert (fault.code, fault.type) == ("invalid_arguments", "ValidationError")
    assert all(f"`{name}`" in fault.message for name in "abz")


def test_long_strings_and_large_results_pass(worker: Worker) -> None:
    text = "é" * (1 << 20)
    assert worker.result("def run(text: str) -> str: return text", {"text": text}) == text
    assert len(worker.result("def run(): return 'x' * 5_000_000")) == 5_000_000


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def run(): return object()", "result_not_json"),
        ("def run() -> int: return 'x'", "result_mismatch"),
        ("def run(): return 'x' * 2000", "result_too_large"),
    ],
)
def test_a_result_that_is_none_fails_the_run(worker: Worker, source: str, code: str) -> None:
    assert worker.fault(source, max_result_bytes=1000).code == code


# Session state.

COUNTER = "def run():\n    session_state['n'] = session_state.get('n', 0) + 1\n    return session_state['n']"


def test_state_goes_round_and_is_silent_when_unchanged(worker: Worker) -> None:
    state = "{}"
    for n in (1, 2, 3):
        done = worker.run(COUNTER, state=state)
        assert json.loads(done.result) == n
        state = done.state
    assert worker.run("def run(): return session_state['n']", state=state) == wire.Done("3", None)
    assert worker.run("def run(): return len(session_state)", state="{}") == wire.Done("0", None)


def test_a_run_without_state_keeps_nothing_and_says_so(worker: Worker) -> None:
    assert worker.run(COUNTER) == wire.Done("1", None)
    assert "nothing of it is kept" in worker.messages[0]
    assert worker.run(COUNTER) == wire.Done("1", None)


def test_state_is_a_dict_with_nested_values_and_models_of_the_workflow(worker: Worker) -> None:
    source = """
    import json
    from pydantic import BaseModel
    class Note(BaseModel):
        text: str
    session_state.setdefault("notes", [])
    def run(text: str):
        assert isinstance(session_state, dict) and all(type(n) is Note for n in session_state["notes"])
        session_state["notes"].append(Note(text=text))
        session_state.setdefault("seen", set()).add((text, 1))
        return [n.text for n in session_state["notes"]]
    """
    first = worker.run(source, {"text": "a"}, state="{}")
    second = worker.run(source, {"text": "b"}, state=first.state)
    assert json.loads(second.result) == ["a", "b"]


def test_a_state_that_cannot_be_stored_fails_the_run_and_names_the_key(worker: Worker) -> None:
    fault = worker.fault("def run():\n    session_state['a'] = {'b': [open('/dev/null')]}", state='{"old":1}')
    assert fault.code == "state_not_serialisable" and "session_state['a']['b'][0]" in fault.message


def test_commit_state_stores_at_once_and_stays_when_the_run_fails(worker: Worker) -> None:
    source = "def run():\n    print('before')\n    session_state['n'] = 1\n    commit_state()\n    session_state['n'] = 2\n    raise ValueError"
    worker.fault(source, state="{}")
    assert [json.loads(state) for state in worker.commits] == [{"n": 1}]
    done = worker.run("async def run():\n    session_state['n'] = 1\n    await commit_state()", state="{}")
    assert done.state is None


def test_a_refused_commit_raises_in_the_body(worker: Worker) -> None:
    worker.refuse_commits = "the disk is full"
    fault = worker.fault("def run():\n    session_state['n'] = 1\n    commit_state()", state="{}")
    assert (fault.type, fault.line) == ("RuntimeError", 3) and "the disk is full" in fault.message


def test_replacing_the_dict_is_answered_with_a_warning(worker: Worker) -> None:
    assert worker.run("def run():\n    global session_state\n    session_state = {'n': 1}", state="{}").state is None
    assert "replaced" in worker.messages[0]


# The zygote.


def test_a_fork_runs_a_body_and_its_end_is_reported(zygote: Zygote) -> None:
    number, pid, worker = zygote.fork(memory_mb=1024)
    assert worker.result("import os\ndef run(): return [os.getpid(), os.getsid(0)]") == [pid, pid]
    worker.line.sock.close()
    assert zygote.control.receive() == wire.Ended(number, 0)


def test_forks_do_not_share_their_random_numbers(zygote: Zygote) -> None:
    """Of one run they do: they are drawn from its id."""
    source = "import random\ndef run(): return random.random()"
    drawn = [zygote.fork()[2].result(source, run_id=run_id) for run_id in ("a", "b", "a")]
    assert drawn[0] == drawn[2] != drawn[1]


def test_how_a_child_ended_is_reported_as_subprocess_has_it(zygote: Zygote) -> None:
    number, _, worker = zygote.fork()
    assert worker.run("import os\ndef run(): os._exit(5)") is None
    assert zygote.control.receive() == wire.Ended(number, 5)
    number, _, worker = zygote.fork()
    assert worker.run("import os, signal\ndef run(): os.kill(os.getpid(), signal.SIGSEGV)") is None
    assert zygote.control.receive() == wire.Ended(number, -signal.SIGSEGV)


def test_kill_ends_a_busy_child_with_everything_it_started(zygote: Zygote) -> None:
    number, _, worker = zygote.fork()
    worker.begin(
        "import subprocess\ndef run():\n    print(subprocess.Popen(['sleep', '1000']).pid)\n    while True: pass"
    )
    grandchild = os.pidfd_open(int(worker.first_event().data["message"]))
    zygote.control.send(wire.Kill(number))
    assert zygote.control.receive() == wire.Ended(number, -signal.SIGKILL)
    _wait_for_exit(grandchild)
    zygote.control.send(wire.Kill(number))  # again, and of one that never was: nothing happens
    zygote.control.send(wire.Kill(999))
    assert zygote.fork()[2].result("def run(): return 1") == 1


def test_what_a_child_left_running_ends_with_it(zygote: Zygote) -> None:
    number, _, worker = zygote.fork()
    pid = worker.result("import subprocess\ndef run(): return subprocess.Popen(['sleep', '1000']).pid")
    grandchild = os.pidfd_open(pid)
    worker.line.sock.close()
    assert zygote.control.receive() == wire.Ended(number, 0)
    _wait_for_exit(grandchild)


@pytest.mark.parametrize("hungry", ["bytearray(1 << 30)", "[[] for _ in range(100_000_000)]"])
def test_too_much_memory_is_a_fault_in_an_isolated_worker(zygote: Zygote, hungry: str) -> None:
    worker = zygote.fork(memory_mb=400)[2]
    assert worker.fault(f"def run():\n    x = {hungry}\n    return len(x)").code == "out_of_memory"


def test_processor_time_is_limited(zygote: Zygote) -> None:
    number, _, worker = zygote.fork(cpu_s=1)
    assert worker.run("def run():\n    while True: pass") is None
    assert zygote.control.receive() == wire.Ended(number, -signal.SIGXCPU)


def test_forks_asked_for_at_once_get_their_own_sockets(zygote: Zygote) -> None:
    pairs = [socket.socketpair() for _ in range(8)]
    for number, (_, theirs) in enumerate(pairs, 100):
        socket.send_fds(
            zygote.control.sock, [wire.encode(wire.Kill(0)), wire.encode(wire.Fork(number))], [theirs.fileno()]
        )
        theirs.close()
    pids = {report.id: report.pid for report in (zygote.control.receive() for _ in pairs)}
    for number, (ours, _) in enumerate(pairs, 100):
        assert Worker(Line(ours)).result("import os\ndef run(): return os.getpid()") == pids[number]
        ours.close()


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_children_die_with_the_zygote(zygote: Zygote, how: str) -> None:
    _, pid, worker = zygote.fork()
    worker.begin("def run():\n    print('busy')\n    while True: pass")
    worker.first_event()
    child = os.pidfd_open(pid)
    if how == "killed":
        zygote.process.kill()
    else:
        zygote.control.sock.close()
    assert worker.end() is None
    _wait_for_exit(child)


def _wait_for_exit(pidfd: int) -> None:
    import select

    ready, _, _ = select.select([pidfd], [], [], TIMEOUT_S)
    os.close(pidfd)
    assert ready, "still alive"
