"""Which workflows are listed as tools of their own when there are more than a client takes."""

from __future__ import annotations

from .view import View

_JUST_CREATED = 5
"""Last created workflows that are always listed: whoever created them wants to see them."""


def listed(view: View, places: int, newest: list[str], usage: dict[str, int]) -> list[str]:
    """At most `places` names in alphabetical order: all of them, or the just created and the most used."""
    if len(view.names) <= places:
        return list(view.names)
    created = [name for name in newest if name in view.names][: min(_JUST_CREATED, places)]
    others = sorted((name for name in view.names if name not in created), key=lambda name: (-usage.get(name, 0), name))
    return sorted(created + others[: places - len(created)])
