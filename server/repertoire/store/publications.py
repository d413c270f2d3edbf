"""PublishingFacts: publishing and drafts, with their history and the results of examples; and pinned names. Used by the service.

The history is the part of the audit log that tells where a version comes from: the view `publication`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ..model.example import Checked
from ..model.workflow_version import WorkflowVersion
from .audit import By, note
from .effects import note_effect
from .facts import Facts
from .workflow_versions import add_version, read_version

PublicationAction = Literal["draft", "published", "deleted"]
"""What may become of a text under its name. These lines of the audit log are the view `publication`."""

_LINES: Final = (
    "SELECT version.body, line.hash, line.action, line.at, line.principal, line.client, line.based_on "
    "FROM publication AS line JOIN version ON version.hash = line.hash WHERE line.n IN "
)
_GONE: Final = (
    "(SELECT 1 FROM publication AS later WHERE later.hash = line.hash AND "
    "(later.action = 'published' OR (later.action = 'deleted' AND later.n > line.n)))"
)
"""SQL: the draft was published at some time, or was deleted after this line."""
_DRAFTS: Final = (
    f"{_LINES} (SELECT max(n) FROM publication WHERE action = 'draft' GROUP BY hash) AND NOT EXISTS "
    f"{_GONE} ORDER BY line.n DESC LIMIT 1000"
)
_DELETED: Final = (
    f"{_LINES} (SELECT max(n) FROM publication WHERE action = 'deleted' GROUP BY name) "
    "AND line.name NOT IN (SELECT name FROM published) ORDER BY line.n DESC LIMIT 1000"
)
_HISTORY: Final = "SELECT name, hash, action, at, principal, client FROM publication"
_encode = msgspec.msgpack.Encoder().encode
_checked = msgspec.msgpack.Decoder(Checked)


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a name's history. `based_on` is the hash that was published before. `at` is in seconds since the epoch."""

    hash: str
    action: PublicationAction
    at: float
    principal: str
    client: str
    based_on: str | None = None


class Maker(NamedTuple):
    """Who published a version: a principal, and the own name of the client program."""

    principal: str = ""
    client: str = ""

    @property
    def shown(self) -> str:
        return self.client or self.principal


class Making(NamedTuple):
    """Who first created a published workflow, and who published its present version; each with the time."""

    creator: Maker = Maker()
    created_at: float = 0.0
    changer: Maker = Maker()
    changed_at: float = 0.0


class PublishingFacts(Facts):
    async def publish(self, version: WorkflowVersion, by: By = By(), checked: Checked | None = None) -> Making:
        """Store the version and the results of its examples, and publish it under its name. Returns who created it, and when."""
        now = time.time()

        def fact(db: sqlite3.Connection) -> Making:
            add_version(db, version)
            if checked is not None:
                _note_checked(db, version.hash, checked)
            _note(db, version.name, version.hash, "published", now, by)
            db.execute(
                "INSERT INTO published (name, hash, published_at) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, published_at = excluded.published_at",
                (version.name, version.hash, now),
            )
            note_effect(db, by.effect)
            return _making(db.execute(f"{_HISTORY} WHERE name = ? ORDER BY n", (version.name,)))

        return await self.write(fact)

    async def unpublish(self, name: str, by: By = By()) -> bool:
        """Delete the published name. Versions and runs stay. False: the name was not published."""

        def fact(db: sqlite3.Connection) -> bool:
            row = db.execute("DELETE FROM published WHERE name = ? RETURNING hash", (name,)).fetchone()
            if row is not None:
                _note(db, name, row[0], "deleted", time.time(), by)
            note_effect(db, by.effect)
            return row is not None

        return await self.write(fact)

    async def note_deleted(self, version: WorkflowVersion, by: By = By()) -> None:
        """A workflow's file was deleted: a line in the history of its name."""
        await self.write(lambda db: _note(db, version.name, version.hash, "deleted", time.time(), by))

    async def delete_drafts(self, name: str, by: By = By()) -> bool:
        """Take the drafts of a name away. Their versions stay for a month. False: it has none."""

        def fact(db: sqlite3.Connection) -> bool:
            drafts = f"SELECT DISTINCT hash FROM publication AS line WHERE name = ? AND action = 'draft' AND NOT EXISTS {_GONE}"
            found = db.execute(drafts, (name,)).fetchall()
            for (hash,) in found:
                _note(db, name, hash, "deleted", time.time(), by)
            note_effect(db, by.effect)
            return bool(found)

        return await self.write(fact)

    async def effect(self, run_id: str, path: str) -> str | None:
        """The answer of a body's call that has changed something in an earlier attempt. None: it has not."""
        statement = "SELECT answer FROM effect WHERE run_id = ? AND path = ?"
        row = await self.read_behind(lambda db: db.execute(statement, (run_id, path)).fetchone())
        return None if row is None else row[0]

    async def keep_draft(self, version: WorkflowVersion, by: By, checked: Checked) -> None:
        """Store the version without publishing it. A version that was ever published keeps the examples of its publishing."""

        def fact(db: sqlite3.Connection) -> None:
            add_version(db, version)
            if not _was_published(db, version.hash):
                _note_checked(db, version.hash, checked)
            _note(db, version.name, version.hash, "draft", time.time(), by)

        await self.write(fact)

    async def history(self, name: str) -> list[Publication]:
        """The last two hundred lines, newest first."""

        def query(db: sqlite3.Connection) -> list[Publication]:
            rows = db.execute(
                "SELECT hash, action, at, principal, client, based_on FROM publication WHERE name = ? ORDER BY n DESC LIMIT 200",
                (name,),
            )
            return [_publication(row) for row in rows]

        return await self.read(query)

    async def deletion(self, name: str) -> Publication | None:
        """The line of its history that says that the name was deleted. None: it was not, or is published again."""

        def query(db: sqlite3.Connection) -> Publication | None:
            row = db.execute(
                "SELECT hash, action, at, principal, client, based_on FROM publication "
                "WHERE name = ? AND action <> 'draft' ORDER BY n DESC LIMIT 1",
                (name,),
            ).fetchone()
            return _publication(row) if row is not None and row[1] == "deleted" else None

        return await self.read(query)

    async def makers(self) -> dict[str, Making]:
        """Who created each created workflow, and who published its present version, by name."""

        def query(db: sqlite3.Connection) -> dict[str, Making]:
            rows = db.execute(f"{_HISTORY} WHERE name IN (SELECT name FROM published) ORDER BY name, n")
            return {name: _making(lines) for name, lines in groupby(rows, key=lambda row: str(row[0]))}

        return await self.read(query)

    async def unpublished(self, action: Literal["draft", "deleted"]) -> list[tuple[WorkflowVersion, Publication]]:
        """Drafts that were never published, or the versions of deleted names; each with its last line, newest first."""
        statement = _DRAFTS if action == "draft" else _DELETED

        def query(db: sqlite3.Connection) -> list[tuple[WorkflowVersion, Publication]]:
            return [(read_version(db, body), _publication(line)) for body, *line in db.execute(statement).fetchall()]

        return await self.read(query)

    async def was_published(self, hash: str) -> bool:
        return await self.read(lambda db: _was_published(db, hash))

    async def ever_published(self, name: str) -> frozenset[str]:
        """Hashes of all versions that were ever published under the name."""
        statement = "SELECT DISTINCT hash FROM publication WHERE name = ? AND action = 'published'"
        return frozenset(await self.read(lambda db: [hash for (hash,) in db.execute(statement, (name,))]))

    async def drafts(self) -> list[tuple[WorkflowVersion, float]]:
        """The last hundred drafts that were never published, newest first, each with its time."""

        def query(db: sqlite3.Connection) -> list[tuple[WorkflowVersion, float]]:
            rows = db.execute(
                "SELECT version.body, max(at) FROM publication AS line JOIN version USING (hash) WHERE action = 'draft' AND NOT EXISTS "
                f"{_GONE} GROUP BY hash ORDER BY 2 DESC LIMIT 100"
            )
            return [(read_version(db, body), at) for body, at in rows.fetchall()]

        return await self.read(query)

    async def versions_like(self, name: str, prefix: str) -> list[WorkflowVersion]:
        """At most two versions of the name whose hashes begin with `prefix`."""

        def query(db: sqlite3.Connection) -> list[WorkflowVersion]:
            rows = db.execute(
                "SELECT body FROM version WHERE name = ? AND hash >= ? AND hash < ? LIMIT 2",
                (name, prefix, prefix + "g"),
            )
            return [read_version(db, body) for (body,) in rows.fetchall()]

        return await self.read(query)

    async def note_checked(self, hash: str, checked: Checked) -> None:
        await self.write(lambda db: _note_checked(db, hash, checked))

    async def checked(self, hash: str) -> Checked:
        """The results of the version's examples. Empty: it has none."""

        def query(db: sqlite3.Connection) -> Checked:
            row = db.execute("SELECT body FROM checked WHERE hash = ?", (hash,)).fetchone()
            return Checked() if row is None else _checked.decode(row[0])

        return await self.read(query)

    async def pins(self) -> list[str]:
        """Pinned names, in the order of pinning."""
        return [
            name for (name,) in await self.read(lambda db: db.execute("SELECT name FROM pin ORDER BY at").fetchall())
        ]

    async def set_pinned(self, name: str, pinned: bool, by: By) -> bool:
        """Pin the name, or no longer. False: it was so before."""
        statement = (
            "INSERT OR IGNORE INTO pin (at, name) VALUES (?, ?)" if pinned else "DELETE FROM pin WHERE name = ?2"
        )

        def fact(db: sqlite3.Connection) -> bool:
            changed = db.execute(statement, (time.time(), name)).rowcount > 0
            if changed:
                note(db, "pinned" if pinned else "unpinned", by, workflow=name)
            return changed

        return await self.write(fact)


def _making(history: Iterable[Sequence[Any]]) -> Making:
    """From the whole history of a published name. Its creator kept first the text with which it began after its last deletion: a client
    that brings a deleted workflow back has not created it."""
    firsts: dict[str, tuple[Maker, float]] = {}
    created = changed = Maker(), 0.0
    is_new = True
    for _, hash, action, at, principal, client in history:
        made = Maker(principal, client), at
        if action == "deleted":
            is_new = True
            continue
        firsts.setdefault(hash, made)
        created, is_new = (firsts[hash] if is_new else created), False
        changed = made if action == "published" else changed
    return Making(*created, *changed)


def _publication(row: Sequence[Any]) -> Publication:
    hash, action, at, principal, client, based_on = row
    return Publication(hash=hash, action=action, at=at, principal=principal, client=client, based_on=based_on)


def _note(db: sqlite3.Connection, name: str, hash: str, action: PublicationAction, at: float, by: By) -> None:
    row = db.execute("SELECT hash FROM published WHERE name = ?", (name,)).fetchone()
    before = row[0] if action == "published" and row is not None and row[0] != hash else None
    note(db, action, by, workflow=name, version=hash, based_on=before, at=at)


def _note_checked(db: sqlite3.Connection, hash: str, checked: Checked) -> None:
    db.execute("INSERT OR REPLACE INTO checked (hash, body) VALUES (?, ?)", (hash, _encode(checked)))


def _was_published(db: sqlite3.Connection, hash: str) -> bool:
    return (
        db.execute("SELECT 1 FROM publication WHERE hash = ? AND action = 'published'", (hash,)).fetchone() is not None
    )
