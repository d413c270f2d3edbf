"""BodyContents: hands contents of artifacts over to the host, and reads contents by their hash; used by BodyCalls.

A worker that sees the host's files hands them over as files: a call's content lies at a path that both compute from the run and the call's
path. The host copies the file and deletes it. A worker in the sandbox sends and gets contents in parts, through its socket.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
from typing import BinaryIO

from ...authoring.doors import Content
from ...home import advice, content_path, incoming_path
from ...values.records import CallError
from ...wire import CONTENT_PART_BYTES, SendContent
from .exchange import Exchange


class BodyContents:
    def __init__(self, exchange: Exchange, folder: str, run_id: str, max_bytes: int) -> None:
        """`folder`: HOME/artifacts. Empty in the sandbox."""
        self._exchange = exchange
        self._folder = folder
        self._run_id = run_id
        self._max_bytes = max_bytes

    def hand_over(self, call_path: str, content: Content | None) -> None:
        """Write the content for the host. Raises CallError with the host's codes, and OSError of a file that cannot be read."""
        if content is None:
            return
        size = len(content) if isinstance(content, bytes) else os.stat(content).st_size
        if size > self._max_bytes:
            raise CallError(
                f"An artifact of {size} bytes is too large: `max_artifact_bytes` is {self._max_bytes}.",
                code="artifact_too_large",
                type="ArtifactTooLarge",
                hint="Save it in parts.",
            )
        with contextlib.ExitStack() as files:
            source = io.BytesIO(content) if isinstance(content, bytes) else files.enter_context(open(content, "rb"))
            if not self._folder:
                self._send(call_path, source)
                return
            path = incoming_path(self._folder, self._run_id, call_path)
            try:
                target = files.enter_context(open(path, "wb", opener=_private))
                shutil.copyfileobj(source, target)
                target.flush()
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                raise CallError(
                    f"An artifact cannot be stored: {error.strerror}.",
                    code="storage",
                    type="StorageError",
                    hint=advice(error) or None,
                ) from None

    def read(self, hash: str) -> bytes:
        why, hint = "was changed", "Save it again."
        try:
            data = self._read_file(hash) if self._folder else self._fetch(hash)
            if hashlib.sha256(data).hexdigest() == hash:
                return data
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
            if isinstance(error, FileNotFoundError):
                hint += " A rerun may want a content that was deleted since: `repertoire rerun RUN --from CALL` loads what there is now."
        raise CallError(f"The artifact's file {why}.", code="damaged_artifact", type="DamagedArtifact", hint=hint)

    def _send(self, call_path: str, source: BinaryIO) -> None:
        part = source.read(CONTENT_PART_BYTES)
        self._exchange.tell(SendContent(call_path, part))  # an empty content is one empty part
        while part := source.read(CONTENT_PART_BYTES):
            self._exchange.tell(SendContent(call_path, part))

    def _read_file(self, hash: str) -> bytes:
        with open(content_path(self._folder, hash), "rb") as file:
            return file.read()

    def _fetch(self, hash: str) -> bytes:
        data = bytearray()
        while part := self._exchange.fetch_content(hash, len(data)):
            data += part
        if part is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return bytes(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
