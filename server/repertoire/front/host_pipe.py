"""Host pipe: the front's end of the host's stdin and stdout, with a buffer for each; used by the front. Standard library only.

`HostPipe` never blocks, except in `write_all`. It bounds the length of a line. It does not parse lines.
"""

from __future__ import annotations

import os
import select
import stat

from repertoire.front.open_requests import failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 256 * 1024
_MAX_LINE_BYTES = 16 * 1024 * 1024
"""The daemon takes no longer line. The front refuses it itself, which keeps the connection to the daemon."""


class HostPipe:
    """Bytes that came from the host and are not yet passed on, and bytes for it that are not yet written."""

    def __init__(self) -> None:
        self.out, self._out_bytes = _own_stdout()
        self.to_host = bytearray()
        self.has_ended = False  # it has closed our stdin
        self.is_gone = False  # it has closed our stdout
        self._from_host = bytearray()
        self._skipping = False  # inside a line that was too long

    @property
    def has_line(self) -> bool:
        return b"\n" in self._from_host

    @property
    def never_blocks(self) -> bool:
        """Stdout is opened anew, without blocking: it can be written before poll() says so."""
        return self.out != 1

    def read(self) -> bool:
        """Read once. True: at least one line is whole."""
        try:
            part = os.read(0, READ_BYTES)
        except OSError:
            part = b""
        if not part:
            self.has_ended = True
            if self._from_host and not self._skipping:
                part = b"\n"  # the last line came without one
        self._from_host += part
        if b"\n" not in part and len(self._from_host) > _MAX_LINE_BYTES:
            self._refuse_line()
        return b"\n" in part

    def lines(self) -> Iterator[bytes]:
        """Take every whole line. One that is too long is answered with an error instead."""
        for line in take_lines(self._from_host):
            if self._skipping:
                self._skipping = False
            elif len(line) > _MAX_LINE_BYTES:
                self.to_host += _too_long()
            elif line.strip():
                yield line

    def move(self, event: int) -> None:
        """React to what poll() says of stdout."""
        try:
            if self.to_host and event & select.POLLOUT:
                del self.to_host[: os.write(self.out, memoryview(self.to_host)[: self._out_bytes])]
            elif event & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                self.is_gone = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_gone = True

    def write_all(self) -> None:
        """Write the rest, however long the host takes to read it. Return at once when the host is gone."""
        while self.to_host and not self.is_gone:
            select.select([], [self.out], [])
            self.move(select.POLLOUT)

    def _refuse_line(self) -> None:
        self._from_host.clear()
        if not self._skipping:
            self._skipping = True
            self.to_host += _too_long()


def take_lines(buffer: bytearray) -> Iterator[bytes]:
    """Every whole line, without its newline. An incomplete line stays in the buffer."""
    end = buffer.rfind(b"\n")
    if end < 0:
        return iter(())
    whole = bytes(buffer[:end])
    del buffer[: end + 1]
    return iter(whole.split(b"\n"))


def _own_stdout() -> tuple[int, int]:
    """The descriptor for writing to the host, and how many bytes it takes at once.

    A pipe takes PIPE_BUF without blocking. Other processes share it, so we must not change its mode. Where it can be opened anew through
    /proc, the new description has a mode of its own: then the host wakes up a sixteenth as often.
    """
    try:
        if stat.S_ISFIFO(os.fstat(1).st_mode):
            return os.open("/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), READ_BYTES
    except OSError:  # no /proc, or nobody reads the pipe any more: writing says so
        pass
    return 1, select.PIPE_BUF


def _too_long() -> bytes:
    return failure(None, -32600, "a line is longer than 16 MiB; it was dropped")
