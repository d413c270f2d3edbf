"""ArtifactFacts: artifacts by name, and which contents still have to be kept; used by the service's Artifacts.

The bytes are in files (`content_files`). A content is kept while an artifact has it, while a run that has not ended has loaded it, and for
some time after it was saved.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any, Final

from ..errors import ArtifactsFull
from ..model.artifact import Artifact, NewArtifact
from .audit import By, note
from .effects import Effect, note_effect
from .facts import Facts
from .unfinished import IS_UNFINISHED

_COLUMNS: Final = ", ".join(Artifact.__struct_fields__)
_UNUSED: Final = (
    "FROM content WHERE stored_at < ? AND NOT EXISTS (SELECT 1 FROM artifact WHERE artifact.hash = content.hash) "
    "AND NOT EXISTS (SELECT 1 FROM content_use WHERE content_use.hash = content.hash AND run_id IN "
    f"(SELECT id FROM run WHERE {IS_UNFINISHED}))"
)


class ArtifactFacts(Facts):
    async def save_artifact(
        self,
        principal: str,
        new: NewArtifact,
        content: tuple[str, int],
        call: tuple[str, str] | None = None,
        by: By | None = None,
    ) -> Artifact:
        """Store the artifact, in the place of one with the same name. The file of its content is there already.

        `content`: hash and size. `call`: the run and path of the body's call. `by`: a person who does it, and no body.
        """
        hash, size = content

        def fact(db: sqlite3.Connection) -> Artifact:
            now = time.time()
            before = _find(db, principal, new.name)
            artifact = Artifact(
                principal=principal,
                name=new.name,
                hash=hash,
                size=size,
                kind=new.kind,
                mime_type=new.mime_type,
                description=new.description,
                metadata=new.metadata,
                run_id=new.run_id,
                created_at=now if before is None else before.created_at,
                updated_at=now,
                used_at=now,
            )
            db.execute(
                "INSERT INTO content VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET stored_at = excluded.stored_at",
                (hash, size, now),
            )
            values = [getattr(artifact, name) for name in Artifact.__struct_fields__]
            db.execute(f"INSERT OR REPLACE INTO artifact ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)
            note_effect(db, call and Effect(*call, json.dumps(artifact.public())))
            if by is not None:
                note(db, "artifact_saved", by, subject=new.name)
            return artifact

        return await self.write(fact)

    async def check_artifact_room(
        self, principal: str, name: str, content: tuple[str, int], bounds: tuple[int, int]
    ) -> None:
        """Raises ArtifactsFull if there is no room for it. `bounds`: how many artifacts the principal may have, and how many bytes all
        contents may have."""
        await self.read_behind(lambda db: _check_room(db, principal, bounds, _find(db, principal, name), content))

    async def artifact(self, principal: str, name: str) -> Artifact | None:
        return await self.read(lambda db: _find(db, principal, name))

    async def use_artifact(self, principal: str, name: str, run_id: str | None = None) -> Artifact | None:
        """The artifact, whose content is about to be read. `run_id`: the run that reads it keeps the content until its end."""

        def fact(db: sqlite3.Connection) -> Artifact | None:
            found = _find(db, principal, name)
            if found is not None:
                db.execute(
                    "UPDATE artifact SET used_at = ? WHERE principal = ? AND name = ?", (time.time(), principal, name)
                )
                if run_id is not None:
                    db.execute("INSERT OR IGNORE INTO content_use VALUES (?, ?)", (run_id, found.hash))
            return found

        return await (self.write(fact) if run_id is None else self.write_patiently(fact))

    async def uses_content(self, run_id: str, hash: str) -> bool:
        """True if the run has loaded an artifact with this content."""
        statement = "SELECT 1 FROM content_use WHERE run_id = ? AND hash = ?"
        return await self.read(lambda db: db.execute(statement, (run_id, hash)).fetchone() is not None)

    async def artifacts(self, principal: str, prefix: str = "", after: str = "", limit: int = -1) -> list[Artifact]:
        """The principal's artifacts whose names begin with `prefix`, by name, from the one after `after`."""
        statement = f"SELECT {_COLUMNS} FROM artifact WHERE principal = ? AND name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?"
        values = (principal, after, len(prefix), prefix, limit)
        return await self.read(lambda db: [_decode(row) for row in db.execute(statement, values)])

    async def delete_artifact(
        self, principal: str, name: str, call: tuple[str, str] | None = None, by: By | None = None
    ) -> bool:
        """False: there is none of that name. `by`: a person who does it, and no body."""

        def fact(db: sqlite3.Connection) -> bool:
            statement = "DELETE FROM artifact WHERE principal = ? AND name = ?"
            deleted = db.execute(statement, (principal, name)).rowcount > 0
            note_effect(db, call and Effect(*call, json.dumps(deleted)))
            if deleted and by is not None:
                note(db, "artifact_deleted", by, subject=name)
            return deleted

        return await self.write(fact)

    async def would_drop_artifacts(self, used_before: float) -> int:
        """The number of artifacts that `drop_artifacts` would delete."""
        statement = "SELECT count(*) FROM artifact WHERE used_at < ?"
        return int((await self.read(lambda db: db.execute(statement, (used_before,)).fetchone()))[0])

    async def drop_artifacts(self, used_before: float, at_most: int) -> int:
        """Delete artifacts that nobody has saved or loaded since then."""
        statement = (
            "DELETE FROM artifact WHERE (principal, name) IN "
            "(SELECT principal, name FROM artifact WHERE used_at < ? ORDER BY used_at LIMIT ?)"
        )
        return await self.write(lambda db: db.execute(statement, (used_before, at_most)).rowcount)

    async def drop_contents(self, stored_before: float, at_most: int) -> list[str]:
        """Forget contents that nothing needs. Returns their hashes: their files can be deleted."""

        def fact(db: sqlite3.Connection) -> list[str]:
            found = db.execute(f"SELECT hash {_UNUSED} LIMIT ?", (stored_before, at_most)).fetchall()
            db.executemany("DELETE FROM content WHERE hash = ?", found)
            db.executemany("DELETE FROM content_use WHERE hash = ?", found)
            return [hash for (hash,) in found]

        return await self.write(fact)

    async def contents(self) -> set[str]:
        """The hashes of all contents, after all facts submitted before."""
        return await self.read_behind(lambda db: {hash for (hash,) in db.execute("SELECT hash FROM content")})


def _check_room(
    db: sqlite3.Connection, principal: str, bounds: tuple[int, int], before: Artifact | None, content: tuple[str, int]
) -> None:
    """`before`: the artifact that is replaced. Its content is not counted if nothing else needs it."""
    most, most_bytes = bounds
    (count,) = db.execute("SELECT count(*) FROM artifact WHERE principal = ?", (principal,)).fetchone()
    if before is None and count >= most:
        raise ArtifactsFull(
            f"There are {count} artifacts already; `max_artifacts` is {most}.",
            "Delete some (artifacts.delete, `repertoire artifacts delete`), or put several into one.",
        )
    (used,) = db.execute("SELECT coalesce(sum(size), 0) FROM content WHERE hash <> ?", (content[0],)).fetchone()
    if before is not None and before.hash != content[0] and _needs(db, before.hash) == 1:
        used -= before.size
    if used + content[1] > most_bytes:
        raise ArtifactsFull(
            f"The artifacts take {used} bytes, and this one {content[1]}; `max_artifacts_bytes` is {most_bytes}.",
            "Delete some (artifacts.delete, `repertoire artifacts delete`), or raise the setting.",
        )


def _needs(db: sqlite3.Connection, hash: str) -> int:
    """How many artifacts and unfinished runs need a content."""
    statement = (
        "SELECT (SELECT count(*) FROM artifact WHERE hash = ?) + (SELECT count(*) FROM content_use WHERE hash = ? "
        f"AND run_id IN (SELECT id FROM run WHERE {IS_UNFINISHED}))"
    )
    return int(db.execute(statement, (hash, hash)).fetchone()[0])


def _find(db: sqlite3.Connection, principal: str, name: str) -> Artifact | None:
    statement = f"SELECT {_COLUMNS} FROM artifact WHERE principal = ? AND name = ?"
    row = db.execute(statement, (principal, name)).fetchone()
    return row and _decode(row)


def _decode(row: tuple[Any, ...]) -> Artifact:
    return Artifact(**dict(zip(Artifact.__struct_fields__, row, strict=True)))
