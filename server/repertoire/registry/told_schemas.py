"""Told schemas: reads the schemas and notes that a process has told of a module, which may be anything; used by `Folder` and the service.

The process has executed the module, and the module can make it say what it likes. So a schema is a JSON object of a bounded size and depth
before anything here walks through it. What hosts are shown of it is decided by `model.portable_schema`, keyword by keyword.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..errors import Refused
from ..model.workflow_version import Finding
from ..text import readable
from ..values.json_check import NotJson, check_long_json, count_values
from ..wire import Note

_MOST_CHARS: Final = 1024 * 1024
"""Of one schema: a hundred times that of a workflow with many parameters."""
_MOST_VALUES: Final = 50_000
_MOST_DEPTH: Final = 128
"""Values inside values. A listing has schemas 40 deep at most."""
_MOST_NOTES: Final = 200
_NOTE_CHARS: Final = 2_000
_HINT: Final = "Look at what json_schema_extra or __get_pydantic_json_schema__ changes, or use simpler types."


def read_schema(text: str, what: str) -> dict[str, Any]:
    """Raises Refused. `what` is a part of a sentence: "its parameters"."""
    try:
        if len(text) > _MOST_CHARS or count_values(text, _MOST_VALUES) > _MOST_VALUES:
            raise NotJson(f"it is longer than {_MOST_CHARS:,} characters, or has more than {_MOST_VALUES:,} values")
        check_long_json(text)
        schema = msgspec.json.decode(text)
        if not isinstance(schema, dict):
            raise NotJson("it is no object")
        _check_depth(schema)
    except (NotJson, msgspec.MsgspecError, RecursionError) as error:
        raise Refused(
            f"The schema of {what} is not one that can be listed: {error}.", _HINT, code="bad_schema"
        ) from None
    return schema


def read_notes(notes: Iterable[Note]) -> tuple[Finding, ...]:
    """Notes as findings, not longer than somebody reads."""
    return tuple(
        Finding(
            _text(note.rule), "warning", _text(note.message), note.line, note.column, note.hint and _text(note.hint)
        )
        for note, _ in zip(notes, range(_MOST_NOTES), strict=False)
    )


def _text(text: str) -> str:
    return readable(text[:_NOTE_CHARS])


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MOST_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise NotJson(f"it has more than {_MOST_DEPTH} values inside each other")
