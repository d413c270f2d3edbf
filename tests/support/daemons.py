"""Daemons: a host that starts a front, a home with its fake daemon, bounded waiting; used by tests/front and tests/daemon."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from repertoire import home as homes
from repertoire.daemon.home_lock import read_info

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE_S = 20.0


def until(true: Callable[[], Any]) -> Any:
    """Poll until a condition holds, within a bound. Another process sends no event for it."""
    give_up = time.monotonic() + PATIENCE_S
    while not (value := true()):
        assert time.monotonic() < give_up, f"never true: {true}"
        time.sleep(0.005)
    return value


class Home:
    """A home on disk, and the fake daemon that may own it."""

    def __init__(self, path: str, **environment: str) -> None:
        self.path = os.path.realpath(path)
        self.environment = {"PYTHONPATH": os.path.abspath(os.path.join(HERE, "..", "..", "server")), **environment}
        self.started: list[subprocess.Popen[bytes]] = []
        self.peers: list[Peer] = []

    def env(self, **more: str) -> dict[str, str]:
        return {**os.environ, **self.environment, **more}

    def heard(self, **like: Any) -> list[dict[str, Any]]:
        """Lines that the daemons of this home received, in order; only those that contain all of `like`."""
        try:
            with open(os.path.join(self.path, "heard.jsonl")) as file:
                lines = [json.loads(line) for line in file]
        except FileNotFoundError:
            return []
        return [line for line in lines if like.items() <= line.items()]

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, os.path.join(HERE, "fake_house.py"), "--home", self.path]
        process = subprocess.Popen(command, env=self.env(**environment), stderr=subprocess.DEVNULL)
        self.started.append(process)
        until(lambda: process.poll() is not None or self.pid() == process.pid)
        return process

    def pid(self) -> int | None:
        info = read_info(self.path)
        return info["pid"] if info and homes.is_owned(self.path) else None

    def kill(self) -> int:
        """SIGKILL the owner, and wait until the home is free."""
        pid = self.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not homes.is_owned(self.path))
        return pid

    def connect(self, **hello: Any) -> Peer:
        return self.peer({"mode": "control", "version": "0.1.0", **hello})

    def peer(self, hello: dict[str, Any] | None = None) -> Peer:
        self.peers.append(Peer(self.path, hello))
        return self.peers[-1]

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        if os.path.isdir(self.path) and homes.is_owned(self.path):
            self.kill()
        for process in self.started:
            process.kill()
            process.wait()


class Lines:
    """Whole lines out of a descriptor, within a bounded time."""

    def __init__(self, fd: int) -> None:
        self.fd, self.buffer = fd, b""

    def line(self, within_s: float = PATIENCE_S) -> bytes | None:
        """The next line; None at the end. Fails the test when neither comes."""
        give_up = time.monotonic() + within_s
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, give_up - time.monotonic()))
            assert ready, "no line came"
            try:
                part = os.read(self.fd, 1024 * 1024)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def silent(self, for_s: float) -> bool:
        return not self.buffer and not select.select([self.fd], [], [], for_s)[0]


class Peer:
    """A raw connection to the daemon's socket."""

    def __init__(self, home: str, hello: dict[str, Any] | None) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(homes.socket_path(home))
        except OSError:
            self.socket.close()
            raise
        self.lines = Lines(self.socket.fileno())
        self.hello: dict[str, Any] | None = None
        if hello is not None:
            self.send(hello)
            self.hello = self.receive()

    def send(self, message: Any) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Any:
        line = self.lines.line()
        return None if line is None else json.loads(line)

    def call(self, verb: str, **args: Any) -> Any:
        self.send({"id": verb, "verb": verb, "args": args})
        return self.receive()

    def close(self) -> None:
        self.socket.close()


class Spoken:
    """A child process that speaks JSON-RPC lines over its standard streams."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env)
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        self.lines = Lines(self.stdout.fileno())
        self.number = 0

    def write(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def say(self, message: Any) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def ask(self, method: str, **params: Any) -> int:
        self.number += 1
        self.say({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        return self.number

    def tell(self, method: str, **params: Any) -> None:
        self.say({"jsonrpc": "2.0", "method": method, "params": params})

    def receive(self) -> Any:
        line = self.lines.line()
        return None if line is None else json.loads(line)

    def answer(self, method: str, **params: Any) -> Any:
        """The answer to this request. Notifications before it, such as of a changed list, are passed over."""
        number = self.ask(method, **params)
        while (answer := self.receive()) is not None and "id" not in answer:
            pass
        assert answer is not None and answer["id"] == number, answer
        return answer

    def initialize(self) -> Any:
        """Initialize as a client of 2025 does."""
        client = {"name": "t", "version": "1"}
        answer = self.answer("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        self.tell("notifications/initialized")
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass


class Host(Spoken):
    """An MCP host with a front as its child, whose daemon is the fake one."""

    def __init__(self, home: Home, *words: str, **environment: str) -> None:
        command = [sys.executable, os.path.join(HERE, "fake_front.py"), "--home", home.path, *words]
        super().__init__(command, home.env(**environment))
        home.started.append(self.process)

    def begin(self) -> int:
        """Initialise; gives the daemon's process id."""
        return int(self.initialize()["result"]["pid"])

    def end(self) -> int:
        self.stdin.close()
        return self.process.wait(PATIENCE_S)
