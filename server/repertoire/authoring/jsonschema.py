"""JSON Schema as tools show it: pydantic's, without titles made of names and without warnings about defaults."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema


def schema_of(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any]:
    """Raises what the types' own code raises."""
    return adapter.json_schema(mode=mode, schema_generator=_generator())


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

        def encode_default(self, dft: Any) -> Any:
            encoded = super().encode_default(dft)
            try:
                json.dumps(encoded, allow_nan=False)
            except ValueError as error:  # NaN is no JSON; the default is then not shown
                raise PydanticSerializationError(str(error)) from None
            return encoded

    return Quiet
