"""Arguments: `Parameters` gives the parameters of `run` as one JSON Schema and checks a caller's arguments by the same types.

It does not build a BaseModel of the parameters, because their names are the author's: `copy`, `schema`, `model_config` or `_x` may be
among them. Used by `schema`; `payload` does the same for a `run(ctx)` that takes one value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, get_origin

from ..values.refusals import ArgumentError, SchemaError
from . import validation_messages
from .annotations import is_lasting, show_annotation
from .docstring import parameter_descriptions
from .fast_adapters import Adapter, plain_arguments
from .lenient_arguments import Misread, Reading, read
from .schema_generator import first_line, schema_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

TYPES_HINT: Final = (
    "Use JSON-like types: str, int, float, bool, list, dict, Literal, Enum, TypedDict, dataclasses or pydantic models."
)


class Arguments(Protocol):
    """The arguments of a workflow: `Parameters`, `TypedPayload` or `OpenPayload`."""

    @property
    def schema(self) -> dict[str, Any]:
        """An object schema with its definitions in its root. Raises SchemaError."""

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for the body. Raises ArgumentError that names every problem."""

    def lasts(self, own_modules: Collection[str]) -> bool:
        """True if the object holds nothing of one run, so that it may serve later runs."""


class Parameters:
    """Arguments that the body takes by name. `line` and `doc` are the function's; `untyped` are the names without annotation."""

    def __init__(self, parameters: list[Parameter], line: int | None, doc: str, untyped: Collection[str] = ()) -> None:
        self._parameters = parameters
        self._line = line
        self._doc = doc
        self._names = frozenset(parameter.name for parameter in parameters)
        self._positional = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_ONLY]
        self._optional = frozenset(p.name for p in parameters if p.default is not Parameter.empty)
        self._null_means_absent = frozenset(p.name for p in parameters if p.default is None) | {
            name for name in self._optional if name in untyped
        }
        self._filled_in = frozenset(p.name for p in parameters if _is_filled_in(p))
        self._checker: Adapter = plain_arguments(parameters) or self._adapter()

    @cached_property
    def schema(self) -> dict[str, Any]:
        try:
            schema = schema_of(self._adapter())
        except Exception as error:  # a type's own code may raise anything; `_blame` finds the parameter
            raise self._blame(error) from error
        describe(schema, self._doc)
        return schema

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Check the arguments. Defaults stay Python's: this run's own function holds them, so no other run has changed them."""
        given = {n: v for n, v in arguments.items() if not (v is None and n in self._null_means_absent)}
        if "_" in given and "_" not in self._names:
            del given["_"]  # VS Code adds it to calls without arguments
        reading = check_arguments(self._checker, given, lambda: self.schema, self._optional)
        return self._lay_out(reading.given, reading.value)

    def lasts(self, own_modules: Collection[str]) -> bool:
        return all(is_lasting(p.annotation, own_modules) and not _is_field(p.default) for p in self._parameters)

    def by_name(self, positional: list[Any], keyword: dict[str, Any]) -> dict[str, Any]:
        """The arguments that `bind` gave, as one dict."""
        return {**dict(zip(self._positional, positional, strict=False)), **keyword}

    def _lay_out(self, given: Mapping[str, Any], values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The checked values as positional and keyword arguments, without those that Python fills in by defaults."""
        present = [name for name in self._positional if name in given or name in self._filled_in]
        last = self._positional.index(present[-1]) + 1 if present else 0
        positional = [values.pop(name) for name in self._positional[:last]]
        left_out = set(self._positional[last:])
        keyword = {n: v for n, v in values.items() if (n in given or n in self._filled_in) and n not in left_out}
        return positional, keyword

    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        try:
            return TypeAdapter(_stub(self._parameters))
        except Exception as error:  # as in `schema`
            raise self._blame(error) from error

    def _blame(self, error: Exception) -> SchemaError:
        """A SchemaError that names the parameter whose annotation raised."""
        from pydantic import TypeAdapter

        for parameter in self._parameters:
            try:
                TypeAdapter(_stub([parameter])).json_schema()
            except Exception as its_error:  # one by one, to name the parameter at fault
                return SchemaError(
                    f"parameter `{parameter.name}`: its annotation {show_annotation(parameter.annotation)} "
                    f"has no JSON schema: {first_line(its_error)}",
                    line=self._line,
                    hint=TYPES_HINT,
                )
        return SchemaError(
            f"the parameters of run have no JSON schema: {first_line(error)}", line=self._line, hint=TYPES_HINT
        )


def check_arguments(
    adapter: Adapter, given: dict[str, Any], schema: Callable[[], dict[str, Any]], optional: Collection[str] = ()
) -> Reading:
    """The arguments as the adapter validates them. `optional` names those with a default. Raises ArgumentError in words of `schema`."""
    try:
        return read(adapter, given, optional, schema)
    except Misread as error:
        raise ArgumentError("; ".join(validation_messages.sentences(error.errors, error.given, schema()))) from None


def describe(schema: dict[str, Any], doc: str) -> None:
    """Add the docstring's description of each parameter whose type has no description itself."""
    descriptions = parameter_descriptions(doc)
    for name, described in schema.get("properties", {}).items():
        if name in descriptions:
            described.setdefault("description", descriptions[name])


def _stub(parameters: list[Parameter]) -> Any:
    """A function that pydantic sees with these parameters as keyword-only, and that returns its arguments as a dict."""

    def stub(**values: Any) -> dict[str, Any]:
        return values

    by_name = [p if p.kind is Parameter.VAR_KEYWORD else p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters]
    stub.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]  # functions take any attribute
    stub.__annotations__ = {p.name: p.annotation for p in by_name}
    return stub


def _is_filled_in(parameter: Parameter) -> bool:
    """True if pydantic may fill in the value without an argument of this name: a Field with an alias or a default."""
    if _is_field(parameter.default):
        return True
    if get_origin(parameter.annotation) is not Annotated:
        return False
    fields = [extra for extra in parameter.annotation.__metadata__ if _is_field(extra)]
    return any(field.alias or field.validation_alias or not field.is_required() for field in fields)


def _is_field(value: Any) -> bool:
    return type(value).__name__ == "FieldInfo" and type(value).__module__ == "pydantic.fields"
