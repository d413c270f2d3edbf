"""Choice of workflows for tools/list: `choose_listed` picks names when there are more workflows than a client takes; used by `Library`."""

from __future__ import annotations

from .caller_view import View

_JUST_CREATED = 5
"""The last created workflows are always listed: their authors want to see them."""


def choose_listed(view: View, places: int, pins: list[str], newest: list[str], usage: dict[str, int]) -> list[str]:
    """At most `places` names in alphabetical order: all of them, or the pinned ones, the just created and the most used."""
    if len(view.names) <= places:
        return list(view.names)
    by_use = sorted(view.names, key=lambda name: (-usage.get(name, 0), name))
    wanted = dict.fromkeys([*pins, *newest[:_JUST_CREATED], *by_use])
    return sorted([name for name in wanted if name in view.names][:places])
