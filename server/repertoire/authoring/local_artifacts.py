"""LocalArtifacts: artifacts in memory, for bodies that run in the present process without a server; used by LocalDoors.

`repertoire debug` reads the home's artifacts too. It never changes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ..values.records import CallError
from .doors import Content

Find = Callable[[str], tuple[dict[str, Any], bytes] | None]
"""From a name to the artifact, as `get` gives it, and its bytes."""


class LocalArtifacts:
    """The artifacts of one test or of one `repertoire debug`. Names and sizes are not checked as the server does."""

    def __init__(self, find: Find | None = None) -> None:
        """`find` gives an artifact of the home."""
        self.contents: dict[str, bytes] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._find = find
        self._looked_up: set[str] = set()

    def perform(self, op: str, args: dict[str, Any], content: Content | None) -> Any:
        """Carry out a call. Raises the error that the server gives."""
        name = args.get("name")
        if isinstance(name, str) and op != "artifacts.save":
            self._look_up(name)
        match op.removeprefix("artifacts."):
            case "save":
                return self._save(args, content)
            case "list":
                names = sorted(one for one in self._rows if one.startswith(args["prefix"]))
                return [self._rows[one] for one in names]
            case "get":
                return self._rows.get(str(name))
            case "exists":
                return name in self._rows
            case "delete":
                return self._rows.pop(str(name), None) is not None
        if name not in self._rows:
            raise CallError(f"There is no artifact {name!r}.", code="unknown_artifact", type="UnknownArtifact")
        return self._rows[str(name)]

    def _look_up(self, name: str) -> None:
        """Take the home's artifact of that name, once: afterwards the name may have been deleted here."""
        if self._find is None or name in self._rows or name in self._looked_up:
            return
        self._looked_up.add(name)
        if (found := self._find(name)) is not None:
            row, data = found
            self._rows[name], self.contents[row["sha256"]] = row, data

    def _save(self, args: dict[str, Any], content: Content | None) -> dict[str, Any]:
        data = b"" if content is None else content if isinstance(content, bytes) else content.read_bytes()
        hash, now = hashlib.sha256(data).hexdigest(), datetime.now(UTC).isoformat()
        self.contents[hash] = data
        created = self._rows.get(args["name"], {}).get("created_at", now)
        self._rows[args["name"]] = row = {
            "name": args["name"], "uri": f"artifact:///{quote(args['name'])}", "kind": args["kind"], "mime_type": args["mime_type"],
            "size": len(data), "description": args["description"], "updated_at": now, "sha256": hash, "metadata": args["metadata"],
            "created_at": created, "run_id": None,
        }  # fmt: skip
        return row
