"""Payload: the one value that `run(ctx)` takes. `TypedPayload` has a model; `OpenPayload` has the keys that the source reads.

Both give a schema and check a caller's arguments. Used by `schema`; not for a `run` with parameters, see `arguments`.
"""

from __future__ import annotations

import ast
import dataclasses
import linecache
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ..values.refusals import ArgumentError, SchemaError
from .annotations import is_lasting, show_annotation
from .arguments import TYPES_HINT, check_arguments, describe
from .fast_adapters import PlainAdapter, plain_schema
from .payload_schema import PayloadKey, payload_keys
from .schema_generator import first_line, schema_of
from .unknown_arguments import explain_unknown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_JSON_NAMES: Final[dict[Any, str]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object",
}  # fmt: skip


class TypedPayload:
    """One value of this type. An unknown name is an error, unless the type's own config decides about extra names."""

    def __init__(self, kind: Any, line: int | None, doc: str) -> None:
        self._kind = kind
        self._line = line
        self._doc = doc
        self._adapter = self._make_adapter()
        self._known = None if _decides_extras(kind) else _names_of(kind)

    @cached_property
    def schema(self) -> dict[str, Any]:
        try:
            schema = _inline_root(schema_of(self._adapter))
        except Exception as error:  # the type's own code may raise anything
            raise self._refusal(f"has no JSON schema: {first_line(error)}", TYPES_HINT) from error
        if schema.get("type") != "object":
            raise self._refusal(
                "is no object with named fields, as a tool's arguments are",
                "Use a pydantic model, a dataclass or a TypedDict.",
            )
        if self._known is not None:
            schema["additionalProperties"] = False
        for own in ("title", "description"):  # the tool has its own
            schema.pop(own, None)
        schema.setdefault("properties", {})
        describe(schema, self._doc)
        _refuse_session_id(schema["properties"], self._line)
        return schema

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        given = {name: value for name, value in arguments.items() if name != "_" or "_" in (self._known or ())}
        unknown = [] if self._known is None else [name for name in given if name not in self._known]
        try:
            value = check_arguments(self._adapter, given, lambda: self.schema).value
        except ArgumentError as error:
            raise self._complaint([error.message], unknown, given) from None
        if unknown:
            raise self._complaint([], unknown, given)
        return [value], {}

    def _complaint(self, problems: list[str], unknown: list[str], given: Mapping[str, Any]) -> ArgumentError:
        known = list(self.schema["properties"])
        return ArgumentError("; ".join(explain_unknown(problems, unknown, known, given, "this workflow")))

    def lasts(self, own_modules: Collection[str]) -> bool:
        return is_lasting(self._kind, own_modules)

    def _make_adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        try:
            return TypeAdapter(self._kind)
        except Exception as error:  # as in `schema`
            raise self._refusal(f"has no JSON schema: {first_line(error)}", TYPES_HINT) from error

    def _refusal(self, why: str, hint: str) -> SchemaError:
        return SchemaError(f"the payload's type {show_annotation(self._kind)} {why}", line=self._line, hint=hint)


class OpenPayload:
    """A dict with any keys; some keys have a known type or default. Absent keys stay absent: the body has its own defaults."""

    def __init__(self, keys: list[PayloadKey], line: int | None, doc: str) -> None:
        self._keys = keys
        self._doc = doc
        self._adapter = PlainAdapter(
            {
                "type": "typed-dict",
                "fields": {
                    key.name: {"type": "typed-dict-field", "schema": plain_schema(key.type), "required": key.needed}
                    for key in keys
                },
                "extra_behavior": "allow",
            }
        )
        _refuse_session_id([key.name for key in keys], line)

    @cached_property
    def schema(self) -> dict[str, Any]:
        properties: dict[str, dict[str, Any]] = {}
        for key in self._keys:
            described = properties[key.name] = {"type": _JSON_NAMES[key.type]} if key.type in _JSON_NAMES else {}
            if isinstance(key.default, str | int | float | bool | list | dict | None):
                described["default"] = key.default
        needed = [key.name for key in self._keys if key.needed]
        schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": True}
        if needed:
            schema["required"] = needed
        describe(schema, self._doc)
        return schema

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        given = {
            name: value for name, value in arguments.items() if name != "_" or any(k.name == "_" for k in self._keys)
        }
        optional = [key.name for key in self._keys if not key.needed]
        return [check_arguments(self._adapter, given, lambda: self.schema, optional).value], {}

    def lasts(self, own_modules: Collection[str]) -> bool:
        return True


def keys_read_by(function: Any, context: str) -> list[PayloadKey]:
    """The keys of the payload that a function's source reads; none if the source cannot be read."""
    code = getattr(function, "__code__", None)
    source = "" if code is None else "".join(linecache.getlines(code.co_filename))
    try:
        return payload_keys(ast.parse(source), code.co_name if code else "", context)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def payload_class(namespace: Mapping[str, Any]) -> Any:
    """The module's class `Payload`, if it is a type with named fields; else None."""
    found = namespace.get("Payload")
    return found if isinstance(found, type) and _names_of(found) is not None else None


def read_like_a_dict(kind: Any, own_modules: Collection[str]) -> None:
    """Let a body read its own payload class like an untyped payload: `payload["text"]`, `payload.get("text")`, `**payload`.

    Only for a class that the workflow itself defines. Methods that the class has under these names stay.
    """
    if isinstance(kind, type) and kind.__module__ in own_modules and not issubclass(kind, dict):
        for name, method in _DICT_METHODS.items():
            if not hasattr(kind, name) and name not in (_names_of(kind) or ()):
                setattr(kind, name, method)


def _get_item(self: Any, name: str) -> Any:
    if name not in _keys_of(self):
        raise KeyError(name)
    return getattr(self, name)


def _get(self: Any, name: str, default: Any = None) -> Any:
    return getattr(self, name) if name in _keys_of(self) else default


def _keys_of(self: Any) -> list[str]:
    if dataclasses.is_dataclass(self):
        return [field.name for field in dataclasses.fields(self)]
    return [*type(self).model_fields, *(self.model_extra or ())]


def _contains(self: Any, name: object) -> bool:
    return name in _keys_of(self)


_DICT_METHODS: Final[dict[str, Callable[..., Any]]] = {
    "__getitem__": _get_item, "__contains__": _contains, "get": _get, "keys": _keys_of,
}  # fmt: skip


def _names_of(kind: Any) -> frozenset[str] | None:
    """The names under which a caller can give the fields; None if the type has no named fields."""
    if hasattr(kind, "__required_keys__"):  # a TypedDict, of typing or of typing_extensions
        return frozenset(kind.__required_keys__ | kind.__optional_keys__)
    fields = getattr(kind, "__pydantic_fields__", None)
    if fields is not None:
        aliases = [alias for field in fields.values() for alias in (field.alias, field.validation_alias)]
        return frozenset(fields).union(*map(_first_steps, aliases))
    if dataclasses.is_dataclass(kind):
        return frozenset(field.name for field in dataclasses.fields(kind))
    return None


def _first_steps(alias: Any) -> set[str]:
    """The top-level names of an alias: a string, a path into a nested object, or a choice of both."""
    if alias is None:
        return set()
    choices = getattr(alias, "choices", [alias])
    return {choice if isinstance(choice, str) else str(choice.path[0]) for choice in choices}


def _decides_extras(kind: Any) -> bool:
    """True if the type's config says what happens to unknown names, or the type is a root model."""
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}
    return "extra" in config or getattr(kind, "__pydantic_root_model__", False)


def _inline_root(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the model at the root: pydantic puts a model that refers to itself among the definitions."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    return {**schema["$defs"][reference.rpartition("/")[2]], "$defs": schema["$defs"]}


def _refuse_session_id(names: Collection[str], line: int | None) -> None:
    if "session_id" in names:
        raise SchemaError(
            "the payload's key `session_id` is reserved: callers choose the session with it",
            line=line,
            hint="Rename it; the session's data is in session_state.",
        )
