"""Front: passes lines between a host and the daemon; used by `repertoire serve` (front/__init__.py).

Nothing here blocks while the other side could be waiting for us: there is one poll over stdin, stdout and the socket.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

from repertoire.front.connect import CannotConnect, Dial
from repertoire.front.host_pipe import READ_BYTES, HostPipe, take_lines
from repertoire.front.open_requests import Pending
from repertoire.front.reconnect import Reconnect

_HIGH_BYTES = 1024 * 1024
"""While more than this waits for one side, the other side is not read."""
_FAREWELL_S = 1.5
"""After the end of its input, the host's open requests may be answered for this long. The SDKs kill a server after 2 s."""
_LAST_REQUESTS_S = 1.0
"""When no daemon can be started, the host has this long to send a request, which is answered with the reason."""


class Front:
    """The pump between a host and the daemon: one thread, one poll, a buffer for each direction."""

    def __init__(self, dial: Dial) -> None:
        self.dial, self.pending = dial, Pending()
        self.host = HostPipe()
        self.link: socket.socket | None = None
        self.from_daemon, self.to_daemon = bytearray(), bytearray()
        self._greeted = False  # the daemon has heard how the connection began: lines may pass
        self._resting = False  # the daemon was stopped on purpose: not started again for nothing
        self._leave_at = float("inf")
        self._connect_now = True
        self._established = False  # there was a daemon: trouble with the next one may pass
        self._reconnect = Reconnect()
        self._signals = _signal_pipe()

    def run(self) -> int:
        try:
            while not self._is_done():
                if self.link is None and not self.host.to_host and self._needs_daemon():
                    self._connect()
                    self._pass_host_lines()
                elif self._is_standing_by():
                    self._answer_without_daemon()
                self._say_farewell()
                self._wait()
        except CannotConnect as error:
            return self._give_up(str(error))
        for answer in self.pending.leave():
            self.host.to_host += answer
        self.host.write_all()
        return 0

    # When to go, when to connect.

    def _is_done(self) -> bool:
        if self.host.is_gone or time.monotonic() >= self._leave_at:
            return True
        if not self.host.has_ended or self.host.has_line:
            return False
        return self.link is None or not (self.to_daemon or self.host.to_host or self.pending.urgent())

    def _needs_daemon(self) -> bool:
        if self._is_standing_by():
            return False
        if self._connect_now or self.host.has_line:
            return True
        if self.host.has_ended:
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
        self._established = True
        self._reconnect.reset()
        self._connect_now = self._resting = False
        greeting = self.pending.greeting()
        self.to_daemon += greeting
        self._greeted = not greeting
        if self._greeted:
            self.to_daemon += self.pending.rest()
        self._take_from_daemon(first)

    # Without a daemon for a while: a locked file, a full disk. The host keeps its server.

    def _is_standing_by(self) -> bool:
        return self.link is None and self._reconnect.is_pausing()

    def _stand_by(self, reason: str) -> None:
        if reason != self._reconnect.trouble:
            complain(f"The Repertoire daemon cannot be started: {reason}", 1)
        self._reconnect.pause(reason)
        self._answer_without_daemon()

    def _answer_without_daemon(self) -> None:
        """Answer every request with the reason. Requests that only listen keep waiting: the next daemon gets them."""
        for line in self.host.lines():
            self.pending.take_from_host(line)
        for answer in self.pending.refuse(
            self._no_daemon_reason() + " Ask again: each try may be the one that succeeds."
        ):
            self.host.to_host += answer

    def _no_daemon_reason(self) -> str:
        return f"The Repertoire daemon cannot be started: {self._reconnect.trouble}\nIts log is {self.dial.log_path}."

    def _lose(self) -> None:
        """The daemon has ended. Half a line of it is dropped: its request is still open."""
        if self.link is not None:
            self.link.close()
            self.link = None
        self._greeted = False
        self.from_daemon.clear()
        self.to_daemon.clear()
        for answer in self.pending.lose():
            self.host.to_host += answer

    def _say_farewell(self) -> None:
        """The host has ended its input: its open requests may still be answered, for a while.

        The daemon hears of the end only when we exit. Told earlier, it would drop the requests of a short script.
        """
        if self.host.has_ended and self._greeted and not self.to_daemon:
            self._leave_at = min(self._leave_at, time.monotonic() + _FAREWELL_S)

    # The pump.

    def _wait(self) -> None:
        """Wait until something can be read or written. A descriptor of which nothing is wanted is left out: its hang-up would spin."""
        poll = select.poll()
        if not self.host.has_ended and self._can_take_lines():
            poll.register(0, select.POLLIN)
        poll.register(self.host.out, select.POLLOUT if self.host.to_host else 0)
        if self._signals >= 0:
            poll.register(self._signals, select.POLLIN)
        wanted = (select.POLLIN if len(self.host.to_host) < _HIGH_BYTES else 0) | (
            select.POLLOUT if self.to_daemon else 0
        )
        link = self.link
        if link is not None and wanted:
            poll.register(link, wanted)
        for fd, event in poll.poll(self._patience_ms()):
            if fd == 0:
                if self.host.read():
                    self._pass_host_lines()
            elif fd == self.host.out:
                self.host.move(event)
            elif fd == self._signals:
                os.read(fd, READ_BYTES)
            elif link is self.link:
                self._move_link(event)

    def _can_take_lines(self) -> bool:
        if self._greeted:
            return len(self.to_daemon) < _HIGH_BYTES
        return not self.host.has_line

    def _patience_ms(self) -> float | None:
        until = self._leave_at
        if self._is_standing_by() and self.pending.open and not self._resting:
            until = min(until, self._reconnect.try_at)
        if until == float("inf"):
            return None
        return max(0.0, until - time.monotonic()) * 1000

    def _pass_host_lines(self) -> None:
        """Without a link the lines stay unread: lines that were not passed on are not lost with the daemon."""
        if not self._greeted:
            return
        for line in self.host.lines():
            self.pending.take_from_host(line)
            self.to_daemon += line + b"\n"
        self._write_daemon()

    def _move_link(self, event: int) -> None:
        assert self.link is not None
        if event & select.POLLOUT:
            self._write_daemon()
        if event & ~select.POLLOUT:
            try:
                part = self.link.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                part = b""
            if part:
                self._take_from_daemon(part)
            else:
                self._lose()

    def _write_daemon(self) -> None:
        """Send as much as the socket takes now. It is tried before poll() is asked: nearly always it takes all."""
        if self.link is None or not self.to_daemon:
            return
        try:
            del self.to_daemon[: self.link.send(memoryview(self.to_daemon)[:READ_BYTES])]
        except BlockingIOError:
            pass
        except OSError:
            self.to_daemon.clear()  # the daemon has gone, but may have answered before: reading it tells

    def _take_from_daemon(self, part: bytes) -> None:
        self.from_daemon += part
        if b"\n" not in part:
            return
        for line in take_lines(self.from_daemon):
            if line.startswith(b"#"):
                self._take_note(line[1:])
            elif self.pending.take_from_daemon(line):
                self.host.to_host += line + b"\n"
            elif not self._greeted:
                self._greeted = True
                self.to_daemon += self.pending.rest()
                self._pass_host_lines()
        if self.host.never_blocks:  # nearly always it takes all
            self.host.move(select.POLLOUT)

    def _take_note(self, text: bytes) -> None:
        """A note of the daemon to the front: which run a call began, or why the daemon ends."""
        note = json.loads(text)
        if "run" in note:
            self.pending.note_run(note.get("id"), note["run"])
        elif "bye" in note:
            self._resting = bool(note.get("rest"))
            self.dial.leave_start_to(note.get("to"))

    # The end.

    def _give_up(self, reason: str) -> int:
        self._reconnect.trouble = reason
        message = self._no_daemon_reason()
        complain(message, 1)
        if not self.host.has_ended and select.select([0], [], [], _LAST_REQUESTS_S)[0]:
            self.host.read()
        for line in self.host.lines():
            self.pending.take_from_host(line)
        for answer in self.pending.give_up(message):
            self.host.to_host += answer
        self.host.write_all()
        return 1


def _signal_pipe() -> int:
    """A descriptor that becomes readable with every signal; -1 where there can be none.

    Without it, a Ctrl-C that comes after Python's last look for signals and before poll() blocks is seen only when something else wakes
    poll().
    """
    import _signal  # type: ignore[import-not-found]  # the C part of `signal`, which would import enum

    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
    os.set_blocking(write, False)
    try:
        _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    except ValueError:  # not the main thread
        os.close(read)
        os.close(write)
        return -1
    return read


def complain(message: str, status: int) -> int:
    sys.stderr.write(f"repertoire: {message}\n")
    sys.stderr.flush()
    return status
