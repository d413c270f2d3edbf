"""Bombs: memory, threads, processes, descriptors, disk and inodes, processor time."""

from __future__ import annotations

import mmap
import os
import re
import resource
import signal
import socket
import threading
import time
from typing import Any, Final

from .attack import BLOCKED, FAILED, NOTHING, Table, Targets
from .inside import libc

MEMORY: Final = Table("memory")
alone = MEMORY.alone
_TOO_MUCH: Final = ("failed out_of_memory", "failed worker_lost")


@alone("takes all memory at once", _TOO_MUCH, raw=True)
def one_block(t: Targets) -> object:
    return len(bytearray(1 << 40))


@alone("takes all memory in small objects", _TOO_MUCH, raw=True)
def small_objects(t: Targets) -> object:
    kept: list[Any] = []
    while True:
        kept.append([None] * 500)


@alone("doubles a text until it has all memory", _TOO_MUCH, raw=True)
def doubled_text(t: Targets) -> object:
    text = "x"
    while True:
        text += text


@alone("maps memory past the allocator of Python", (*BLOCKED, "ENOMEM", "MemoryError.*"))
def mapped(t: Targets) -> object:
    kept = []
    for _ in range(64):
        memory = mmap.mmap(-1, 64 << 20)
        memory[::4096] = b"x" * len(memory[::4096])
        kept.append(memory)
    return f"{len(kept) * 64} MB"


@alone("locks its memory, so that it cannot be swapped out", (*BLOCKED, "ENOMEM", "ValueError: .*"))
def locked(t: Targets) -> object:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 30, 1 << 30))
    return resource.getrlimit(resource.RLIMIT_MEMLOCK)


@alone("catches the error of memory and goes on", ("completed .*", *_TOO_MUCH), raw=True)
def catches(t: Targets) -> object:
    kept: list[bytearray] = []
    for _ in range(200):
        try:
            kept.append(bytearray(8 << 20))
        except MemoryError:
            continue
    return f"{len(kept) * 8} MB" if len(kept) < 60 else 1 / 0


@alone("starts ten thousand threads", ("RuntimeError: can't start new thread", "MemoryError.*", "EAGAIN"))
def threads(t: Targets) -> object:
    over = threading.Event()
    started = 0
    try:
        for _ in range(10_000):
            threading.Thread(target=over.wait, daemon=True).start()
            started += 1
    finally:
        over.set()
    return f"{started} threads"


@alone("forks until there is no process left", BLOCKED)
def forks(t: Targets) -> object:
    pids = []
    for _ in range(64):  # so that this machine outlives the day on which it is not contained
        if (pid := os.fork()) == 0:
            time.sleep(1)
            os._exit(0)
        pids.append(pid)
    return f"{len(pids)} processes"


@alone("opens files until there is no descriptor left", ("EMFILE", "ENOSPC"))
def descriptors(t: Targets) -> object:
    return len([open(f"f{n}", "w") for n in range(5000)])


@alone("fills the buffers of sockets, which are memory of the kernel", ("EMFILE", *BLOCKED))
def socket_buffers(t: Targets) -> object:
    kept = []
    for _ in range(5000):
        pair = socket.socketpair()
        pair[0].setblocking(False)
        kept.append(pair)
        try:
            pair[0].send(bytes(1 << 20))
        except BlockingIOError:
            continue
    return f"{len(kept)} pairs"


@alone("makes the buffers of pipes larger", ("EMFILE", *BLOCKED))
def pipe_buffers(t: Targets) -> object:
    kept = []
    for _ in range(5000):
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        kept.append((reads, writes, os.write(writes, bytes(1 << 16))))
    return f"{len(kept)} pipes"


@alone("fills the disk", ("ENOSPC", "EDQUOT"))
def disk(t: Targets) -> object:
    for n in range(40):
        with open(f"large{n}", "wb") as file:
            file.write(bytes(4 << 20))
    return "160 MB"


@alone("fills the disk with the tail of one file", ("EFBIG", "ENOSPC"))
def one_file(t: Targets) -> object:
    with open("large", "wb") as file:
        for _ in range(400):
            file.write(bytes(1 << 20))
    return "400 MB"


@alone("reserves a terabyte", ("EFBIG", "ENOSPC", "ENOTSUP", *BLOCKED))
def reserved(t: Targets) -> object:
    with open("large", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 40)
    return "a terabyte"


@alone("makes a file with a hole of a terabyte", ("EFBIG", "ENOSPC"))
def hole(t: Targets) -> object:
    with open("large", "wb") as file:
        file.truncate(1 << 40)
    return "a terabyte"


@alone("makes files until there are no more inodes", ("ENOSPC", "EDQUOT"))
def inodes(t: Targets) -> object:
    for n in range(150_000):
        os.close(os.open(f"i{n}", os.O_CREAT | os.O_WRONLY))
    return "150000 files"


@alone(
    "makes folders within folders without an end",
    ("ENOSPC", "ENAMETOOLONG", "EDQUOT", "failed timeout"),
    timeout_s=1,
    costly=True,
)
def folders(t: Targets) -> object:
    for _ in range(150_000):
        os.mkdir("d")
        os.chdir("d")
    return "150000 folders"


@alone("uses the processor for ever", ("failed timeout",), raw=True, timeout_s=0.5, costly=True)
def busy(t: Targets) -> object:
    while True:
        pass


@alone(
    "uses the processor in C, where no signal handler of Python runs",
    ("failed timeout",),
    raw=True,
    timeout_s=0.5,
    costly=True,
)
def busy_in_c(t: Targets) -> object:
    return len(str(3 ** (10**9)))


@alone("matches a pattern that takes for ever", ("failed timeout",), raw=True, timeout_s=0.5, costly=True)
def busy_pattern(t: Targets) -> object:
    return re.match("(a+)+$", "a" * 60 + "!")


@alone("uses the processor in many threads", ("failed timeout",), raw=True, timeout_s=0.5, costly=True)
def busy_threads(t: Targets) -> object:
    def spin() -> None:
        while True:
            pass

    for _ in range(8):
        threading.Thread(target=spin, daemon=True).start()
    spin()
    return None


@alone(
    "ignores every signal that can be ignored, and goes on", ("failed timeout",), raw=True, timeout_s=0.5, costly=True
)
def ignores_signals(t: Targets) -> object:
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        time.sleep(0.01)


@alone("sleeps for a lifetime", ("failed timeout",), raw=True, timeout_s=0.5)
def sleeps(t: Targets) -> object:
    return libc().sleep(2**31 - 1)


@alone("waits for a lock that nobody gives back", ("failed timeout",), raw=True, timeout_s=0.5)
def deadlock(t: Targets) -> object:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return None


@alone("waits for words of a person at its terminal", (*FAILED, NOTHING, "completed .*"), raw=True, timeout_s=0.5)
def terminal(t: Targets) -> object:
    return os.read(0, 10)


@alone("catches the signals of timers and terminators", ("failed timeout",), raw=True, timeout_s=0.5)
def alarm(t: Targets) -> object:
    def again(*_: object) -> None:
        while True:
            time.sleep(0.1)

    signal.signal(signal.SIGTERM, again)
    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    while True:
        time.sleep(0.1)
