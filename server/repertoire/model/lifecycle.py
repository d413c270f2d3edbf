"""Lifecycle: a table of the statuses of runs, and which may follow which; used by the store, the engine and every surface.

The five statuses are those of the MCP tasks extension. A new status needs a row in `NEXT`. The store's writes name the statuses that
they may leave (`before`), so an illegal move changes nothing.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]

NEXT: Final[dict[Status, frozenset[Status]]] = {
    "working": frozenset({"input_required", "completed", "failed", "cancelled"}),
    "input_required": frozenset({"working", "completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
FINAL: Final[frozenset[Status]] = frozenset(status for status, following in NEXT.items() if not following)
UNFINISHED: Final[tuple[Status, ...]] = tuple(status for status, following in NEXT.items() if following)
COMPLETED_OR_FAILED: Final[frozenset[Status]] = FINAL - {"cancelled"}
"""The ends that nobody asked for: the run was not cancelled."""


def before(status: Status) -> tuple[Status, ...]:
    """The statuses from which `status` may be reached, in a fixed order."""
    return tuple(earlier for earlier, following in NEXT.items() if status in following)
