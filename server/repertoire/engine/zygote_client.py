"""Zygote: the host's end of a small warm Python process that forks workers; used by WorkerPool.

Only the zygote reaps its children, so only the zygote kills them. A process id that the host remembers could belong to another process
by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import signal
import socket
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from ..limits import Limits
from ..wire import Ended, Fork, Forked, Kill, Locked, ZygoteCommand, encode, frames, zygote_report_decoder
from .worker_command import start_python

T = TypeVar("T")
logger = logging.getLogger(__name__)

_MOST_REPORT: Final = 64 * 1024
"""Bytes of one report: a few numbers, and at the start a sentence for each wall."""


class ZygoteClient:
    def __init__(self, sock: socket.socket, process: asyncio.subprocess.Process) -> None:
        self._sock = sock
        self._process = process
        self._buffer = bytearray()
        self._numbers = itertools.count(1)
        self._forked: dict[int, asyncio.Future[Forked]] = {}
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._walls: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self.dead = False

    @classmethod
    async def start(cls, environment: dict[str, str], *flags: str, prefix: Sequence[str] = ()) -> ZygoteClient:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await start_python(theirs, environment, "--zygote", *flags, prefix=prefix)
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        zygote = cls(ours, process)
        asyncio.get_running_loop().add_reader(ours, zygote._on_readable)
        return zygote

    async def walls(self) -> dict[str, str]:
        """Wait until a zygote for untrusted code has locked itself in. Gives the reason of each wall that is missing, empty for one that
        stands. Raises OSError when it has ended before."""
        return await asyncio.shield(self._walls)

    async def fork(self, theirs: socket.socket, limits: Limits | None, *, once: bool) -> tuple[int, Forked]:
        """Fork a child that serves frames on `theirs`. Returns its number, its process id and its folder. Raises OSError when the zygote is
        gone or cannot fork.

        `limits` are for code that is not trusted. Without them the child runs the operator's own files. `once`: it gets one frame."""
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        self._ended[number] = loop.create_future()
        forked = self._forked[number] = loop.create_future()
        try:
            self._send(_fork_command(number, limits, once=once), theirs.fileno())
            child = await forked
            if child.pid == 0:
                raise OSError(errno.EAGAIN, "the process for this run could not be started")
            return number, child
        except BaseException:
            self.kill(number)
            raise
        finally:
            self._forked.pop(number, None)

    async def exit_code(self, number: int) -> int | None:
        """Wait for the end of the child. Its exit code is as in subprocess. None: it was killed from here."""
        future = self._ended.get(number)
        return None if future is None else await asyncio.shield(future)

    def kill(self, number: int) -> None:
        """Kill the child with its whole process group, and forget it. No error when it has ended."""
        future = self._ended.pop(number, None)
        if future is not None and not future.done() and not self.dead:
            with contextlib.suppress(OSError):
                self._send(Kill(number))

    async def close(self) -> None:
        self._on_lost()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        await self._process.wait()

    def _send(self, command: ZygoteCommand, fd: int | None = None) -> None:
        if self.dead:
            raise ConnectionError("the process that starts workers is gone")
        socket.send_fds(self._sock, [encode(command)], [] if fd is None else [fd])

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._on_lost()
            return
        self._buffer += data
        try:
            reports = [zygote_report_decoder.decode(frame) for frame in frames(self._buffer, _MOST_REPORT)]
        except (ValueError, msgspec.MsgspecError, RecursionError):
            logger.exception("the process that starts workers is ended: it has sent what is no report")
            self._on_lost()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return
        for report in reports:
            if isinstance(report, Locked):
                _resolve(self._walls, report.walls)
            elif isinstance(report, Forked):
                _resolve(self._forked.get(report.id), report)
            elif isinstance(report, Ended):
                _resolve(self._ended.get(report.id), report.code)

    def _on_lost(self) -> None:
        if self.dead:
            return
        self.dead = True
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        gone = ConnectionError("the process that starts workers is gone")
        for waiting in self._forked.values():
            if not waiting.done():
                waiting.set_exception(gone)
        if not self._walls.done():
            self._walls.set_exception(gone)
            self._walls.exception()  # perhaps nobody asks
        for future in self._ended.values():
            _resolve(future, -signal.SIGKILL)


def _resolve(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fork_command(number: int, limits: Limits | None, *, once: bool) -> Fork:
    if limits is None:
        return Fork(number, is_trusted=True, once=once)
    return Fork(
        number,
        once=once,
        memory_mb=limits.worker_memory_mb,
        open_files=limits.worker_open_files,
        file_mb=limits.worker_file_mb,
    )
