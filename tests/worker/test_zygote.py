"""The process that forks workers: its children, their limits and their ends."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from repertoire import wire
from support import workers
from support.workers import TIMEOUT_S, Line, Worker, Zygote

zygote = workers.zygote


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
