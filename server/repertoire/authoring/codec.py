"""A session's state as JSON text and back: JSON values, and tagged the types that JSON lacks.

Exact types only: a Counter or an Enum that came back as a plain dict or string would be a silent change of the author's data.
Never pickle: what is stored was written by code that is not trusted.
"""

from __future__ import annotations

import base64
import json
import marshal
import math
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from .refusals import StateError

TAG: Final = "__repertoire__"
"""Marks a tagged value. A dict of the author's that holds this key is itself written tagged, as pairs."""

_VALUE: Final = "value"

_PLAIN_MARSHAL: Final = 2
"""The last format that writes each value where it stands: later ones depend on which values are one object."""

_LONG_INT_BITS: Final = 4096
"""Longer integers go as hexadecimal: Python refuses to read decimal ones beyond 4,300 digits."""

_STORABLE: Final = (
    "the state can hold None, bool, int, float, str, list, dict, tuple, set, bytes, datetime, date, time, timedelta, "
    "Decimal, UUID, dataclasses and pydantic models"
)

_PLAIN_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_TEXT: Final = frozenset({str})


def encode(state: dict[str, Any]) -> str:
    """ASCII JSON text, the same for the same state. Raises StateError naming the place of what cannot be stored."""
    return _written(state, "session_state", _unsupported)


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
    """Any value for a record: what `encode` refuses becomes its `repr`. Never fails for what the value holds."""
    try:
        return _written(value, "value", _as_repr)
    except StateError:  # it contains itself, or is too deep
        return json.dumps(_short(value))


def read_value(text: str) -> Any:
    """What `write_value` wrote."""
    return _read(text, models=True)


def _written(value: Any, path: str, otherwise: Callable[[object, str], Any]) -> str:
    try:
        if (text := _write_plain(value)) is not None:
            return text
        return json.dumps(_encode(value, path, set(), otherwise), separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise StateError(f"{path} is nested too deeply to be stored", hint="Store it flatter.") from None


def _write_plain(value: Any) -> str | None:
    """At C's speed, for a value of JSON's own types and nothing else: many times faster, and most states are so."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        return None
    return text if _is_plain(value) else None


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
    return _decode(value, models) if TAG in text else value


def _encode(value: Any, path: str, above: set[int], otherwise: Callable[[object, str], Any]) -> Any:
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
        raise StateError(
            f"{path}: it contains itself, so it cannot be stored",
            hint="Store a copy without the part that points back.",
        )
    above.add(id(value))
    try:
        return _encode_container(value, path, above, otherwise)
    finally:
        above.discard(id(value))


def _encode_container(value: Any, path: str, above: set[int], otherwise: Callable[[object, str], Any]) -> Any:
    kind = type(value)
    if kind is dict:
        return _encode_dict(value, path, above, otherwise)
    if kind is list or kind is tuple:
        items = [_encode(item, f"{path}[{i}]", above, otherwise) for i, item in enumerate(value)]
        return items if kind is list else _tagged("tuple", items)
    if kind is set or kind is frozenset:
        items = [_encode(item, f"{path}{{{_short(item)}}}", above, otherwise) for item in value]
        return _tagged(kind.__name__, sorted(items, key=json.dumps))  # a set has no order; its text must have one
    if _is_model(value):
        return _tagged("model", _dump_model(value, path, above), cls=_class_name(kind))
    if is_dataclass(value):
        told = {one.name: getattr(value, one.name) for one in fields(value) if hasattr(value, one.name)}
        named = {name: _encode(item, f"{path}.{name}", above, otherwise) for name, item in told.items()}
        return _tagged("dataclass", named, cls=_class_name(kind))
    return otherwise(value, path)


def _encode_dict(value: dict[Any, Any], path: str, above: set[int], otherwise: Callable[[object, str], Any]) -> Any:
    if TAG not in value and all(type(key) is str for key in value):
        return {
            key: item if type(item) is str else _encode(item, f"{path}[{key!r}]", above, otherwise)
            for key, item in value.items()
        }
    pairs = []
    for key, item in value.items():
        place = f"{path}[{_short(key)}]"
        if _holds_nan(key):
            raise StateError(
                f"the key of {place}: NaN equals nothing, so what it stands for would never be found again",
                hint="Use another key, a text for instance.",
            )
        pairs.append([_encode(key, f"the key of {place}", above, otherwise), _encode(item, place, above, otherwise)])
    return _tagged("dict", pairs)


def _holds_nan(key: Any) -> bool:
    return any(map(_holds_nan, key)) if type(key) in (tuple, frozenset) else bool(key != key)


def _tagged(tag: str, value: Any, **more: str) -> dict[str, Any]:
    return {TAG: tag, **more, _VALUE: value}


def _class_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _as_repr(value: object, path: str) -> Any:
    return _short(value)


def _unsupported(value: object, path: str) -> Any:
    name = type(value).__name__
    article = "an" if name[:1].lower() in "aeiou" else "a"
    raise StateError(
        f"{path}: {article} {name} cannot be stored; {_STORABLE}",
        hint="Convert it before you put it into session_state.",
    )


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # the author's __repr__
        text = f"<{type(value).__name__}>"
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
}

_NESTED: Final = frozenset({dict, list})
_CONTAINERS: Final[dict[str, Callable[[Any], Any]]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def _decode(value: Any, models: bool) -> Any:
    if isinstance(value, list):
        return [_decode(item, models) if type(item) in _NESTED else item for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TAG)
    if tag is None:
        return {key: _decode(item, models) if type(item) in _NESTED else item for key, item in value.items()}
    inner = value[_VALUE]
    if tag in _CONTAINERS:
        return _CONTAINERS[tag](_decode(item, models) for item in inner)
    if tag == "dict":
        return {_decode(key, models): _decode(item, models) for key, item in inner}
    if tag == "model":
        return _load_model(value["cls"], _decode(inner, models), models)
    if tag == "dataclass":
        return _load_dataclass(value["cls"], {name: _decode(item, models) for name, item in inner.items()}, models)
    if tag not in _READERS:
        raise StateError(f"the stored state holds a {tag!r}, which this version of Repertoire does not know")
    return _READERS[tag](inner)


# Pydantic models: their JSON form beside the name of their class. Pydantic is not imported for states without one.


def _is_model(value: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def _dump_model(value: Any, path: str, above: set[int]) -> Any:
    try:
        plain = value.model_dump(mode="json", by_alias=False, round_trip=True, warnings=False)
    except (ValueError, TypeError) as error:
        raise StateError(f"{path}: this {type(value).__name__} cannot be stored: {error}") from error
    return _encode(plain, path, above, _unsupported)


def _load_model(name: str, values: Any, models: bool) -> Any:
    model = _find_class(name) if models else None
    pydantic = sys.modules.get("pydantic")  # the class's own module has imported it
    if model is None or pydantic is None or not issubclass(model, pydantic.BaseModel):
        return values
    try:  # JSON mode, so that strict models accept their own text forms
        return model.model_validate_json(json.dumps(values), by_alias=False, by_name=True)
    except ValueError:  # the class has changed since
        return values


# Dataclasses: their fields, set as they were. Neither __init__ nor __post_init__ runs, which might do more than restore.


def _load_dataclass(name: str, values: dict[str, Any], models: bool) -> Any:
    kind: Any = _find_class(name) if models else None
    if not (kind and is_dataclass(kind)) or values.keys() != {one.name for one in fields(kind)}:
        return values
    made: Any = object.__new__(_find_class(name))
    for field, value in values.items():
        object.__setattr__(made, field, value)  # also of a frozen one
    return made


def _find_class(name: str) -> Any:
    """The class of this name; None when it is gone, or was made inside a function."""
    module_name, _, path = name.partition(":")
    try:
        found: Any = sys.modules.get(module_name) or import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, type) else None
