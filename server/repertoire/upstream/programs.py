"""Programs: runs a program without a shell, with a time limit and a limit on its output, and ends its whole process group; used by commands.

1. stdin is /dev/null, so a program that reads it gets the end of the file at once.
2. Output is counted while it is read. At the limit nothing more is read, and the program is ended.
3. The program leads a session of its own. It is ended by SIGTERM to its group, and by SIGKILL if that does not help in time.
4. A child that outlives the program may hold its pipes open. It gets a moment, then it is killed too.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import anyio

_ERROR_BYTES: Final = 16 * 1024
"""The end of stderr, which is kept: a program's last words say why it failed."""
_CHILDREN_S: Final = 0.5
_GRACE_S: Final = 2.0
_KILL_S: Final = 5.0


class Ended(NamedTuple):
    """`code` is negative for a signal. `is_cut`: the output was larger than allowed, and the program was ended."""

    code: int
    output: bytes
    errors: bytes
    is_cut: bool


async def run_program(
    command: Sequence[str], *, env: Mapping[str, str], cwd: str | None, timeout_s: float, max_bytes: int
) -> Ended:
    """Run it to its end. Raises OSError when it cannot be started, and TimeoutError."""
    loop = asyncio.get_running_loop()
    transport, program = await loop.subprocess_exec(
        lambda: _Program(max_bytes),
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        with anyio.fail_after(timeout_s):
            await program.over.wait()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(transport, program)
    code = transport.get_returncode()
    return Ended(
        -signal.SIGKILL if code is None else code, bytes(program.output), bytes(program.errors), program.is_cut
    )


class _Program(asyncio.SubprocessProtocol):
    """`over` is set when nothing more is to come: the program and its pipes have ended, or its output is too large."""

    def __init__(self, max_bytes: int) -> None:
        self.output = bytearray()
        self.errors = bytearray()
        self.is_cut = False
        self.exited = asyncio.Event()
        self.over = asyncio.Event()
        self._max_bytes = max_bytes
        self._pipes = {1, 2}
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.errors += data
            del self.errors[:-_ERROR_BYTES]
        elif len(self.output) + len(data) <= self._max_bytes:
            self.output += data
        elif not self.is_cut:
            self.is_cut = True
            self.over.set()
            pipe = self._transport.get_pipe_transport(fd) if self._transport else None
            if isinstance(pipe, asyncio.ReadTransport):
                pipe.pause_reading()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._pipes.discard(fd)
        self._see_whether_over()

    def process_exited(self) -> None:
        self.exited.set()
        self._see_whether_over()
        asyncio.get_running_loop().call_later(_CHILDREN_S, self.over.set)

    def _see_whether_over(self) -> None:
        if self.exited.is_set() and not self._pipes:
            self.over.set()


async def _end(transport: asyncio.SubprocessTransport, program: _Program) -> None:
    """End the program, if it has not ended, and whatever is left of its group."""
    group = transport.get_pid()
    if not program.exited.is_set():
        _signal_group(group, signal.SIGTERM)
        with anyio.move_on_after(_GRACE_S):
            await program.exited.wait()
    _signal_group(group, signal.SIGKILL)
    with anyio.move_on_after(_KILL_S):
        await program.exited.wait()
    transport.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass  # all of it has ended; macOS says "not permitted" for a group of zombies
