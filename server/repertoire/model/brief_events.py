"""Brief events: events of a run folded, cut and summed up for a reader that wants the latest only; used by the service and the surfaces.

Not `RunEvent` itself: that is in model/run.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from ..text import cut
from .run import RunEvent

BRIEF_CHARS: Final = 300
"""Characters of one text in a brief event."""


_QUIET: Final = frozenset({"sleep", "now"})
"""Calls whose events tell a reader nothing, if they end well."""


def fold_events(events: Sequence[RunEvent]) -> list[tuple[RunEvent, int]]:
    """The events, each with the number of events that it stands for: itself, and those before it that it replaces.

    Of progress in a row only the last is given, of a call its end, and of a sleep nothing, unless it is the last event.
    """
    folded: list[tuple[RunEvent, int]] = []
    for event in events:
        stands_for = 1
        while folded and _is_replaced(folded[-1][0], event):
            stands_for += folded.pop()[1]
        folded.append((event, stands_for))
    return folded


def _is_replaced(before: RunEvent, event: RunEvent) -> bool:
    if before.type == "progress":
        return event.type == "progress"
    if before.type == "call_start" and event.type == "call_end" and before.data.get("path") == event.data.get("path"):
        return True
    return before.type in ("call_start", "call_end") and before.data.get("op") in _QUIET and "error" not in before.data


def brief_event(event: RunEvent, stands_for: int = 1) -> dict[str, Any]:
    """An event with long texts and values cut. `folded`: how many earlier ones it stands for, too."""
    data = {key: value if _is_brief(value) else _beginning(value) for key, value in event.data.items()}
    shown = {**event.public(), "data": data}
    return shown if stands_for == 1 else {**shown, "folded": stands_for - 1}


def _is_brief(value: Any) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= BRIEF_CHARS)


def _beginning(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= BRIEF_CHARS else cut(text, BRIEF_CHARS, "…")


def last_progress(events: Sequence[RunEvent]) -> dict[str, Any] | None:
    """The latest progress among the events, and the latest message. None: they say nothing of it."""
    shown: dict[str, Any] = {}
    for event in reversed(events):
        message = event.data.get("message")
        if event.type in ("progress", "log") and message:
            shown.setdefault("message", cut(str(message), BRIEF_CHARS, "…"))
        if event.type == "progress":
            numbers = {name: plain_number(event.data.get(name)) for name in ("done", "total")}
            return {**{name: value for name, value in numbers.items() if value is not None}, **shown}
    return shown or None


def plain_number(value: Any) -> Any:
    """A whole number without a fraction, and another one with at most nine digits of it."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else round(value, 9)
