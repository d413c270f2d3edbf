"""Results as JSON where pydantic stops: bytes as base64, numbers and arrays of numpy's kind, text that is no valid Unicode; used by result.

Bytes are base64 wherever no model's own config says otherwise: pydantic's UTF-8 fails for most of them, and for the others it would leave
a caller guessing. The output schema says so (jsonschema).
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ..text import well_formed_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_NOT_SCHEMAS: Final = frozenset(
    {"metadata", "default", "expected", "members", "cls", "config", "function", "root_model"}
)
"""Keys of a core schema whose values are the author's own."""


class TooMany(ValueError):
    """An array would be longer as JSON than a result may be."""


class ResultAdapter:
    """As a TypeAdapter, for results. `is_loose`: bytes may be where its schema says nothing, so `with_text` comes first."""

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        from pydantic_core import SchemaSerializer

        self.validate_python = adapter.validate_python
        schema = for_results(adapter.core_schema)
        self.is_loose = adapter.core_schema.get("type") == "any"
        changed = schema is not adapter.core_schema and not self.is_loose
        self.serializer: Any = SchemaSerializer(schema, _use_prebuilt=False) if changed else adapter.serializer


def for_results(schema: Any, says_bytes: bool = False) -> Any:
    """A core schema with base64 for bytes; the same object where it has none. `says_bytes`: a config around it says how they are written."""
    if isinstance(schema, list | tuple):
        members = [for_results(part, says_bytes) for part in schema]
        return schema if all(new is old for new, old in zip(members, schema, strict=True)) else type(schema)(members)
    if not isinstance(schema, dict):
        return schema
    config = schema.get("config")
    says_bytes = says_bytes or (isinstance(config, dict) and "ser_json_bytes" in config)
    kind = schema.get("type")
    if kind in ("bytes", "any") and "serialization" not in schema and not says_bytes:
        return {**schema, "serialization": _BASE64 if kind == "bytes" else _ANYTHING}
    parts = {key: part if key in _NOT_SCHEMAS else for_results(part, says_bytes) for key, part in schema.items()}
    return schema if all(parts[key] is schema[key] for key in schema) else parts


def with_text(value: Any) -> Any:
    """The value with base64 for the bytes in it; the same object where there are none."""
    kind = type(value)
    if kind is dict:
        if _stays(value) and _stays(value.values()):
            return value
        return {_as_base64(key): with_text(item) for key, item in value.items()}
    if kind in _LISTS:
        return value if _stays(value) else [with_text(item) for item in value]
    if kind in _BYTES:
        return _as_base64(value)
    if dataclasses.is_dataclass(kind) and not hasattr(kind, "__pydantic_core_schema__"):
        return {field.name: with_text(getattr(value, field.name)) for field in dataclasses.fields(kind)}
    serializer = _serializer_of(kind) if hasattr(kind, "__pydantic_core_schema__") else None
    return value if serializer is None else serializer.to_python(value, mode="json", by_alias=True, warnings=False)


_BYTES: Final = frozenset({bytes, bytearray, memoryview})
_LISTS: Final = frozenset({list, tuple, set, frozenset})
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _stays(items: Iterable[Any]) -> bool:
    return set(map(type, items)) <= _PLAIN


def _serializer_of(kind: Any) -> Any:
    """For a model that may hold bytes; None for any other."""
    from pydantic_core import SchemaSerializer

    schema = kind.__pydantic_core_schema__
    changed = (
        for_results(schema) if isinstance(schema, dict) else schema
    )  # of a class that is not complete it is something else
    return None if changed is schema else SchemaSerializer(changed, _use_prebuilt=False)


def _as_base64(value: Any) -> Any:
    """A model's field may hold something else than it says."""
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray | memoryview) else value


_BASE64: Final = {
    "type": "function-plain",
    "function": _as_base64,
    "return_schema": {"type": "str"},
    "when_used": "json",
}
_ANYTHING: Final = {
    "type": "function-plain",
    "function": with_text,
    "return_schema": {"type": "any"},
    "when_used": "json",
}


class Fallback:
    """What is written for a value that pydantic does not know. `too_many` is raised once one has been longer than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.too_many: TooMany | None = None

    def __call__(self, value: Any) -> Any:
        try:
            return with_text(unboxed(value, self._max_bytes))
        except TooMany as error:
            self.too_many = error
            raise


def unboxed(value: Any, max_bytes: int) -> Any:
    """A scalar or an array of numpy's kind as Python's numbers and lists. Raises TypeError for anything else, and TooMany."""
    if isinstance(value, memoryview):
        return bytes(value)
    if not is_boxed(value):
        raise TypeError(f"Unable to serialize unknown type: {type(value)}")
    size = getattr(value, "size", 1)
    if isinstance(size, int) and size * 2 > max_bytes:  # a digit and a comma each
        raise TooMany(f"an array of {size} values")
    return value.tolist()


def is_boxed(value: Any) -> bool:
    """Whether it is of numpy's kind: it has a dtype and can say itself in Python's own values."""
    return hasattr(type(value), "dtype") and callable(getattr(value, "tolist", None))


def all_unboxed(value: Any, max_bytes: int) -> Any:
    """The value with Python's numbers and lists for numpy's, in dicts, lists and tuples too."""
    if isinstance(value, dict):
        return {key: all_unboxed(item, max_bytes) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)([all_unboxed(item, max_bytes) for item in value])
    return unboxed(value, max_bytes) if is_boxed(value) else value


def written(value: Any, serializer: Any, fallback: Fallback) -> bytes:
    """JSON as UTF-8. Raises what pydantic raises, and TooMany."""
    try:
        text: bytes = serializer.to_json(value, by_alias=True, warnings=False, fallback=fallback)
        return text
    except ValueError as error:
        if fallback.too_many is not None:
            raise fallback.too_many from None
        if "surrogates not allowed" not in str(error):
            raise
    return _made_valid(value, serializer, fallback)


def _made_valid(value: Any, serializer: Any, fallback: Fallback) -> bytes:
    """Names of files may hold bytes that are no UTF-8, and what comes from JSON half a character."""
    from pydantic_core import to_json

    plain = serializer.to_python(
        well_formed_json(value), mode="json", by_alias=True, warnings=False, fallback=fallback
    )  # fmt: skip
    return to_json(well_formed_json(plain), inf_nan_mode="null")
