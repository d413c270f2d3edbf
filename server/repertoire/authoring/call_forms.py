"""Call forms: how the functions are called that a workflow has without an import, and what usual mistakes mean.

Used by the review of sources and by the errors of runs. A test compares the forms with the functions.
"""

from __future__ import annotations

import re
from typing import Final

FORMS: Final = {
    "ask": "ask(question, schema=None, *, expires_s=None)",
    "sleep": "sleep(seconds)",
    "now": "now()",
    "progress": "progress(done, total=None, message=None)",
    "commit_state": "commit_state()",
}
_MORE: Final = {
    "ask": ' The schema is a type, and choices are one: ask("Which one?", Literal["a", "b"]).',
    "sleep": " An hour is sleep(3600).",
    "now": " It is in UTC: now().astimezone(ZoneInfo(...)) is another time zone's.",
}
NO_TERMINAL: Final = 'Use ask("Your question?"): it asks the person who uses the workflow, and gives the answer.'
_MISUSE: Final = re.compile(
    r"(?:\w+\.)?_?a?(ask|sleep|now|progress|commit_state)(\(\) (?:got|missing|takes) .*)", re.DOTALL
)


def form_of(name: str) -> str:
    """`ask(question, ...)` with what usual mistakes mean."""
    return f"It is called as {FORMS[name]}.{_MORE.get(name, '')}"


def misuse(message: str) -> tuple[str, str] | None:
    """Of a TypeError's message about a call of ours: the message with the name that the author wrote, and the right form."""
    found = _MISUSE.fullmatch(message)
    if found is None:
        return None
    return found[1] + found[2], form_of(found[1])
