"""Commands: `repertoire` as a process, without the second that its imports take; used by Shell and the others that start commands.

`command_server.py` forks it. Tests of pages, of the start and of the front start Python itself.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

PATIENCE_S = 60.0
_FIXED = ("PYTHON", "LC_", "LANG")
"""Variables that Python reads at its start. A command with others is started as a Python of its own."""


class Command:
    """A started process. It is the server's child, so that its end comes through a pipe."""

    def __init__(self, pid: int, end: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = end

    def poll(self) -> int | None:
        return self._look(0.0)

    def wait(self, timeout: float = PATIENCE_S) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                if selector.select(timeout):
                    self.returncode = int(os.read(self._end, 16) or b"-9")
                    os.close(self._end)
        return self.returncode


class _Server:
    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-P", str(Path(__file__).with_name("command_server.py")), str(number)]
            self._process = subprocess.Popen(command, pass_fds=(number,))
        self.environ = _fixed(os.environ)

    def start(self, request: bytes, standard: tuple[int, int, int]) -> Command:
        reads, writes = os.pipe()
        with self._lock:
            socket.send_fds(self._ours, [request], [*standard, writes])
            os.close(writes)
            return Command(int(self._ours.recv(32)), reads)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


Started = Command | subprocess.Popen[bytes]


@functools.cache
def _server(pid: int) -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def _fixed(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_FIXED)}


def start(
    *words: str,
    stdin: int,
    stdout: int,
    stderr: int,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    new_session: bool = False,
    program: str | None = None,
) -> Started:
    """Start `repertoire`, or another `program` of Python, on these descriptors. They stay open here."""
    server = _server(os.getpid())
    if _fixed(env) != server.environ:
        what = ["-P", program] if program else ["-P", "-m", "repertoire"]
        return subprocess.Popen(
            [sys.executable, *what, *words], stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd,
            start_new_session=new_session,
        )  # fmt: skip
    request = {
        "words": words,
        "env": dict(env),
        "cwd": str(cwd or os.getcwd()),
        "session": new_session,
        "program": program,
    }
    return server.start(json.dumps(request).encode(), (stdin, stdout, stderr))


def run(
    *words: str,
    input: str | None = None,
    timeout: float = PATIENCE_S,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """`repertoire` with these words, to its end and to the end of its output."""
    ours: list[int] = []
    theirs: list[int] = []
    for number in range(3):
        reads, writes = os.pipe()
        ours.append(reads if number else writes)
        theirs.append(writes if number else reads)
    try:
        command = start(*words, stdin=theirs[0], stdout=theirs[1], stderr=theirs[2], env=env, cwd=cwd)
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    writer = threading.Thread(target=_write, args=(ours[0], (input or "").encode()))
    writer.start()
    try:
        out, err = _read(ours[1:], timeout)
    except TimeoutError:
        command.kill()
        raise subprocess.TimeoutExpired(words, timeout) from None
    finally:
        for descriptor in ours[1:]:
            os.close(descriptor)
        writer.join()
    return subprocess.CompletedProcess(words, command.wait(timeout), out, err)


def _write(descriptor: int, data: bytes) -> None:
    try:
        with open(descriptor, "wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:  # it does not read
        pass


def _read(descriptors: list[int], timeout: float) -> list[str]:
    """What comes, until the last process that has them open ends or closes them."""
    give_up = time.monotonic() + timeout
    parts: dict[int, list[bytes]] = {descriptor: [] for descriptor in descriptors}
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, give_up - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                parts[key.fd].append(data)
                if not data:
                    selector.unregister(key.fd)
    return [b"".join(parts[descriptor]).decode() for descriptor in descriptors]
