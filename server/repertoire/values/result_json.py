"""Result JSON: writes results that pydantic cannot: bytes as base64, numpy's numbers and arrays, text that is not valid Unicode.

Bytes become base64 unless a model's own config says otherwise. Pydantic's default, UTF-8, fails for most bytes, and for the others the
caller could not tell which form it got. The output schema says base64 too (`signature/schema_generator`). Used by `signature/result`.
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
    """Raised when an array would be longer as JSON than a result may be."""


class ResultAdapter:
    """Like a TypeAdapter, for results. `is_loose`: the schema is `any`, so bytes may be anywhere and `with_text` must run first."""

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        from pydantic_core import SchemaSerializer

        self.validate_python = adapter.validate_python
        schema = for_results(adapter.core_schema)
        self.is_loose = adapter.core_schema.get("type") == "any"
        changed = schema is not adapter.core_schema and not self.is_loose
        self.serializer: Any = SchemaSerializer(schema, _use_prebuilt=False) if changed else adapter.serializer


def for_results(schema: Any, says_bytes: bool = False) -> Any:
    """The core schema with base64 for bytes; the same object if it has no bytes.

    `says_bytes`: an outer model's config already says how bytes are written.
    """
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
    """The value with base64 for the bytes in it; the same object if it has no bytes."""
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
    """The serializer of a model that may hold bytes; None for any other model."""
    from pydantic_core import SchemaSerializer

    schema = kind.__pydantic_core_schema__  # not a dict while the class is incomplete
    changed = for_results(schema) if isinstance(schema, dict) else schema
    return None if changed is schema else SchemaSerializer(changed, _use_prebuilt=False)


def _as_base64(value: Any) -> Any:
    """Base64 of bytes, else the value itself: a model's field may hold another type than it declares."""
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
    """Gives the JSON form of a value that pydantic does not know. Keeps in `too_many` the error of an array beyond `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.too_many: TooMany | None = None

    def __call__(self, value: Any) -> Any:
        try:
            return with_text(unbox(value, self._max_bytes))
        except TooMany as error:
            self.too_many = error
            raise


def unbox(value: Any, max_bytes: int) -> Any:
    """A numpy scalar or array as Python numbers and lists. Raises TypeError for other types, and TooMany."""
    if isinstance(value, memoryview):
        return bytes(value)
    if not is_boxed(value):
        raise TypeError(f"Unable to serialize unknown type: {type(value)}")
    size = getattr(value, "size", 1)
    if isinstance(size, int) and size * 2 > max_bytes:  # each value takes a digit and a comma at least
        raise TooMany(f"an array of {size} values")
    return value.tolist()


def is_boxed(value: Any) -> bool:
    """True for values like numpy's: the type has a `dtype`, and `tolist` gives Python's own values."""
    return hasattr(type(value), "dtype") and callable(getattr(value, "tolist", None))


def unbox_all(value: Any, max_bytes: int) -> Any:
    """The value with Python's numbers and lists for numpy's, also inside dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key: unbox_all(item, max_bytes) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)([unbox_all(item, max_bytes) for item in value])
    return unbox(value, max_bytes) if is_boxed(value) else value


def write_json(value: Any, serializer: Any, fallback: Fallback) -> bytes:
    """JSON as UTF-8. Raises TooMany, and the errors that pydantic raises."""
    try:
        text: bytes = serializer.to_json(value, by_alias=True, warnings=False, fallback=fallback)
        return text
    except ValueError as error:
        if fallback.too_many is not None:
            raise fallback.too_many from None
        if "surrogates not allowed" not in str(error):
            raise
    return _write_well_formed(value, serializer, fallback)


def _write_well_formed(value: Any, serializer: Any, fallback: Fallback) -> bytes:
    """JSON with valid text. File names may hold bytes that are not UTF-8; text from JSON may hold half a character."""
    from pydantic_core import to_json

    valid = well_formed_json(value)
    plain = serializer.to_python(valid, mode="json", by_alias=True, warnings=False, fallback=fallback)
    return to_json(well_formed_json(plain), inf_nan_mode="null")
