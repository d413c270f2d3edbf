"""Effects: what calls of bodies have changed in this Store, with their answers; written within the facts' transactions."""

from __future__ import annotations

import sqlite3

import msgspec


class Effect(msgspec.Struct, frozen=True):
    """A call of a body that changes something in this Store, and the answer for the body as JSON."""

    run_id: str
    path: str
    answer: str


def note_effect(db: sqlite3.Connection, effect: Effect | None) -> None:
    if effect is not None:
        db.execute("INSERT OR REPLACE INTO effect VALUES (?, ?, ?)", msgspec.structs.astuple(effect))
