"""The parameters of a `run` as one JSON Schema, and a caller's arguments checked by the same types.

No BaseModel is made of the parameters: their names are the author's and may be `copy`, `schema`, `model_config` or `_x`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, get_origin

from ..values.refusals import ArgumentError, SchemaError
from . import validation_messages
from .annotations import is_lasting, shown
from .docstring import parameter_descriptions
from .json_schema import first_line, schema_of
from .lenient_arguments import Misread, Reading, read
from .simple_types import Adapter, plain_arguments

if TYPE_CHECKING:
    from pydantic import TypeAdapter

TYPES_HINT: Final = (
    "Use JSON-like types: str, int, float, bool, list, dict, Literal, Enum, TypedDict, dataclasses or pydantic models."
)


class Arguments(Protocol):
    """What a workflow takes."""

    @property
    def schema(self) -> dict[str, Any]:
        """An object schema; the definitions it needs are in its root. Raises SchemaError."""

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments as the body gets them. Raises ArgumentError with every problem in it."""

    def lasts(self, own_modules: Collection[str]) -> bool:
        """Whether it holds nothing of one run."""


class Parameters:
    """Arguments that the body takes by name. `line` and `doc` are those of the function, `untyped` the names without annotation."""

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
        except Exception as error:  # types bring code of their own into this; `_blame` finds whose it was
            raise self._blame(error) from error
        describe(schema, self._doc)
        return schema

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Defaults are left to Python: the function of this very run holds them, and nobody else's run has changed them."""
        given = {n: v for n, v in arguments.items() if not (v is None and n in self._null_means_absent)}
        if "_" in given and "_" not in self._names:
            del given["_"]  # VS Code adds it to calls without arguments
        reading = checked(self._checker, given, lambda: self.schema, self._optional)
        return self._laid_out(reading.given, reading.value)

    def lasts(self, own_modules: Collection[str]) -> bool:
        return all(is_lasting(p.annotation, own_modules) and not _is_field(p.default) for p in self._parameters)

    def by_name(self, positional: list[Any], keyword: dict[str, Any]) -> dict[str, Any]:
        """What `bind` gave, as one dict."""
        return {**dict(zip(self._positional, positional, strict=False)), **keyword}

    def _laid_out(self, given: Mapping[str, Any], values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
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
        except Exception as error:  # types bring code of their own into this; `_blame` finds whose it was
            raise self._blame(error) from error

    def _blame(self, error: Exception) -> SchemaError:
        """The parameter whose annotation it was."""
        from pydantic import TypeAdapter

        for parameter in self._parameters:
            try:
                TypeAdapter(_stub([parameter])).json_schema()
            except Exception as its_error:  # one by one, to name the one at fault
                return SchemaError(
                    f"parameter `{parameter.name}`: its annotation {shown(parameter.annotation)} has no JSON schema: "
                    f"{first_line(its_error)}", line=self._line, hint=TYPES_HINT,
                )  # fmt: skip
        return SchemaError(
            f"the parameters of run have no JSON schema: {first_line(error)}", line=self._line, hint=TYPES_HINT
        )


def checked(
    adapter: Adapter, given: dict[str, Any], schema: Callable[[], dict[str, Any]], optional: Collection[str] = ()
) -> Reading:
    """What the adapter makes of the arguments; `optional` names those with a default. Raises ArgumentError, with what `schema` wants."""
    try:
        return read(adapter, given, optional, schema)
    except Misread as error:
        raise ArgumentError("; ".join(validation_messages.sentences(error.errors, error.given, schema()))) from None


def describe(schema: dict[str, Any], doc: str) -> None:
    """Add what a docstring says of each parameter, where its type says nothing itself."""
    descriptions = parameter_descriptions(doc)
    for name, described in schema.get("properties", {}).items():
        if name in descriptions:
            described.setdefault("description", descriptions[name])


def _stub(parameters: list[Parameter]) -> Any:
    """A function that pydantic reads as one taking these by keyword only, and that gives back what it was called with."""

    def stub(**values: Any) -> dict[str, Any]:
        return values

    by_name = [p if p.kind is Parameter.VAR_KEYWORD else p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters]
    stub.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]  # functions take any attribute
    stub.__annotations__ = {p.name: p.annotation for p in by_name}
    return stub


def _is_filled_in(parameter: Parameter) -> bool:
    """Whether the value comes from pydantic even when the caller gave none under this name: Field with an alias or a default."""
    if _is_field(parameter.default):
        return True
    if get_origin(parameter.annotation) is not Annotated:
        return False
    fields = [extra for extra in parameter.annotation.__metadata__ if _is_field(extra)]
    return any(field.alias or field.validation_alias or not field.is_required() for field in fields)


def _is_field(value: Any) -> bool:
    return type(value).__name__ == "FieldInfo" and type(value).__module__ == "pydantic.fields"
