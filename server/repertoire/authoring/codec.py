"""A session's state as JSON text and back: JSON values, and tagged the types that JSON lacks.

Exact types only: a Counter or an Enum that came back as a plain dict or string would be a silent change of the author's data.
Never pickle: what is stored was written by code that is not trusted.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from .refusals import StateError

TAG: Final = "__repertoire__"
"""Marks a tagged value. A dict of the author's that holds this key is itself written tagged, as pairs."""

_VALUE: Final = "value"

_LONG_INT_BITS: Final = 4096
"""Longer integers go as hexadecimal: Python refuses to read decimal ones beyond 4,300 digits."""

_STORABLE: Final = (
    "the state can hold None, bool, int, float, str, list, dict, tuple, set, bytes, datetime, date, time, timedelta, "
    "Decimal, UUID and pydantic models"
)


def encode(state: dict[str, Any]) -> str:
    """ASCII JSON text, the same for the same state. Raises StateError naming the place of what cannot be stored."""
    try:
        return json.dumps(_encode(state, "session_state", set()), separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise StateError("session_state is nested too deeply to be stored", hint="Store it flatter.") from None


def decode(text: str) -> dict[str, Any]:
    """The state that `encode` wrote. A model whose class is gone or has changed comes back as a dict."""
    state = _decode(json.loads(text))
    if not isinstance(state, dict):
        raise StateError("the stored state is not a dict", hint="Start a new session.")
    return state


def _encode(value: Any, path: str, above: set[int]) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if value.bit_length() <= _LONG_INT_BITS else _tagged("int", hex(value))
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind in _WRITERS:
        tag, write = _WRITERS[kind]
        return _tagged(tag, write(value))
    if id(value) in above:
        raise StateError(f"{path}: it contains itself, so it cannot be stored")
    above.add(id(value))
    try:
        return _encode_container(value, path, above)
    finally:
        above.discard(id(value))


def _encode_container(value: Any, path: str, above: set[int]) -> Any:
    kind = type(value)
    if kind is dict:
        return _encode_dict(value, path, above)
    if kind is list or kind is tuple:
        items = [_encode(item, f"{path}[{i}]", above) for i, item in enumerate(value)]
        return items if kind is list else _tagged("tuple", items)
    if kind is set or kind is frozenset:
        items = [_encode(item, f"{path}{{{_short(item)}}}", above) for item in value]
        return _tagged(kind.__name__, sorted(items, key=json.dumps))  # a set has no order; its text must have one
    if _is_model(value):
        return _tagged("model", _dump_model(value, path, above), cls=f"{kind.__module__}:{kind.__qualname__}")
    raise _unsupported(value, path)


def _encode_dict(value: dict[Any, Any], path: str, above: set[int]) -> Any:
    if TAG not in value and all(type(key) is str for key in value):
        return {key: _encode(item, f"{path}[{key!r}]", above) for key, item in value.items()}
    pairs = []
    for key, item in value.items():
        place = f"{path}[{_short(key)}]"
        pairs.append([_encode(key, f"the key of {place}", above), _encode(item, place, above)])
    return _tagged("dict", pairs)


def _tagged(tag: str, value: Any, **more: str) -> dict[str, Any]:
    return {TAG: tag, **more, _VALUE: value}


def _unsupported(value: object, path: str) -> StateError:
    name = type(value).__name__
    article = "an" if name[:1].lower() in "aeiou" else "a"
    return StateError(
        f"{path}: {article} {name} cannot be stored; {_STORABLE}",
        hint="Convert it before you put it into session_state.",
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# Times: a named zone is kept by name, since an offset alone forgets daylight saving.


def _write_moment(value: datetime | time) -> Any:
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key is not None:
        return [value.replace(tzinfo=None).isoformat(), zone.key, value.fold]
    return [value.isoformat(), None, value.fold]


def _read_datetime(value: Any) -> datetime:
    text, zone, fold = value
    moment = datetime.fromisoformat(text).replace(fold=fold)
    return moment.replace(tzinfo=ZoneInfo(zone)) if zone else moment


def _read_time(value: Any) -> time:
    text, zone, fold = value
    moment = time.fromisoformat(text).replace(fold=fold)
    return moment.replace(tzinfo=ZoneInfo(zone)) if zone else moment


_WRITERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    datetime: ("datetime", _write_moment),
    date: ("date", date.isoformat),
    time: ("time", _write_moment),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
}

_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "int": lambda value: int(value, 16),
    "float": float,
    "datetime": _read_datetime,
    "date": date.fromisoformat,
    "time": _read_time,
    "timedelta": lambda value: timedelta(*value),
    "bytes": base64.b64decode,
    "decimal": Decimal,
    "uuid": UUID,
    "tuple": lambda value: tuple(map(_decode, value)),
    "set": lambda value: set(map(_decode, value)),
    "frozenset": lambda value: frozenset(map(_decode, value)),
    "dict": lambda value: {_decode(key): _decode(item) for key, item in value},
}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TAG)
    if tag is None:
        return {key: _decode(item) for key, item in value.items()}
    if tag == "model":
        return _load_model(value["cls"], _decode(value[_VALUE]))
    if tag not in _READERS:
        raise StateError(f"the stored state holds a {tag!r}, which this version of Repertoire does not know")
    return _READERS[tag](value[_VALUE])


# Pydantic models: their JSON form beside the name of their class. Pydantic is not imported for states without one.


def _is_model(value: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def _dump_model(value: Any, path: str, above: set[int]) -> Any:
    try:
        plain = value.model_dump(mode="json", by_alias=False, round_trip=True, warnings=False)
    except (ValueError, TypeError) as error:
        raise StateError(f"{path}: this {type(value).__name__} cannot be stored: {error}") from error
    return _encode(plain, path, above)


def _load_model(name: str, fields: Any) -> Any:
    model = _find_model(name)
    if model is None:
        return fields
    try:  # JSON mode, so that strict models accept their own text forms
        return model.model_validate_json(json.dumps(fields), by_alias=False, by_name=True)
    except ValueError:  # the class has changed since
        return fields


def _find_model(name: str) -> Any:
    module_name, _, path = name.partition(":")
    try:
        found: Any = sys.modules.get(module_name) or import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    from pydantic import BaseModel

    return found if isinstance(found, type) and issubclass(found, BaseModel) else None
