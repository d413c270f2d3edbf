"""The front: what an MCP host starts as `repertoire serve`. It finds or starts the home's daemon and passes lines.

Standard library only and little of it: every host pays for this process, and for each throw-away probe of a client.
Not a server, and it decides nothing. dial.py finds the daemon, pending.py knows what to do when it is lost, and
daemon/server.py is the other end of the socket.

Nothing here blocks while the other side could be waiting for us: one poll over stdin, stdout and the socket.
"""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import sys
import time

from repertoire import home as homes
from repertoire.front.connect import CannotConnect, Dial
from repertoire.front.open_requests import Pending, failure
from repertoire.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ_BYTES = 256 * 1024
_HIGH_BYTES = 1024 * 1024
"""More than this waiting for one side, and the other is not read until it has gone."""
_MAX_LINE_BYTES = 16 * 1024 * 1024
"""The daemon takes no longer line; refusing it here keeps the connection."""
_FAREWELL_S = 1.5
"""After its end of input what the host asked may still be answered this long; the SDKs kill a server after 2 s."""
_LAST_REQUESTS_S = 1.0
"""When no daemon can be started, the host has this long to ask something, so that its question gets the reason."""
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
"""A front that had a daemon before stays without one; the pauses between its tries to start another grow from the one to the other."""

_USAGE = "usage: repertoire serve [--home DIR] [--workflows DIR]... [--session NAME] [--config FILE] [--embedded | --http HOST:PORT]"


def run(argv: list[str], program: list[str] | None = None) -> int:
    """Be the front. `program` starts a daemon, given `--home`. Returns the exit status."""
    if sys.platform == "win32":
        return _complain("Windows is not supported yet: the daemon needs Unix sockets and file locks.", 2)
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
        return _complain(f"the home cannot be used: {homes.told(error)}", 1)
    try:
        config = ["--config", options.config] if options.config else []
        return Front(Dial(options.home, options.hello(), program or daemon_program(), config)).run()
    except KeyboardInterrupt:
        return 130


def daemon_program() -> list[str]:
    return [sys.executable, "-P", "-m", "repertoire.daemon_process"]


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


class Front:
    """The pump between a host and the daemon: one thread, one poll, a buffer for each direction."""

    def __init__(self, dial: Dial) -> None:
        self.dial, self.pending = dial, Pending()
        self._out, self._out_bytes = _own_stdout()
        self.link: socket.socket | None = None
        self.from_host, self.to_host = bytearray(), bytearray()
        self.from_daemon, self.to_daemon = bytearray(), bytearray()
        self._greeted = False  # the daemon has heard how the connection began: lines may pass
        self._resting = False  # the daemon was stopped on purpose: not started again for nothing
        self._skipping = False  # inside a line that was too long
        self._host_ended = self._host_gone = False
        self._leave_at = float("inf")
        self._connect_now = True
        self._established = False  # there was a daemon: trouble with the next one may pass
        self._trouble = ""  # why there is none now
        self._try_at = self._pause_s = 0.0

    def run(self) -> int:
        try:
            while not self._done():
                if self.link is None and not self.to_host and self._wanted():
                    self._connect()
                    self._pass_host_lines()
                elif self._stands_by():
                    self._answer_without_daemon()
                self._say_farewell()
                self._wait()
        except CannotConnect as error:
            return self._give_up(str(error))
        for answer in self.pending.leave():
            self.to_host += answer
        self._write_all()
        return 0

    # When to go, when to connect.

    def _done(self) -> bool:
        if self._host_gone or time.monotonic() >= self._leave_at:
            return True
        if not self._host_ended or b"\n" in self.from_host:
            return False
        return self.link is None or not (self.to_daemon or self.to_host or self.pending.urgent())

    def _wanted(self) -> bool:
        if self._stands_by():
            return False
        if self._connect_now or b"\n" in self.from_host:
            return True
        if self._host_ended:
            return False
        return self.pending.urgent() or (bool(self.pending.open) and not self._resting)

    def _connect(self) -> None:
        try:
            self.link, first = self.dial.open()
        except CannotConnect as error:
            if not self._established:
                raise
            self._stand_by(str(error))
            return
        self._established, self._trouble, self._pause_s = True, "", 0.0
        self._connect_now = self._resting = False
        greeting = self.pending.greeting()
        self.to_daemon += greeting
        self._greeted = not greeting
        if self._greeted:
            self.to_daemon += self.pending.rest()
        self._take_from_daemon(first)

    # Without a daemon for a while: a locked file, a full disk. The host keeps its server.

    def _stands_by(self) -> bool:
        return self.link is None and time.monotonic() < self._try_at

    def _stand_by(self, reason: str) -> None:
        if reason != self._trouble:
            _complain(f"The Repertoire daemon cannot be started: {reason}", 1)
        self._trouble = reason
        self._pause_s = min(max(_PAUSE_S, 2 * self._pause_s), _LONGEST_PAUSE_S)
        self._try_at = time.monotonic() + self._pause_s
        self._answer_without_daemon()

    def _answer_without_daemon(self) -> None:
        """Every request gets the reason. What only listens goes on to wait: it is told to the next daemon."""
        for line in _take_lines(self.from_host):
            self.pending.host_said(line)
        for answer in self.pending.refuse(self._why_none() + " Ask again: each try may be the one that succeeds."):
            self.to_host += answer

    def _why_none(self) -> str:
        return f"The Repertoire daemon cannot be started: {self._trouble}\nIts log is {self.dial.log_path}."

    def _lose(self) -> None:
        """The daemon has ended under us. Half a line of it is dropped: its request is still open."""
        if self.link is not None:
            self.link.close()
            self.link = None
        self._greeted = False
        self.from_daemon.clear()
        self.to_daemon.clear()
        for answer in self.pending.lose():
            self.to_host += answer

    def _say_farewell(self) -> None:
        """The host has ended its input: what it asked before may still be answered, for a while.

        The daemon hears of the end when we go, and not before, or it would drop the questions of a short script.
        """
        if self._host_ended and self._greeted and not self.to_daemon:
            self._leave_at = min(self._leave_at, time.monotonic() + _FAREWELL_S)

    # The pump.

    def _wait(self) -> None:
        """Wait for whatever can move. A descriptor is left out while nothing is wanted of it: a hang-up would spin."""
        poll = select.poll()
        if not self._host_ended and self._hungry():
            poll.register(0, select.POLLIN)
        poll.register(self._out, select.POLLOUT if self.to_host else 0)
        wanted = (select.POLLIN if len(self.to_host) < _HIGH_BYTES else 0) | (select.POLLOUT if self.to_daemon else 0)
        link = self.link
        if link is not None and wanted:
            poll.register(link, wanted)
        for fd, event in poll.poll(self._patience_ms()):
            if fd == 0:
                self._read_host()
            elif fd == self._out:
                self._write_host(event)
            elif link is self.link:
                self._move_link(event)

    def _hungry(self) -> bool:
        if self._greeted:
            return len(self.to_daemon) < _HIGH_BYTES
        return b"\n" not in self.from_host

    def _patience_ms(self) -> float | None:
        until = self._leave_at
        if self._stands_by() and self.pending.open and not self._resting:
            until = min(until, self._try_at)
        if until == float("inf"):
            return None
        return max(0.0, until - time.monotonic()) * 1000

    def _read_host(self) -> None:
        try:
            part = os.read(0, _READ_BYTES)
        except OSError:
            part = b""
        if not part:
            self._host_ended = True
            if self.from_host and not self._skipping:
                part = b"\n"  # the last line came without one
        self.from_host += part
        if b"\n" not in part and len(self.from_host) > _MAX_LINE_BYTES:
            self._refuse_line()
        elif b"\n" in part:
            self._pass_host_lines()

    def _refuse_line(self) -> None:
        self.from_host.clear()
        if not self._skipping:
            self._skipping = True
            self.to_host += _too_long()

    def _pass_host_lines(self) -> None:
        """Without a link the lines stay where they are, unread: what was not passed on was not lost either."""
        if not self._greeted:
            return
        for line in _take_lines(self.from_host):
            if self._skipping:
                self._skipping = False
            elif len(line) > _MAX_LINE_BYTES:
                self.to_host += _too_long()
            elif line.strip():
                self.pending.host_said(line)
                self.to_daemon += line + b"\n"
        self._write_daemon()

    def _write_host(self, event: int) -> None:
        try:
            if self.to_host and event & select.POLLOUT:
                del self.to_host[: os.write(self._out, memoryview(self.to_host)[: self._out_bytes])]
            elif event & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                self._host_gone = True
        except BlockingIOError:
            pass
        except OSError:
            self._host_gone = True

    def _move_link(self, event: int) -> None:
        assert self.link is not None
        if event & select.POLLOUT:
            self._write_daemon()
        if event & ~select.POLLOUT:
            try:
                part = self.link.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                part = b""
            if part:
                self._take_from_daemon(part)
            else:
                self._lose()

    def _write_daemon(self) -> None:
        """As much as it takes now. Tried before asking: nearly always it takes all."""
        if self.link is None or not self.to_daemon:
            return
        try:
            del self.to_daemon[: self.link.send(memoryview(self.to_daemon)[:_READ_BYTES])]
        except BlockingIOError:
            pass
        except OSError:
            self.to_daemon.clear()  # it has gone, but may have answered before: reading tells

    def _take_from_daemon(self, part: bytes) -> None:
        self.from_daemon += part
        if b"\n" not in part:
            return
        for line in _take_lines(self.from_daemon):
            if line.startswith(b"#"):
                self._take_note(line[1:])
            elif self.pending.daemon_said(line):
                self.to_host += line + b"\n"
            elif not self._greeted:
                self._greeted = True
                self.to_daemon += self.pending.rest()
                self._pass_host_lines()
        if self._out != 1:  # it cannot block: nearly always it takes all
            self._write_host(select.POLLOUT)

    def _take_note(self, text: bytes) -> None:
        """A word of the daemon to us: which run a call began, or why it ends."""
        note = json.loads(text)
        if "run" in note:
            self.pending.noted(note.get("id"), note["run"])
        elif "bye" in note:
            self._resting = bool(note.get("rest"))
            self.dial.leave_start_to(note.get("to"))

    # The end.

    def _give_up(self, reason: str) -> int:
        self._trouble = reason
        message = self._why_none()
        _complain(message, 1)
        if not self._host_ended and select.select([0], [], [], _LAST_REQUESTS_S)[0]:
            self._read_host()
        for line in _take_lines(self.from_host):
            self.pending.host_said(line)
        for answer in self.pending.give_up(message):
            self.to_host += answer
        self._write_all()
        return 1

    def _write_all(self) -> None:
        """What is left, however long the host takes to read it; if it has gone there is nobody to tell."""
        while self.to_host and not self._host_gone:
            select.select([], [self._out], [])
            self._write_host(select.POLLOUT)


def _own_stdout() -> tuple[int, int]:
    """Where to write to the host, and how much at once. A pipe takes PIPE_BUF without blocking, and its mode is not ours to change:
    others share it. Where the pipe can be opened anew, that description's mode is, and the host wakes up a sixteenth as often."""
    try:
        if stat.S_ISFIFO(os.fstat(1).st_mode):
            return os.open("/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), _READ_BYTES
    except OSError:  # no /proc, or nobody reads the pipe any more: writing says so
        pass
    return 1, select.PIPE_BUF


def _take_lines(buffer: bytearray) -> Iterator[bytes]:
    """Every whole line, without its newline; what is incomplete stays in the buffer."""
    end = buffer.rfind(b"\n")
    if end < 0:
        return iter(())
    whole = bytes(buffer[:end])
    del buffer[: end + 1]
    return iter(whole.split(b"\n"))


def _too_long() -> bytes:
    return failure(None, -32600, "a line is longer than 16 MiB; it was dropped")


def _existing(path: str, option: str, exists: Callable[[str], bool]) -> str:
    real = os.path.abspath(os.path.expanduser(path))
    if not exists(real):
        raise ValueError(f"{option} {path}: there is no such {'file' if exists is os.path.isfile else 'folder'}")
    return os.path.realpath(real)


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"repertoire: {message}\n")
    sys.stderr.flush()
    return status
