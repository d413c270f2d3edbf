"""LocalCache: the shared results of `cached` in memory, for bodies that run without a server's store; used by LocalDoors."""

from __future__ import annotations

import time
from typing import Any


class LocalCache:
    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[str, float]] = {}

    def perform(self, op: str, args: dict[str, Any]) -> str | None:
        """Carry out `cache.find` or `cache.keep`."""
        place = args["function"], args["key"]
        if op == "cache.keep":
            self._kept[place] = args["value"], time.time()
            return None
        value, at = self._kept.get(place, (None, 0.0))
        return value if args["ttl"] is None or time.time() - at <= args["ttl"] else None
