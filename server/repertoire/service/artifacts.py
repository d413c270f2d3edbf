"""Artifacts: saves, reads, lists and deletes a principal's artifacts, and deletes what is no longer kept; used by doors, surfaces, Retention.

Theory of operation. A content is a file that is named by its hash, and rows say who needs it.

1. Saving: copy the content to a file without a name, give it its name, then write the rows. If the server dies in between, the file has no
   row, and the next owner deletes it.
2. Deleting: delete the row of a content that nothing needs, then its file. If the server dies in between, again a file has no row.
3. From the look for room to the row, a save holds `_lock`, and so does a deletion. Otherwise a save could take over a file that is just
   deleted. Where there is no room, contents that nothing needs are deleted first, however fresh.
4. A body that loads gets a hash, and reads the file itself. Its run keeps the content until it ends: a replay loads the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.to_thread

from ..errors import ArtifactsFull, BadArguments, StorageError, UnknownArtifact
from ..limits import Limits
from ..model.artifact import Artifact, Kind, NewArtifact, checked_name, is_mime_type, name_of_uri, new_artifact
from ..model.session import Caller
from ..store import Store
from ..store.audit import By
from ..store.content_files import ContentFiles, Staged

logger = logging.getLogger(__name__)

_FRESH_S: Final = 3600.0
"""A content that nothing needs any more is kept for so long: an answer that shows it may be on its way."""
_BY_NAME: Final = "Give its name, and call artifacts.load(name) in the workflow."
_ORIGIN_CHARS: Final = 150
_ROWS: Final = 200
_MAX_PAGE: Final = 1_000


class Artifacts:
    def __init__(self, store: Store, files: ContentFiles, limits: Limits) -> None:
        self._store = store
        self._files = files
        self._limits = limits
        self._lock = anyio.Lock()
        self._on_change: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` whenever an artifact of a new name was saved, or one was deleted."""
        self._on_change.append(listener)

    def _notify(self) -> None:
        for listener in self._on_change:
            listener()

    async def save_file(
        self,
        principal: str,
        new: NewArtifact,
        path: str,
        *,
        expected: str | None = None,
        call: tuple[str, str] | None = None,
        by: Caller | None = None,
    ) -> Artifact:
        """Save the content of a file, which stays. `expected`: the hash that it must have. `call`: the run and path of a body's call.
        `by`: a person who does it."""
        staged = await anyio.to_thread.run_sync(self._files.stage_file, path, self._limits.max_artifact_bytes)
        if expected is not None and staged.hash != expected:
            self._files.discard(staged.path)
            raise BadArguments("The content has changed on its way.", "Make the call again.")
        return await self._save(principal, new, staged, call, None if by is None else By.of(by))

    async def save_bytes(self, principal: str, new: NewArtifact, data: bytes) -> Artifact:
        """Save a content that the server itself has, such as an image from a tool."""
        staged = await anyio.to_thread.run_sync(self._files.stage, data, self._limits.max_artifact_bytes)
        return await self._save(principal, new, staged)

    async def keep_blob(
        self, principal: str, origin: str, data: bytes, mime_type: str, run_id: str | None = None
    ) -> dict[str, Any]:
        """Save bytes that came without a name, such as a tool's image, as `ORIGIN/HASH.png`. The same bytes get the same name."""
        from mimetypes import guess_extension

        digest = hashlib.sha256(data).hexdigest()[:16]
        if not is_mime_type(mime_type):
            mime_type = "application/octet-stream"
        name = f"{origin[:_ORIGIN_CHARS]}/{digest}{guess_extension(mime_type.partition(';')[0]) or ''}"
        new = new_artifact(name, "bytes", mime_type=mime_type, run_id=run_id)
        return (await self.save_bytes(principal, new, data)).public()

    async def _save(
        self,
        principal: str,
        new: NewArtifact,
        staged: Staged,
        call: tuple[str, str] | None = None,
        by: By | None = None,
    ) -> Artifact:
        try:
            try:
                return await self._store_in_room(principal, new, staged, call, by)
            except ArtifactsFull:
                if not await self._drop_contents(0.0):
                    raise
                return await self._store_in_room(principal, new, staged, call, by)
        finally:
            self._files.discard(staged.path)

    async def _store_in_room(
        self, principal: str, new: NewArtifact, staged: Staged, call: tuple[str, str] | None, by: By | None
    ) -> Artifact:
        """Raises ArtifactsFull, and then the copy has no name yet."""
        content, bounds = (staged.hash, staged.size), (self._limits.max_artifacts, self._limits.max_artifacts_bytes)
        async with self._lock:
            await self._store.check_artifact_room(principal, new.name, content, bounds)
            await anyio.to_thread.run_sync(self._files.keep, staged)
            saved = await self._store.save_artifact(principal, new, content, call, by)
        if saved.created_at == saved.updated_at:
            self._notify()
        return saved

    async def find(self, caller: Caller, name: str) -> Artifact:
        """Raises UnknownArtifact."""
        found = await self._store.artifact(caller.principal, checked_name(name))
        if found is None:
            raise unknown_artifact(name)
        return found

    async def use(self, principal: str, name: str, run_id: str | None = None) -> Artifact:
        """The artifact whose content is about to be read. `run_id`: of the run that reads it. Raises UnknownArtifact."""
        name = checked_name(name)
        try:
            found = await self._store.use_artifact(principal, name, run_id)
        except StorageError:  # a full disk is no reason not to read
            found = await self._store.artifact(principal, name)
        if found is None:
            raise unknown_artifact(name)
        return found

    async def read(self, artifact: Artifact) -> bytes:
        """Raises DamagedArtifact."""
        return await anyio.to_thread.run_sync(self._files.read, artifact.hash)

    async def value(self, principal: str, uri: str) -> Any:
        """The text or JSON value of the artifact at `artifact:///NAME`, for a reference in arguments. Raises UnknownArtifact, BadArguments."""
        artifact = await self.use(principal, name_of_uri(uri))
        if artifact.size > (most := self._limits.max_arguments_bytes):
            raise BadArguments(
                f"The artifact {artifact.name!r} has {artifact.size} bytes; arguments have at most {most}.", _BY_NAME
            )
        try:
            return await anyio.to_thread.run_sync(_value_of, artifact.kind, await self.read(artifact))
        except (ValueError, RecursionError):
            why = f"The artifact {artifact.name!r} is not text, so it cannot be an argument."
            raise BadArguments(why, _BY_NAME) from None

    def path(self, artifact: Artifact) -> str:
        """The file of its content, for the command line of the same user."""
        return self._files.path(artifact.hash)

    async def list_page(
        self, caller: Caller, prefix: str = "", cursor: str | None = None, limit: int = 50
    ) -> dict[str, Any]:
        """{artifacts, next_cursor}, by name. The cursor is the last name of a page."""
        limit = max(1, min(limit, _MAX_PAGE))
        found = await self._store.artifacts(caller.principal, prefix, cursor or "", limit + 1)
        page = found[:limit]
        return {
            "artifacts": [artifact.brief() for artifact in page],
            "next_cursor": page[-1].name if len(found) > limit else None,
        }

    async def list_all(self, principal: str, prefix: str) -> list[Artifact]:
        return await self._store.artifacts(principal, prefix)

    async def delete(
        self, principal: str, name: str, call: tuple[str, str] | None = None, by: Caller | None = None
    ) -> bool:
        """False: there is none of that name. `by`: a person who does it."""
        if not (
            deleted := await self._store.delete_artifact(
                principal, checked_name(name), call, None if by is None else By.of(by)
            )
        ):
            return False
        self._notify()
        return deleted

    async def sweep(self) -> None:
        """Delete files that have no row: an owner was killed while it saved or deleted, or a save failed."""
        async with self._lock:
            known = await self._store.contents()
            if count := await anyio.to_thread.run_sync(self._files.delete_strays, known):
                logger.info("%d files of artifacts were left without a name; they are deleted", count)

    async def collect(self, *, dry_run: bool = False) -> int:
        """Delete artifacts that were not used for `keep_artifacts_s`, and contents that nothing needs. Returns the number of artifacts."""
        before = time.time() - self._limits.keep_artifacts_s if self._limits.keep_artifacts_s else 0.0
        if dry_run:
            return await self._store.would_drop_artifacts(before)
        dropped = 0
        while count := await self._store.drop_artifacts(before, _ROWS):
            dropped += count
        if dropped:
            self._notify()
        await self._drop_contents(_FRESH_S)
        await self.sweep()
        return dropped

    async def _drop_contents(self, fresh_s: float) -> int:
        count = 0
        while True:
            async with self._lock:
                hashes = await self._store.drop_contents(time.time() - fresh_s, _ROWS)
                await anyio.to_thread.run_sync(self._files.delete, hashes)
            count += len(hashes)
            if len(hashes) < _ROWS:
                return count


def _value_of(kind: Kind, data: bytes) -> Any:
    return json.loads(data) if kind == "json" else data.decode("utf-8")


def unknown_artifact(name: str) -> UnknownArtifact:
    return UnknownArtifact(
        f"There is no artifact {name[:100]!r}.",
        "artifacts.list() in a workflow, or `repertoire artifacts`, lists them.",
    )
