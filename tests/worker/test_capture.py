"""What programs and C code print while a body runs, and lines that are overwritten; the limits of created code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repertoire.limits import Limits
from repertoire.worker.output.line_buffer import LineBuffer
from support import workers
from support.workers import Worker, Zygote, pooled

shared, worker, zygote = workers.shared, workers.worker, workers.zygote


# What is printed.


def test_w25_what_programs_and_c_code_print_are_lines_of_the_run_in_order(worker: Worker) -> None:
    source = """
    import ctypes, os, subprocess, sys
    def run():
        print("body 1")
        os.system("echo shell; echo to stderr >&2")
        print("body 2")
        subprocess.run([sys.executable, "-c", "print('program')"], check=True)
        subprocess.run(["echo", "given"], stdout=sys.stdout, check=True)
        libc = ctypes.CDLL(None); libc.puts(b"c code"); libc.fflush(None)
        os.write(1, "half é".encode()[:-1]); os.write(1, "é".encode()[1:] + b"\\n")
        sys.__stderr__.write("original stream\\n"); sys.__stderr__.flush()
        print("body 3")
        os.write(1, b"without end")
    """
    worker.result(source)
    said = [(data["source"], data["message"]) for data in worker.said()]
    assert [message for source, message in said if source == "stdout"] == [
        "body 1", "shell", "body 2", "program", "given", "c code", "half é", "body 3", "without end",
    ]  # fmt: skip
    assert [message for source, message in said if source == "stderr"] == ["to stderr", "original stream"]


def test_w25_lines_come_while_the_program_runs(worker: Worker, tmp_path: Path) -> None:
    source = """
    import subprocess
    def run(go: str):
        subprocess.run(["sh", "-c", f"echo first; while [ ! -e {go} ]; do sleep 0.02; done; echo second"], check=True)
    """
    worker.begin(source, {"go": str(tmp_path / "go")})
    assert worker.first_event().data["message"] == "first"
    (tmp_path / "go").touch()
    worker.end()
    assert worker.messages == ["second"]


def test_w25_a_program_that_prints_a_lot_stops_nothing(worker: Worker) -> None:
    source = """
    import subprocess, sys
    def run():
        subprocess.run([sys.executable, "-c", "print('x' * 3_000_000)\\nfor i in range(50_000): print(i)"], check=True)
        return "ok"
    """
    assert worker.result(source, max_message_bytes=1000) == "ok"
    assert worker.messages[-1].endswith("49999") or "not recorded" in worker.messages[-1]
    assert len(worker.events) <= 10_001
    assert worker.result("def run(): print('next')") is None and worker.messages == ["next"]


def test_w25_c_code_that_holds_the_interpreters_lock_may_print_a_lot(worker: Worker) -> None:
    source = """
    import ctypes
    def run():
        ctypes.PyDLL(None).write(1, b"y" * 500_000 + b"\\n", 500_001)
        return "ok"
    """
    assert worker.result(source) == "ok"
    assert sum(message.count("y") for message in worker.messages) == 500_000


def test_w25_last_lines_belong_to_their_own_run(worker: Worker) -> None:
    for i in range(20):
        worker.result(f"import os\ndef run():\n    os.write(1, b'run {i}'); os.write(2, b'also {i}')")
        assert sorted(worker.messages) == [f"also {i}", f"run {i}"]


def test_w25_a_body_that_closes_or_bends_the_descriptors_does_not_silence_the_next(worker: Worker) -> None:
    worker.run("import os\ndef run():\n    os.close(1); os.dup2(os.open('/dev/null', os.O_WRONLY), 2)")
    worker.result("import os\ndef run(): os.system('echo heard; echo too >&2')")
    assert sorted(worker.messages) == ["heard", "too"]


def test_w25_what_a_left_program_prints_is_not_the_next_runs() -> None:
    with pooled() as (worker, _):
        left = "import os\ndef run(): os.system('(read word; echo late $word) < ' + os.environ['FIFO'] + ' &')"
        worker.run(left.replace("os.environ['FIFO']", "'/dev/zero'"))
        assert worker.settled() == "a process that was left behind"
        assert worker.result("import time\ndef run(): time.sleep(0.05)") is None
        assert worker.messages == []


def test_w25_a_progress_bar_is_seen_while_it_moves(worker: Worker) -> None:
    bar = """
    import sys, time
    for i in range(5):
        sys.stderr.write(f"\\r{i * 25:3}%|{'#' * i:4}|"); sys.stderr.flush(); time.sleep(0.12)
    sys.stderr.write("\\n")
    """
    source = f"""
    import subprocess, sys, textwrap
    BAR = textwrap.dedent('''{bar}''')
    def run(program: bool):
        if program: subprocess.run([sys.executable, "-c", BAR], check=True)
        else: exec(BAR)
    """.replace("\\r", "\\\\r").replace("\\n", "\\\\n")
    for program in (False, True):
        worker.result(source, {"program": program})
        assert worker.messages[0] == "  0%|    |" and worker.messages[-1] == "100%|####|"
        assert 3 <= len(worker.messages) <= 5


# Lines.


def _told(*texts: str, longest: int = 100) -> list[str]:
    told: list[str] = []
    lines = LineBuffer(told.append, longest)
    for text in texts:
        lines.feed(text)
    lines.end()
    return told


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("a", "\n"), ["a"]),
        (("a\nb\n", "c"), ["a\nb", "c"]),
        (("\n", "  \n"), []),
        (("dos\r\n", "two\r\nmore\r\n"), ["dos", "two\nmore"]),
        (("\r 1%", "\r 2%", "\r 3%", "\n"), [" 1%", " 3%"]),
        (("1%\r", "2%\r", "3%\n"), ["1%", "3%"]),
        (("\r10%", "\r    \r"), ["10%"]),
        (("\r100%", "\n", "after\n"), ["100%", "after"]),
        (("\x1b[A\rnested\n",), ["nested"]),
        (("x" * 150, "y\n"), ["x" * 150, "y"]),
    ],
)
def test_w25_lines_are_told_as_a_terminal_would_leave_them(texts: tuple[str, ...], told: list[str]) -> None:
    assert _told(*texts) == told


def test_w25_an_endless_bar_takes_little_memory_and_few_lines() -> None:
    told: list[str] = []
    lines = LineBuffer(told.append)
    for i in range(100_000):
        lines.feed(f"\r{i}")
    assert len(lines.take()) < 10 and len(told) < 200


# Limits of created code.


def _limited(zygote: Zygote) -> Worker:
    limits = Limits()
    return zygote.fork(
        memory_mb=limits.worker_memory_mb, open_files=limits.worker_open_files, file_mb=limits.worker_file_mb
    )[2]


THREADS = """
import threading
def run(count: int):
    go = threading.Event()
    threads = [threading.Thread(target=go.wait) for _ in range(count)]
    try: [thread.start() for thread in threads]
    finally: go.set()
    return len(threads)
"""
FILES = "def run(count: int):\n    return len([open('/dev/null') for _ in range(count)])"
LARGE = "def run(path: str):\n    with open(path, 'wb') as file: file.write(bytes(2 << 20))"


def test_w27_created_code_may_have_a_hundred_threads_and_three_hundred_files(zygote: Zygote) -> None:
    assert _limited(zygote).result(THREADS, {"count": 100}) == 100
    assert _limited(zygote).result(FILES, {"count": 300}) == 300


@pytest.mark.parametrize(
    ("source", "arguments", "setting", "limit"),
    [
        (THREADS, {"count": 2000}, "worker_memory_mb", {"memory_mb": 512}),
        (FILES, {"count": 200}, "worker_open_files", {"open_files": 100}),
        (LARGE, {"path": "@"}, "worker_file_mb", {"file_mb": 1}),
        ("def run(): return len(bytes(1 << 30))", {}, "worker_memory_mb", {"memory_mb": 512}),
        ("a = [open('/dev/null') for _ in range(200)]\ndef run(): pass", {}, "worker_open_files", {"open_files": 100}),
    ],
)
def test_w27_an_error_that_a_limit_explains_names_the_setting(
    zygote: Zygote, tmp_path: Any, source: str, arguments: dict[str, Any], setting: str, limit: dict[str, int]
) -> None:
    given = json.loads(json.dumps(arguments).replace("@", str(tmp_path / "file")))
    fault = zygote.fork(**limit)[2].fault(source, given)
    assert fault.hint is not None and setting in fault.hint and str(next(iter(limit.values()))) in fault.hint


def test_w27_the_deepest_recursion_fits_into_a_threads_stack(zygote: Zygote) -> None:
    source = """
    import threading
    class Deep:
        def __lt__(self, other): sorted([Deep(), Deep()]); return True
    def run():
        seen = []
        def work():
            try: Deep() < Deep()
            except RecursionError: seen.append("RecursionError")
        thread = threading.Thread(target=work); thread.start(); thread.join()
        return seen
    """
    assert _limited(zygote).result(source) == ["RecursionError"]


def test_w27_the_operators_own_files_meet_no_limit_of_ours(worker: Worker) -> None:
    fault = worker.fault("def run():\n    raise OSError(24, 'Too many open files')")
    assert fault.hint is None
