"""LocalArtifacts: artifacts in memory, for bodies that run in the present process without a server; used by LocalDoors."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ..values.records import CallError
from .doors import Content


class LocalArtifacts:
    """The artifacts of one test or of one `repertoire debug`. Names and sizes are not checked as the server does."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self._rows: dict[str, dict[str, Any]] = {}

    def perform(self, op: str, args: dict[str, Any], content: Content | None) -> Any:
        """Carry out a call. Raises the error that the server gives."""
        name = args.get("name")
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
