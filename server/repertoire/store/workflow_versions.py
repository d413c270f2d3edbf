"""VersionFacts: versions of workflows, published names, and the results of reading files; used by the registry and the service."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

import msgspec

from ..model.workflow_version import BrokenFile, WorkflowVersion
from .approvals import approval_of
from .facts import Facts

_encode = msgspec.msgpack.Encoder().encode
_version = msgspec.msgpack.Decoder(WorkflowVersion)
_broken = msgspec.msgpack.Decoder(BrokenFile)

Entries = tuple[WorkflowVersion | BrokenFile, ...]
"""The workflows of a file (several in class style). BrokenFile says why the file, or one of its classes, is none."""

Scanned = tuple[str, Entries]
"""A file's fingerprint, and the entries that were read from it then."""


class VersionFacts(Facts):
    async def keep_version(self, version: WorkflowVersion) -> None:
        """Store the version without publishing it, for a single run."""
        await self.write(lambda db: add_version(db, version))

    async def published(self) -> list[WorkflowVersion]:
        """Created workflows, oldest first."""

        def query(db: sqlite3.Connection) -> list[WorkflowVersion]:
            rows = db.execute(
                "SELECT version.body FROM published JOIN version USING (hash) ORDER BY published_at, published.name"
            ).fetchall()
            return [
                msgspec.structs.replace(read_version(db, body), origin="tool", root="", path=None) for (body,) in rows
            ]

        return await self.read(query)

    async def version(self, prefix: str, *, patient: bool = False) -> WorkflowVersion | None:
        """Find a version by its hash or a unique prefix of it.

        The operator's file and a created workflow may have the same text. Then it is the operator's if a file has it now, and otherwise
        created.
        """

        def query(db: sqlite3.Connection) -> WorkflowVersion | None:
            rows = db.execute(
                "SELECT body FROM version WHERE hash >= ? AND hash < ? LIMIT 2", (prefix, prefix + "g")
            ).fetchall()
            return _of_its_present_origin(db, read_version(db, rows[0][0])) if len(rows) == 1 else None

        return await self.read(query, patient=patient)

    async def versions_of(self, name: str) -> list[WorkflowVersion]:
        """The last hundred versions of the name, newest first."""

        def query(db: sqlite3.Connection) -> list[WorkflowVersion]:
            statement = "SELECT body FROM version WHERE name = ? ORDER BY created_at DESC LIMIT 100"
            return [read_version(db, body) for (body,) in db.execute(statement, (name,)).fetchall()]

        return await self.read(query)

    async def scanned(self, root: str) -> dict[str, Scanned]:
        """The results of reading the files below `root`, by path."""

        def query(db: sqlite3.Connection) -> dict[str, Scanned]:
            rows = db.execute(
                "SELECT scanned.path, fingerprint, version.body, entry.broken FROM scanned "
                "JOIN scanned_entry AS entry USING (root, path) LEFT JOIN version ON version.hash = entry.hash "
                "WHERE root = ? ORDER BY scanned.path, entry.n",
                (root,),
            )
            known: dict[str, Scanned] = {}
            unreadable: set[str] = set()
            for path, fingerprint, body, broken in rows:
                try:
                    entry = (
                        _broken.decode(broken) if body is None else _version_in_file(_version.decode(body), root, path)
                    )
                except msgspec.MsgspecError:  # another version of Repertoire wrote it: the file is read again
                    unreadable.add(path)
                    continue
                _, before = known.get(path, ("", ()))
                known[path] = fingerprint, (*before, entry)
            return {path: scanned for path, scanned in known.items() if path not in unreadable}

        return await self.read(query)

    async def record_scan(self, root: str, found: dict[str, Scanned], gone: list[str]) -> None:
        """Store the results of reading changed files, and delete those of files that are gone."""

        def fact(db: sqlite3.Connection) -> None:
            for table in ("scanned", "scanned_entry"):
                statement = f"DELETE FROM {table} WHERE root = ? AND path = ?"
                db.executemany(statement, [(root, path) for path in (*gone, *found)])
            for path, (fingerprint, entries) in found.items():
                db.execute("INSERT INTO scanned (root, path, fingerprint) VALUES (?, ?, ?)", (root, path, fingerprint))
                for n, entry in enumerate(entries):
                    if isinstance(entry, WorkflowVersion):
                        add_version(db, entry)
                    hash, broken = (entry.hash, None) if isinstance(entry, WorkflowVersion) else (None, _encode(entry))
                    row = (root, path, n, hash, broken)
                    db.execute("INSERT INTO scanned_entry (root, path, n, hash, broken) VALUES (?, ?, ?, ?, ?)", row)

        await self.write(fact)

    async def match(self, expression: str, limit: int) -> list[tuple[str, float]]:
        """Hashes of versions whose text matches an FTS5 expression, best first, with a positive score (negated bm25)."""

        def query(db: sqlite3.Connection) -> list[tuple[str, float]]:
            rows = db.execute(
                # name 3, description 2, parameters 1: of the measured weights, these are the best balanced
                "SELECT hash, -bm25(version_text, 0, 3, 2, 1) AS score FROM version_text WHERE version_text MATCH ? "
                "ORDER BY score DESC, hash LIMIT ?",
                (expression, limit),
            )
            return rows.fetchall()

        return await self.read(query)

    async def count_matches(self, expressions: Sequence[str]) -> list[int]:
        """For each FTS5 expression, the number of versions whose text matches it."""
        statement = "SELECT count(*) FROM version_text WHERE version_text MATCH ?"
        return await self.read(lambda db: [db.execute(statement, (one,)).fetchone()[0] for one in expressions])

    async def usage(self) -> dict[str, int]:
        """How often each workflow was run, by name."""
        return dict(
            await self.read(
                lambda db: db.execute(
                    "SELECT workflow, count(*) FROM run WHERE example = 0 GROUP BY workflow"
                ).fetchall()
            )
        )


def _version_in_file(version: WorkflowVersion, root: str, path: str) -> WorkflowVersion:
    """One text may lie in two files, or be created by a tool too. Each has the path where it was found, not the one stored first."""
    return msgspec.structs.replace(version, origin="operator", root=root, path=path)


def read_version(db: sqlite3.Connection, body: bytes) -> WorkflowVersion:
    """The stored version, with its approval as it stands now."""
    version = _version.decode(body)
    return msgspec.structs.replace(version, approval=approval_of(db, version.hash))


def _of_its_present_origin(db: sqlite3.Connection, version: WorkflowVersion) -> WorkflowVersion:
    if version.is_unnamed:  # its hash tells whose it is
        return version
    in_file = db.execute("SELECT root, path FROM scanned_entry WHERE hash = ? LIMIT 1", (version.hash,)).fetchone()
    if version.origin == "tool":
        return version if in_file is None else _version_in_file(version, *in_file)
    created = "SELECT 1 FROM publication WHERE hash = ? AND action <> 'deleted' LIMIT 1"
    if in_file is None and db.execute(created, (version.hash,)).fetchone():
        return msgspec.structs.replace(version, origin="tool", root="", path=None)
    return version


def add_version(db: sqlite3.Connection, version: WorkflowVersion) -> None:
    """Store the version, once for each hash. It is overwritten only if it was stored before it was loaded, and is loaded now."""
    version = msgspec.structs.replace(version, approval=None)
    row = (version.hash, version.name, _encode(version), version.created_at or time.time())
    added = db.execute("INSERT OR IGNORE INTO version (hash, name, body, created_at) VALUES (?, ?, ?, ?)", row).rowcount
    if not added:
        (body,) = db.execute("SELECT body FROM version WHERE hash = ?", (version.hash,)).fetchone()
        if not version.is_loaded or _version.decode(body).is_loaded:
            return
        db.execute("UPDATE version SET body = ? WHERE hash = ?", (row[2], version.hash))
        db.execute("DELETE FROM version_text WHERE hash = ?", (version.hash,))
    if version.is_unnamed:  # nobody looks for it
        return
    db.execute(
        "INSERT INTO version_text (hash, name, description, parameters) VALUES (?, ?, ?, ?)",
        (version.hash, version.name.replace("_", " "), version.description, _parameter_text(version)),
    )


def record_problem(version: WorkflowVersion) -> str | None:
    """Why this version cannot be stored. None: it can. Otherwise it would take the records of other versions with it."""
    try:
        _version.decode(_encode(version))
        _parameter_text(version).encode()
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError, msgspec.MsgspecError) as error:
        return str(error)[:300] or type(error).__name__
    return None


def _parameter_text(version: WorkflowVersion) -> str:
    properties = version.input_schema.get("properties", {})
    parts = [f"{name.replace('_', ' ')} {schema.get('description', '')}" for name, schema in properties.items()]
    return " ".join([*parts, *version.options.tags])
