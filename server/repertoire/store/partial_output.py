"""Partial output: what a run has given before it was cancelled, read from its events; used by RunFacts."""

from __future__ import annotations

import json
import sqlite3
from typing import Any


def output_so_far(db: sqlite3.Connection, run_id: str) -> str | None:
    """The output of a run before it was cancelled, as JSON: its text, or its items if there is no text."""
    found = db.execute(
        "SELECT type, data FROM event WHERE run_id = ? AND type IN ('text', 'item', 'stream_reset') ORDER BY n",
        (run_id,),
    ).fetchall()
    rows: list[tuple[str, dict[str, Any]]] = []
    for kind, text in found:
        data = json.loads(text)
        if kind == "stream_reset":  # the text of that call is void: it is written anew
            rows = [one for one in rows if one[1].get("call") != data["call"]]
        else:
            rows.append((kind, data))
    if not rows:
        return None
    texts = [data.get("text", "") for kind, data in rows if kind == "text"]
    return json.dumps("".join(texts) if texts else [data.get("value") for _, data in rows])
