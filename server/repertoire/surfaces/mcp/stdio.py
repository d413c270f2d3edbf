"""Stdio: this process's own stdin and stdout as the lines of one connection; used by `serve --embedded` instead of a socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import anyio
import anyio.to_thread
import mcp_types as types
import msgspec

from ...daemon.line_channel import MAX_LINE_BYTES


class StdioLines:
    """Made by `stdio_lines`. Its bounds are the daemon socket's, but a line that is too long does not end it: no host could reconnect."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._writing = anyio.Lock()

    async def receive(self) -> bytes | None:
        while (line := await anyio.to_thread.run_sync(self._read, abandon_on_cancel=True)) is not None:
            if len(line) > MAX_LINE_BYTES:
                await self.send(_too_long())
            elif line.strip():
                return line
        return None

    async def send(self, line: bytes) -> None:
        async with self._writing:
            await anyio.to_thread.run_sync(self._write, line + b"\n")

    def _read(self) -> bytes | None:
        """The next line without its newline. A line that is too long is cut just above the limit."""
        line = rest = self._incoming.readline(MAX_LINE_BYTES + 1)
        while len(line) > MAX_LINE_BYTES and rest and not rest.endswith(b"\n"):
            rest = self._incoming.readline(MAX_LINE_BYTES)
        return line.removesuffix(b"\n") if line else None

    def _write(self, line: bytes) -> None:
        try:
            self._outgoing.write(line)
            self._outgoing.flush()
        except OSError as error:  # the host has gone
            raise anyio.BrokenResourceError from error


@contextmanager
def stdio_lines() -> Iterator[StdioLines]:
    """Take both descriptors for the protocol. Until the block ends, prints go to stderr, and reads of stdin find its end."""
    kept = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    try:
        yield StdioLines(os.fdopen(kept[0], "rb", closefd=False), os.fdopen(kept[1], "wb", closefd=False))
    finally:
        for fd, original in enumerate(kept):
            os.dup2(original, fd)


def _too_long() -> bytes:
    error = {"code": types.INVALID_REQUEST, "message": "a line is longer than 16 MiB; it was dropped"}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error})
