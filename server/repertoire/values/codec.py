"""A session's state as JSON text and back: what is read is what was written, of the same types at every level, or writing is refused.

The law: `decode(encode(x)) == x`, or a StateError that names the place. Exact types only: what came back as something like it would be
a silent change of the author's data. Objects of classes are restored and not made: no constructor and no validator runs. Two places
that hold one object hold two equal ones afterwards. Never pickle: what is stored was written by code that is not trusted.

Other types than JSON's own are in `trees`.
"""

from __future__ import annotations

import json
import marshal
from typing import Any, Final, Literal

from .refusals import StateError
from .trees import TAG, Encoder, read_tree, short

_PLAIN_MARSHAL: Final = 2
"""The last format that writes each value where it stands: later ones depend on which values are one object."""

_PLAIN_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_TEXT: Final = frozenset({str})


def encode(state: dict[str, Any]) -> str:
    """ASCII JSON text, the same for the same state. Raises StateError naming the place of what cannot be stored."""
    return written(state, Encoder(), "session_state")


def decode(text: str, *, models_as: Literal["model", "dict"] = "model") -> dict[str, Any]:
    """The state that `encode` wrote. A model or dataclass whose class is gone or has changed comes back as a dict."""
    state = _read(text, models=models_as == "model")
    if not isinstance(state, dict):
        raise StateError("the stored state is not a dict", hint="Start a new session.")
    return state


def mark(state: dict[str, Any]) -> bytes | None:
    """Equal marks mean equal states, to the types and the order of keys; unequal ones nothing: a set has no order. None for
    a state with models, dates and the like. Ten times as fast as `encode`."""
    try:
        return marshal.dumps(state, _PLAIN_MARSHAL)
    except ValueError:  # of a type that marshal does not know, or nested too deeply
        return None


def of_mark(mark: bytes) -> dict[str, Any]:
    """The state again. Only of a mark that was made in this process: it is no format to store."""
    state: dict[str, Any] = marshal.loads(mark)
    return state


def write_value(value: Any) -> str:
    """Any value for a record: what `encode` refuses becomes its `repr`, so a secret is not told. Never fails for what the value holds."""
    try:
        return written(value, Encoder(lambda value, path: short(value), is_record=True), "value")
    except StateError:  # it contains itself, or is too deep
        return json.dumps(short(value))


def read_value(text: str) -> Any:
    """What `write_value` wrote."""
    return _read(text, models=True)


def written(value: Any, encoder: Encoder, path: str) -> str:
    try:
        if (text := _write_plain(value)) is not None:
            return text
        return json.dumps(encoder.write(value, path), separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise StateError(f"{path} is nested too deeply to be stored", hint="Store it flatter.") from None


def _write_plain(value: Any) -> str | None:
    """At C's speed, for a value of JSON's own types and nothing else: many times faster, and most states are so."""
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
    """Whether JSON gives back just this. Ends: `json.dumps` has seen that nothing contains itself."""
    if type(value) in _PLAIN_SCALARS:
        return True
    pending = [value]
    for one in pending:  # grows while it is read
        kind = type(one)
        if kind is dict:
            if TAG in one or not _TEXT.issuperset(map(type, one)):
                return False
            inside = one.values()
        elif kind is list:
            inside = one
        else:
            return False
        if not _PLAIN_SCALARS.issuperset(map(type, inside)):  # whole maps at C's speed: a state may have 100,000 nodes
            pending.extend(item for item in inside if type(item) not in _PLAIN_SCALARS)
    return True


def _read(text: str, *, models: bool) -> Any:
    value = json.loads(text)
    return read_tree(value, models) if TAG in text else value
