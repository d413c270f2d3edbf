"""Schema generator: gives pydantic's schema in the form that tools show, without titles made of names or warnings about defaults.

`schema_of` makes the schema, `as_text` writes it as JSON. Used by `arguments`, `payload` and `schema`.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from ..text import is_well_formed, well_formed

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

MAX_SCHEMA_CHARS: Final = 1_000_000
"""A longer schema is data, and every list of tools would repeat it."""
_FOR_PEOPLE: Final = ("title", "description", "$comment")
_OPTIONAL: Final = ("default", "examples", "example")
_BOUNDS: Final = ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf")
_UNSAYABLE: Final = object()


def schema_of(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any]:
    """The schema of a type. Raises any exception of the types' own code."""
    return adapter.json_schema(mode=mode, schema_generator=_generator())


class NotJson(ValueError):
    """Raised when a schema holds a value that JSON cannot express. The message is a sentence that names it."""


def as_text(schema: dict[str, Any], what: str) -> str:
    """The schema of `what` as ASCII JSON. Raises NotJson.

    Titles and descriptions are made valid Unicode. Defaults and examples that JSON cannot express are left out.
    """
    try:
        text = json.dumps(_sayable(schema), allow_nan=False)
    except NotJson as error:
        raise NotJson(f"the schema of the {what} holds {error}, which JSON cannot say") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotJson(f"the schema of the {what} has no JSON form: {first_line(error)}") from None
    if len(text) > MAX_SCHEMA_CHARS:
        raise NotJson(
            f"the schema of the {what} is {len(text)} characters long; at most {MAX_SCHEMA_CHARS} are allowed"
        )
    return text


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_valid(key): item for key, part in value.items() if (item := _member(key, part)) is not _UNSAYABLE}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise NotJson(f"the number {value}")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise NotJson("a whole number beyond 64 bits")
    return _valid(value) if isinstance(value, str) else value


def _member(keyword: Any, value: Any) -> Any:
    if keyword in _FOR_PEOPLE and isinstance(value, str):
        return well_formed(value)
    if keyword in _BOUNDS and isinstance(value, int) and not -(2**63) <= value < 2**64:
        value = _as_float(value)
    try:
        return _sayable(value)
    except NotJson:
        if keyword in _OPTIONAL:
            return _UNSAYABLE
        raise


def _as_float(value: int) -> float | int:
    try:
        return float(value)
    except OverflowError:
        return value


def _valid(text: Any) -> Any:
    if isinstance(text, str) and not is_well_formed(text):
        raise NotJson(f"the text {ascii(text)[:100]} with half a character")
    return text


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


@cache
def _generator() -> type[GenerateJsonSchema]:
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import PydanticSerializationError

    class Quiet(GenerateJsonSchema):
        """Without a title made of each field's own name, and without warnings about defaults that JSON cannot show."""

        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  pydantic declares it so

        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

        def bytes_schema(self, schema: Any) -> dict[str, Any]:
            """Bytes in results are base64 unless a config says otherwise, as `values/result_json` writes them."""
            written = super().bytes_schema(schema)
            if self.mode == "serialization" and "ser_json_bytes" not in self._config.config_dict:
                written.pop("format", None)
                written["contentEncoding"] = "base64"
            return written

        def encode_default(self, dft: Any) -> Any:
            encoded = super().encode_default(dft)
            try:
                json.dumps(encoded, allow_nan=False)
            except ValueError as error:  # NaN is not JSON; pydantic then leaves the default out
                raise PydanticSerializationError(str(error)) from None
            return encoded

    return Quiet
