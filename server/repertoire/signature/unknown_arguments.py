"""Unknown arguments: one sentence on each misspelt argument, with the likely name; used for workflows and for the fixed tools."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

_NEAR: Final = 0.7
"""How like each other two names are, by difflib. `second` and `seconds` have .92, `url` and `uri` .67."""
_MOST_CHARS: Final = 100


def explain_unknown(
    problems: Sequence[str], unknown: Sequence[str], known: Sequence[str], given: Collection[str], taker: str
) -> list[str]:
    """The problems, and sentences on unknown arguments: for each its likely name, or once the names that `taker` takes.

    An argument that is missing because it is misspelt is not named a second time.
    """
    free = [name for name in known if name not in given]
    meant = {name: _nearest(name, free) for name in unknown}
    told = [
        one for one in problems if not any(near and one.startswith(f"`{near}`: missing") for near in meant.values())
    ]
    told += [
        f"`{name[:_MOST_CHARS]}`: unknown argument; did you mean `{near}`?" for name, near in meant.items() if near
    ]
    if strange := [f"`{name[:_MOST_CHARS]}`" for name, near in meant.items() if not near]:
        takes = f"{taker} takes {', '.join(known) or 'no arguments'}"
        told.append(f"{', '.join(strange)}: unknown argument{'s' if len(strange) > 1 else ''}; {takes}")
    return told


def _nearest(name: str, names: Sequence[str]) -> str | None:
    from difflib import get_close_matches  # rarely needed, and workers start often

    folded = {one.lower().replace("_", ""): one for one in reversed(names)}
    close = get_close_matches(name[:_MOST_CHARS].lower().replace("_", "").replace("-", ""), folded, n=1, cutoff=_NEAR)
    return folded[close[0]] if close else None
