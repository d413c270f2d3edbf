"""Fast adapters: makes pydantic-core's schema of `str`, `list[int]`, `dict[str, Any] | None` and the like by a table.

Building a TypeAdapter costs milliseconds in a fresh process, for the work and for the memory pages that it writes to. Most parameters
of most workflows are as simple as these. For a type that is not in the table, pydantic builds the whole schema. Used by `arguments`,
`payload` and `schema`.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Final, Protocol, Union, get_args, get_origin

_NAMED: Final = {str: "str", int: "int", float: "float", bool: "bool", NoneType: "none", None: "none", Any: "any"}
_ANY: Final = {"type": "any"}


class Adapter(Protocol):
    """The part of a TypeAdapter that checks arguments."""

    def validate_python(self, value: Any, /) -> Any: ...


class ForResults(Adapter, Protocol):
    """The part of a TypeAdapter that checks and writes a result; see `result_json.ResultAdapter`."""

    serializer: Any
    is_loose: bool


class PlainAdapter:
    """Does what a TypeAdapter does, on the schema that a TypeAdapter would build."""

    def __init__(self, schema: Any) -> None:
        from pydantic_core import SchemaSerializer, SchemaValidator

        self.validate_python = SchemaValidator(schema).validate_python
        self.is_loose = _is_loose(schema)
        self.serializer: Any = SchemaSerializer(schema)


def plain_adapter(annotation: Any) -> PlainAdapter | None:
    """The adapter for a result; None if the type is not simple."""
    schema = plain_schema(annotation)
    return None if schema is None else PlainAdapter(schema)


def plain_arguments(parameters: Sequence[Parameter]) -> PlainAdapter | None:
    """The adapter for parameters, all taken by keyword; None if one is not simple.

    Validation gives a dict of the parameters that were given or have a default.
    """
    fields, rest = [], None
    for parameter in parameters:
        schema = plain_schema(parameter.annotation)
        if schema is None or type(parameter.default).__module__ != "builtins":
            return None  # a default may be a pydantic Field
        if parameter.kind is Parameter.VAR_KEYWORD:
            rest = schema
            continue
        if parameter.default is not Parameter.empty:
            schema = {"type": "default", "schema": schema, "default": parameter.default}
        fields.append({"name": parameter.name, "schema": schema, "mode": "keyword_only"})
    arguments: dict[str, Any] = {"type": "arguments", "arguments_schema": fields}
    if rest is not None:
        arguments |= {"var_kwargs_mode": "uniform", "var_kwargs_schema": rest}
    return PlainAdapter({"type": "call", "arguments_schema": arguments, "function": _as_dict})


def plain_schema(annotation: Any) -> dict[str, Any] | None:
    """The core schema that pydantic makes of the type; None if the table does not know it."""
    try:
        if (name := _NAMED.get(annotation)) is not None:
            return {"type": name}
    except TypeError:  # not hashable: Annotated[...] with unhashable metadata
        return None
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is list:
        return _of("list", items_schema=arguments[0] if arguments else Any)
    if origin is dict:
        key, value = arguments or (Any, Any)
        return _of("dict", keys_schema=key, values_schema=value)
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        return _of("nullable", schema=next(part for part in arguments if part is not NoneType))
    return None


def _of(kind: str, **parts: Any) -> dict[str, Any] | None:
    schemas = {name: plain_schema(part) for name, part in parts.items()}
    return None if None in schemas.values() else {"type": kind, **schemas}


def _is_loose(schema: Any) -> bool:
    """True if the schema is or contains `any`."""
    return isinstance(schema, dict) and (schema.get("type") == "any" or any(map(_is_loose, schema.values())))


def _as_dict(**values: Any) -> dict[str, Any]:
    return values
