"""State codec: writes a session's state as JSON text and reads it back, with the same types at every level. Used by sessions and records.

1. `decode(encode(x)) == x`, or `encode` raises a StateError that names the place.
2. Exact types only. A value that came back as a similar type would be a silent change of the author's data.
3. Objects of classes are restored without a constructor or a validator.
4. Two places that hold one object hold two equal objects afterwards.
5. Never pickle: stored data was written by code that is not trusted.

`trees` handles all types that JSON does not have.
"""

from __future__ import annotations

import json
import marshal
from typing import Any, Final, Literal

from .refusals import StateError
from .trees import TAG, TreeEncoder, read_tree, short

_PLAIN_MARSHAL: Final = 2
"""The last marshal version that writes equal values equally. In later versions the bytes depend on object identity."""

_PLAIN_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_TEXT: Final = frozenset({str})


def encode(state: dict[str, Any]) -> str:
    """ASCII JSON text, the same for the same state. Raises StateError that names the place of a value that cannot be stored."""
    return write_with(state, TreeEncoder(), "session_state")


def decode(text: str, *, models_as: Literal["model", "dict"] = "model") -> dict[str, Any]:
    """The state that `encode` wrote. A model or dataclass whose class is gone or has changed comes back as a dict."""
    state = _read(text, models=models_as == "model")
    if not isinstance(state, dict):
        raise StateError("the stored state is not a dict", hint="Start a new session.")
    return state


def mark(state: dict[str, Any]) -> bytes | None:
    """Bytes for a quick comparison; None for a state with models, dates and the like. Ten times as fast as `encode`.

    Equal marks mean equal states, also in types and key order. Unequal marks mean nothing, because a set has no order.
    """
    try:
        return marshal.dumps(state, _PLAIN_MARSHAL)
    except ValueError:  # a type that marshal does not know, or nested too deeply
        return None


def of_mark(mark: bytes) -> dict[str, Any]:
    """The state from its mark. The mark must come from this process: marshal is no format to store."""
    state: dict[str, Any] = marshal.loads(mark)
    return state


def write_value(value: Any) -> str:
    """Any value as JSON text, for a record. Never fails: a value that `encode` refuses becomes its `repr`, which hides secrets."""
    try:
        return write_with(value, TreeEncoder(lambda value, path: short(value), is_record=True), "value")
    except StateError:  # it contains itself, or is nested too deeply
        return json.dumps(short(value))


def read_value(text: str) -> Any:
    """Read a value that `write_value` wrote."""
    return _read(text, models=True)


def write_with(value: Any, encoder: TreeEncoder, path: str) -> str:
    """JSON text of the value, by this encoder where the value needs more than JSON's own types."""
    try:
        if (text := _write_plain(value)) is not None:
            return text
        return json.dumps(encoder.write(value, path), separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise StateError(f"{path} is nested too deeply to be stored", hint="Store it flatter.") from None


def _write_plain(value: Any) -> str | None:
    """JSON text at C speed, for a value of JSON's own types only; else None. Many times faster, and most states qualify."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        return None
    if not _is_plain(value):
        return None
    if "\\ud" in text and json.loads(text) != value:  # two lone surrogates, which JSON reads as one character
        return None
    return text


def _is_plain(value: Any) -> bool:
    """True if JSON gives back exactly this value. The loop ends: `json.dumps` has found no value that contains itself."""
    if type(value) in _PLAIN_SCALARS:
        return True
    pending = [value]
    for one in pending:  # the list grows during the loop
        kind = type(one)
        if kind is dict:
            if TAG in one or not _TEXT.issuperset(map(type, one)):
                return False
            inside = one.values()
        elif kind is list:
            inside = one
        else:
            return False
        if not _PLAIN_SCALARS.issuperset(map(type, inside)):  # one C call per container: a state may have 100,000 nodes
            pending.extend(item for item in inside if type(item) not in _PLAIN_SCALARS)
    return True


def _read(text: str, *, models: bool) -> Any:
    value = json.loads(text)
    return read_tree(value, models) if TAG in text else value
