"""ContentExchange: contents of artifacts for a body that sees no file of the host, in parts through its socket; used by Attempt.

A content that the body sends becomes a file where a body with files would have put it (`home.incoming_path`), so the door is the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from typing import Final

import anyio.to_thread

from ..home import content_path, incoming_path
from ..limits import Limits
from ..store import Store
from ..wire import CONTENT_PART_BYTES, ContentPart, Fault, ReadContent, SendContent
from .pool import Worker

logger = logging.getLogger(__name__)

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class ContentExchange:
    def __init__(self, run_id: str, worker: Worker, store: Store, limits: Limits) -> None:
        self._run_id = run_id
        self._worker = worker
        self._store = store
        self._folder = worker.artifacts
        self._limits = limits
        self._sizes: dict[str, int] = {}
        """Bytes that are here of each content, by the path of its file."""
        self._readable: set[str] = set()

    async def receive(self, frame: SendContent) -> Fault | None:
        """Add a part to the file of its call. A fault: the body sends more than one artifact may have."""
        path = incoming_path(self._folder, self._run_id, frame.path)
        before = self._sizes.get(path, 0)
        size = self._sizes[path] = before + len(frame.data)
        if sum(self._sizes.values()) > self._limits.max_artifact_bytes:
            return Fault(
                "artifact_too_large",
                "ArtifactTooLarge",
                f"Artifacts of {size} bytes are too large.",
                hint="Save them in parts.",
            )
        try:
            await anyio.to_thread.run_sync(_write, path, frame.data, before)
        except OSError:  # the door finds no content, and tells the body
            logger.exception("%s: a content could not be stored", self._run_id)
            _delete(path)
        return None

    def forget(self, call_path: str) -> None:
        """The call was sent: the door takes its file."""
        self._sizes.pop(incoming_path(self._folder, self._run_id, call_path), None)

    async def send(self, frame: ReadContent) -> None:
        """Send a part of a content that the run has loaded."""
        data = None
        if _HASH.fullmatch(frame.hash) and await self._may_read(frame.hash):
            with contextlib.suppress(OSError, ValueError):
                data = await anyio.to_thread.run_sync(_read, content_path(self._folder, frame.hash), frame.start)
        self._worker.channel.send(ContentPart(frame.id, data))

    async def _may_read(self, hash: str) -> bool:
        if hash not in self._readable and await self._store.uses_content(self._run_id, hash):
            self._readable.add(hash)
        return hash in self._readable

    def close(self) -> None:
        """Delete what no call has taken."""
        for path in self._sizes:
            _delete(path)


def _write(path: str, data: bytes, start: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if start else os.O_TRUNC) | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)


def _delete(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _read(path: str, start: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(CONTENT_PART_BYTES)
