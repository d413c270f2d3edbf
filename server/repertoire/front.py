"""The front: what an MCP host starts as `repertoire serve`. It finds or starts the home's daemon and passes lines.

Standard library only and little of it: every host pays for this process, and for each throw-away probe of a client. It
knows of MCP what it must to survive the daemon: which requests are open, and how the connection began. Not a server,
and it decides nothing; daemon.py is the other end of its socket.

Nothing here blocks while the other side could be waiting for us: one poll over stdin, stdout and the socket.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import time

from repertoire import home as homes
from repertoire.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

_READ_BYTES = 256 * 1024
_HIGH_BYTES = 1024 * 1024
"""More than this waiting for one side, and the other is not read until it has gone."""
_MAX_LINE_BYTES = 16 * 1024 * 1024
"""The daemon takes no longer line; refusing it here keeps the connection."""

_START_S = 30.0
_POLL_S = 0.01
_SUCCESSOR_S = 5.0
"""An older front leaves the newer one, to which the daemon handed over, this long to start its own."""
_FAREWELL_S = 2.0
"""After the host's end of input the daemon has this long to say the rest."""
_MAX_SENDS = 3
"""A request under which the daemon died as often is answered with an error, or a poisonous one would never end."""
_LOG_BYTES = 1024 * 1024
_TEMPFAIL = 75
"""The daemon's exit status for "somebody else owns the home"."""

_LOST = -31000
_NO_DAEMON = -31001

_REPEATABLE_TOOLS = frozenset(("get_run", "get_workflow", "list_runs", "list_workflows", "search_workflows"))
"""Calls that only read; their names are reserved, so no workflow can be meant."""

_ANSWER = re.compile(rb'\{"jsonrpc":"2\.0","id":(-?\d+|"[^"\\]*"),"(?:result|error)":')
_NO_ANSWER = b'{"jsonrpc":"2.0","method":'

_USAGE = "usage: repertoire serve [--home DIR] [--workflows DIR]... [--session NAME] [--config FILE] [--embedded | --http HOST:PORT]"


def main() -> int:
    """The console script: a plain `serve` is the front, everything else the command line, with all its imports."""
    argv = sys.argv[1:]
    elsewhere = ("--embedded", "--http", "--takeover", "--help", "-h")
    if argv[:1] == ["serve"] and not any(word.split("=")[0] in elsewhere for word in argv):
        return run(argv[1:])
    from repertoire.cli import main as cli

    return cli() or 0


def run(argv: list[str], command: Callable[[Options], list[str]] | None = None) -> int:
    """Be the front. `command` gives the command line that starts a daemon. Returns the exit status."""
    if sys.platform == "win32":
        return _complain("Windows is not supported yet: the daemon needs Unix sockets. Try `repertoire serve --embedded`.", 2)
    for fd in (0, 1, 2):  # a closed one would be taken by our socket
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    try:
        options = Options(argv)
    except ValueError as error:
        return _complain(f"{error}\n{_USAGE}", 2)
    except OSError as error:
        return _complain(f"the home cannot be used: {error}", 1)
    try:
        return Front(Door(options, command or daemon_command)).run()
    except KeyboardInterrupt:
        return 130


def daemon_command(options: Options) -> list[str]:
    config = ["--config", options.config] if options.config else []
    return [sys.executable, "-P", "-m", "repertoire.daemon", "--home", options.home, *config]


class Options:
    """What `serve` was told, checked; paths are absolute. Raises ValueError with the sentence for the user."""

    def __init__(self, argv: list[str]) -> None:
        home, session, config, roots = homes.default_home(), "default", "", []
        words = iter(argv)
        for word in words:
            name, given, value = word.partition("=")
            if name not in ("--home", "--workflows", "--session", "--config"):
                raise ValueError(f"repertoire serve does not know {word!r}")
            if not given:
                value = next(words, "")
            if not value:
                raise ValueError(f"{name} needs a value")
            if name == "--home":
                home = value
            elif name == "--session":
                session = value
            elif name == "--config":
                config = _existing(value, name, os.path.isfile)
            else:
                roots.append(_existing(value, name, os.path.isdir))
        self.session, self.config, self.roots = session, config, roots
        self.home = homes.make_home(os.path.abspath(os.path.expanduser(home)))

    def hello(self) -> bytes:
        said = {"mode": "mcp", "version": VERSION, "session": self.session, "roots": self.roots, "cwd": _cwd()}
        return json.dumps(said).encode() + b"\n"


class CannotConnect(Exception):
    """No daemon answers and none can be started; the message says why."""


class Door:
    """The way to the home's daemon: connect, and start one if none is up; ten doors at once start one daemon."""

    def __init__(self, options: Options, command: Callable[[Options], list[str]]) -> None:
        self.options, self.command = options, command
        self._hello = options.hello()
        self._spawn_at = 0.0
        self._child = 0
        self._log_start = 0

    def leave_start_to(self, newer: str | None) -> None:
        """The daemon handed over to a newer front: let that one start its own version first."""
        if newer is not None and newer != VERSION:
            self._spawn_at = time.monotonic() + _SUCCESSOR_S

    def open(self) -> tuple[socket.socket, bytes]:
        """A greeted connection and what came after the greeting's answer. Raises CannotConnect."""
        give_up = time.monotonic() + _START_S
        lock = -1
        try:
            homes.make_socket_folder(self.options.home)
            while True:
                if link := self._greet(give_up):
                    return link
                self._check_child()
                if time.monotonic() > give_up:
                    raise CannotConnect(f"no daemon answered within {_START_S:.0f} s")
                if lock < 0:
                    lock = self._take_start_lock()
                    if lock >= 0:
                        continue  # whoever held it before us has probably started one
                elif not self._child and time.monotonic() >= self._spawn_at and not homes.is_owned(self.options.home):
                    self._spawn()
                time.sleep(_POLL_S)
        except OSError as error:
            raise CannotConnect(str(error)) from error
        finally:
            if lock >= 0:
                os.close(lock)
            self._disown()

    def _greet(self, give_up: float) -> tuple[socket.socket, bytes] | None:
        """None: nobody is there, or is just ending. One that is still starting keeps us waiting for its answer."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(max(0.1, give_up - time.monotonic()))
        answer = b""
        try:
            link.connect(homes.socket_path(self.options.home))
            link.sendall(self._hello)
            while b"\n" not in answer:
                part = link.recv(_READ_BYTES)
                if not part:
                    raise ConnectionResetError
                answer += part
        except (FileNotFoundError, ConnectionError, TimeoutError):
            link.close()
            return None
        first, _, rest = answer.partition(b"\n")
        said = json.loads(first)
        if said["ok"]:
            link.setblocking(False)
            return link, rest
        link.close()
        if said.get("retry"):
            return None
        raise CannotConnect(f"the daemon refused the connection: {said['reason']}")

    def _take_start_lock(self) -> int:
        """The lock's descriptor, or -1 while another front has it."""
        import fcntl

        fd = os.open(homes.start_lock_path(self.options.home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return -1
        return fd

    def _spawn(self) -> None:
        """Fork and exec in a session of its own. By hand: importing subprocess costs more than all of this module."""
        import signal

        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        command = self.command(self.options)
        log = self._open_log()
        self._log_start = os.fstat(log).st_size
        self._child = os.fork()
        if self._child == 0:
            self._become(command, log)
        os.close(log)

    def _open_log(self) -> int:
        path = homes.log_path(self.options.home)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > _LOG_BYTES:
            os.replace(path, path + ".1")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _become(self, command: list[str], log: int) -> NoReturn:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            environment = dict(os.environ)
            if paths := environment.get("PYTHONPATH"):  # relative ones would change their meaning with the folder
                environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in paths.split(os.pathsep))
            os.chdir(self.options.home)  # the daemon outlives us and must not hold the host's folder
            os.execve(command[0], command, environment)
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def _check_child(self) -> None:
        if not self._child:
            return
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if not pid:
            return
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        if code != _TEMPFAIL and not homes.is_owned(self.options.home):
            raise CannotConnect(f"the daemon ended with status {code} while starting. {self._log_tail()}")

    def _log_tail(self) -> str:
        path = homes.log_path(self.options.home)
        with open(path, "rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode(errors="replace").splitlines()[-20:]
        return "\n".join([f"{path} says:" if lines else f"{path} says nothing.", *lines])

    def _disown(self) -> None:
        """The daemon is our child but not our business: let the kernel bury it."""
        if self._child:
            import signal

            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            self._child = 0


class Request:
    """One that the host waits for. `line` is empty where repeating it could do something twice."""

    __slots__ = ("line", "method", "run", "sends")

    def __init__(self, method: str, line: bytes) -> None:
        self.method, self.line = method, line
        self.run: str | None = None
        self.sends = 1


class Memory:
    """What a lost daemon leaves us with: the open requests, and what a new daemon must hear first."""

    def __init__(self) -> None:
        self.open: dict[str | int, Request] = {}
        self._initialize: dict[str, Any] | None = None
        self._initialized = b""
        self._standing: dict[str, dict[str, Any]] = {}
        self._ours: set[str] = set()
        self._count = 0

    def host_said(self, line: bytes) -> None:
        for message in _messages(line):
            method, number = message.get("method"), message.get("id")
            if not isinstance(method, str):
                continue  # an answer to a question of the daemon
            params = message.get("params")
            params = params if isinstance(params, dict) else {}
            if isinstance(number, (str, int)):
                repeatable = method != "tools/call" or params.get("name") in _REPEATABLE_TOOLS
                self.open[number] = Request(method, line if repeatable else b"")
                self._remember(method, params, message)
            elif method == "notifications/initialized":
                self._initialized = line
            elif method == "notifications/cancelled" and isinstance(params.get("requestId"), (str, int)):
                self.open.pop(params["requestId"], None)

    def _remember(self, method: str, params: dict[str, Any], message: dict[str, Any]) -> None:
        if method == "initialize":
            self._initialize = message
        elif method == "logging/setLevel":
            self._standing[method] = message
        elif method == "resources/subscribe":
            self._standing[f"resource {params.get('uri')}"] = message
        elif method == "resources/unsubscribe":
            self._standing.pop(f"resource {params.get('uri')}", None)

    def daemon_said(self, line: bytes) -> bool:
        """Whether the line is for the host; False for the answer to a request of our own."""
        number = _answered(line) if self.open or self._ours else None
        if number in self._ours:
            self._ours.discard(str(number))
            return False
        if number is not None:
            self.open.pop(number, None)
        return True

    def noted(self, request: object, run: str) -> None:
        if isinstance(request, (str, int)) and request in self.open:
            self.open[request].run = run

    def greeting(self) -> bytes:
        """The replayed `initialize`; empty where the host never sent one, or still waits for its answer."""
        if self._initialize is None or any(request.method == "initialize" for request in self.open.values()):
            return b""
        return self._again(self._initialize)

    def rest(self) -> bytes:
        """What follows when the daemon has answered the greeting: the standing wishes and the open requests."""
        lines = [self._again(message) for message in self._standing.values()]
        for request in self.open.values():
            request.sends += 1
            lines.append(request.line + b"\n")
        return self._initialized and self._initialized + b"\n" + b"".join(lines) or b"".join(lines)

    def _again(self, message: dict[str, Any]) -> bytes:
        self._count += 1
        own = f"repertoire-front:{self._count}"  # the host's own number may be in use again
        self._ours.add(own)
        return json.dumps({**message, "id": own}).encode() + b"\n"

    def lose(self) -> list[bytes]:
        """The daemon is gone: the answers to those requests that must not be repeated."""
        self._ours.clear()
        gone = {n: r for n, r in self.open.items() if not r.line or r.sends >= _MAX_SENDS}
        for number in gone:
            del self.open[number]
        return [_lost(number, request) for number, request in gone.items()]


class Front:
    """The pump between a host and the daemon."""

    def __init__(self, door: Door) -> None:
        self.door, self.memory = door, Memory()
        self.link: socket.socket | None = None
        self.greeted = False
        self.resting = False
        self.ended = False
        self.shut = False
        self.leave_at = float("inf")
        self.from_host, self.to_host = bytearray(), bytearray()
        self.from_daemon, self.to_daemon = bytearray(), bytearray()


if __name__ == "__main__":
    sys.exit(main())
