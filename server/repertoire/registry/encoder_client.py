"""EncoderProcess: starts the encoder's child process, sends it requests and matches the replies by number; used by `EmbeddingIndex`.

The messages are in `encoder.messages`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

import anyio
import msgspec

from ..encoder.messages import Asked, Reply, Request, RequestRefused, answered_decoder, frame
from ..wire import frames

_KEPT_ENVIRONMENT: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT",
    "HF_TOKEN", "SYSTEMROOT",
)  # fmt: skip
"""Variables that Python, torch and the hub's client need. The child gets no others."""


class EncoderGone(Exception):
    """Raised when the child has died or does not answer."""


class EncoderRefused(Exception):
    """Raised when the child could not carry out this one request; the message says why."""


class EncoderProcess(asyncio.Protocol):
    """`request` may be called from any task; the child handles requests one after the other. `on_gone` is called when the child has died."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._transport: asyncio.Transport | None = None
        self.on_gone: Callable[[], None] | None = None
        self.gone = False
        self.pid = 0

    async def request(self, request: Request, *, within_s: float) -> Reply:
        """Raises EncoderRefused, and EncoderGone if the child died or gave no answer in time. In the latter case the child is ended."""
        if self.gone or self._transport is None:
            raise EncoderGone("the encoder is gone")
        number = next(self._numbers)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._transport.write(frame(Asked(number, request)))
            with anyio.fail_after(within_s):
                reply = await future
        except TimeoutError:
            self._transport.abort()
            raise EncoderGone(f"the encoder gave no answer within {within_s:g} s") from None
        finally:
            self._waiting.pop(number, None)
        if isinstance(reply, RequestRefused):
            raise EncoderRefused(reply.reason)
        return reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            for raw in frames(self._buffer):
                answered = answered_decoder.decode(raw)
                future = self._waiting.get(answered.id)
                if future is not None and not future.done():
                    future.set_result(answered.reply)
        except (ValueError, msgspec.MsgspecError):
            if self._transport is not None:
                self._transport.abort()  # after an invalid message the child is restarted

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EncoderGone("the encoder died"))
        if self.on_gone is not None:
            self.on_gone()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def encoder_process(scratch: str, *, download: bool) -> AsyncIterator[EncoderProcess]:
    """A started child. At the end of the block its process group is killed, and the child is waited for."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "repertoire.encoder",
                "--fd",
                str(theirs.fileno()),
                "--scratch",
                scratch,
                pass_fds=(theirs.fileno(),),
                env=_environment(download),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    try:
        ours.setblocking(False)
        _, process = await asyncio.get_running_loop().create_connection(EncoderProcess, sock=ours)
        process.pid = child.pid
        try:
            yield process
        finally:
            process.close()
    finally:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


def _environment(download: bool) -> dict[str, str]:
    """One thread for each numeric library. Without `download`, the hub's client stays offline."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    offline = {} if download else {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return {
        **kept,
        **offline,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
