"""Which status may follow which: the five words of the MCP tasks extension, as a table.

Whoever adds a status adds its row here; the Store's writes name the statuses they may leave, so an illegal move changes nothing.
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


def before(status: Status) -> tuple[Status, ...]:
    """The statuses from which `status` may be reached, in a fixed order."""
    return tuple(earlier for earlier, following in NEXT.items() if status in following)
