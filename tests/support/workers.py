"""Workers: real workers and zygotes over real sockets, with the test in the server's role; used by tests of workers.

A test file takes the fixtures with `shared, worker = workers.shared, workers.worker`.
"""

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
from typing import Any, NamedTuple

import pytest

from repertoire import wire

SERVER = str(Path(__file__).resolve().parents[2] / "server")
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


class Event(NamedTuple):
    """An event with its data read."""

    type: str
    at: float
    data: dict[str, Any]
    path: str
    k: int


def _event_of(event: wire.RawEvent) -> Event:
    return Event(event.type, event.at, json.loads(event.data), event.path, event.k)


class Worker:
    """The server's end of a worker, for tests. `events` and `commits` are those of the last run."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.events: list[Event] = []
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
                self.events += map(_event_of, frame.events)
            elif isinstance(frame, wire.Call) and frame.op == "commit_state":
                self.commits.append(json.loads(frame.args)["state"])
                refusal = self.refuse_commits and wire.Fault("storage", "StorageError", self.refuse_commits)
                self.line.send(wire.Answer(frame.id, len(self.commits), 0.0, "null", refusal or None))
            elif isinstance(frame, wire.Record):
                self.line.send(wire.Answer(frame.id, 1, 0.0, frame.result, frame.error))
            elif not isinstance(frame, wire.Settled):  # of the frame before
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

    def first_event(self) -> Event:
        """Wait for the first event of the body: then it runs."""
        frame = self.line.receive()
        if isinstance(frame, wire.Settled):  # of the frame before
            frame = self.line.receive()
        assert isinstance(frame, wire.Events), frame
        return _event_of(frame.events[0])

    def settled(self) -> str | None:
        """The change that the process reported after its last run; waits for the report."""
        frame = self.line.receive()
        assert isinstance(frame, wire.Settled), frame
        return frame.changed

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


def schema(worker: Worker, source: str) -> dict[str, Any]:
    frame = worker.inspect(source)
    assert isinstance(frame, wire.Inspected), frame
    read: dict[str, Any] = json.loads(frame.input_schema)
    return read


def notes(worker: Worker, source: str) -> list[str]:
    return [note.rule for note in worker.inspect(source).notes]
