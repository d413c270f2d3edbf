"""From a `run` to schemas: what it takes and gives as JSON Schema, and arguments and results checked by the same types.

No BaseModel is made of the parameters: their names are the author's and may be `copy`, `schema`, `model_config` or `_x`.
A Signature holds no reference to the function, so it can serve later runs when all its types outlive one (`lasting`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping
from functools import cache, cached_property
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, get_origin

from . import complaints, result
from .docstring import parameter_descriptions
from .hints import UNSAID, function_of, is_lasting, line_of, resolve, result_annotation, shown
from .plain import Adapter, plain_adapter, plain_arguments
from .refusals import ArgumentError, SchemaError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

_INJECTED: Final = frozenset({"ctx", "tools", "workflows", "artifacts", "deps"})


class Remark(NamedTuple):
    """Something to tell the author that does not stop the workflow."""

    rule: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class Signature:
    """What one `run` takes and gives. Made by `read`."""

    def __init__(
        self, function: Any, parameters: list[Parameter], returns: Any, notes: tuple[Remark, ...], doc: str
    ) -> None:
        is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        self.notes = notes
        self.line = line_of(function)
        self.returns, self.gives_return_value = result_annotation(returns, is_generator=is_generator)
        self.lasting = False
        self._parameters = parameters
        self._doc = doc
        self._names = frozenset(parameter.name for parameter in parameters)
        self._positional = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_ONLY]
        self._null_means_absent = frozenset(p.name for p in parameters if p.default is None)
        self._filled_in = frozenset(p.name for p in parameters if _is_filled_in(p))
        self._arguments: Adapter = plain_arguments(parameters) or self._adapter_of_arguments()
        self._result: Adapter = plain_adapter(self.returns) or self._adapter_of_result()

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """An object schema of the parameters; the definitions it needs are in its root."""
        try:
            schema = self._adapter_of_arguments().json_schema(schema_generator=_schema_generator())
        except Exception as error:  # types bring code of their own into this; `_blame` finds whose it was
            raise self._blame(error) from error
        descriptions = parameter_descriptions(self._doc)
        for name, described in schema["properties"].items():
            if name in descriptions:
                described.setdefault("description", descriptions[name])
        return schema

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The schema of the result alone; empty when `run` does not say."""
        if self.returns is UNSAID:
            return {}
        try:
            return self._adapter_of_result().json_schema(mode="serialization", schema_generator=_schema_generator())
        except Exception as error:  # as above
            raise self._refuse_result(error) from error

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments as the body gets them. Raises ArgumentError with every problem in it.

        Defaults are left to Python: the function of this very run holds them, and nobody else's run has changed them.
        """
        from pydantic import ValidationError

        given = {n: v for n, v in arguments.items() if not (v is None and n in self._null_means_absent)}
        if "_" in given and "_" not in self._names:
            del given["_"]  # VS Code adds it to calls without arguments
        try:
            values = self._arguments.validate_python(given)
        except ValidationError as error:
            found = error.errors(include_url=False)
            raise ArgumentError("; ".join(complaints.sentences(found, given, self.input_schema))) from None
        return self._laid_out(given, values)

    def dump(self, value: Any, max_bytes: int) -> str:
        """The result as JSON text. Raises ResultMismatch, ResultNotJson, ResultTooLarge."""
        return result.dump(value, self.returns, self._result, max_bytes)

    def _laid_out(self, given: Mapping[str, Any], values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        present = [name for name in self._positional if name in given or name in self._filled_in]
        last = self._positional.index(present[-1]) + 1 if present else 0
        positional = [values.pop(name) for name in self._positional[:last]]
        left_out = set(self._positional[last:])
        keyword = {n: v for n, v in values.items() if (n in given or n in self._filled_in) and n not in left_out}
        return positional, keyword

    def _adapter_of_arguments(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        try:
            return TypeAdapter(_stub(self._parameters))
        except Exception as error:  # types bring code of their own into this; `_blame` finds whose it was
            raise self._blame(error) from error

    def _adapter_of_result(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        if self.returns is UNSAID:
            return _any_adapter()
        try:
            return TypeAdapter(self.returns)
        except Exception as error:  # as above
            raise self._refuse_result(error) from error

    def _blame(self, error: Exception) -> SchemaError:
        """The parameter whose annotation it was."""
        from pydantic import TypeAdapter

        for parameter in self._parameters:
            try:
                TypeAdapter(_stub([parameter])).json_schema()
            except Exception as its_error:  # one by one, to name the one at fault
                return SchemaError(
                    f"parameter `{parameter.name}`: its annotation {shown(parameter.annotation)} has no JSON schema: "
                    f"{_first_line(its_error)}", line=self.line, hint=_TYPES_HINT,
                )  # fmt: skip
        return SchemaError(
            f"the parameters of run have no JSON schema: {_first_line(error)}", line=self.line, hint=_TYPES_HINT
        )

    def _refuse_result(self, error: Exception) -> SchemaError:
        message = f"the return annotation {shown(self.returns)} has no JSON schema: {_first_line(error)}"
        return SchemaError(message, line=self.line, hint=_TYPES_HINT)


_TYPES_HINT: Final = (
    "Use JSON-like types: str, int, float, bool, list, dict, Literal, Enum, TypedDict, dataclasses or pydantic models."
)


def read(run: Any, namespace: Mapping[str, Any], own_modules: Collection[str] = ()) -> Signature:
    """The signature of `run`, whose module's globals are `namespace`. Raises SchemaError."""
    function = function_of(run)
    line = line_of(function)
    try:
        declared = list(inspect.signature(run).parameters.values())
    except (ValueError, TypeError) as error:
        raise SchemaError(
            f"the parameters of run cannot be read: {error}", hint="Define it with `def run(...)`."
        ) from error
    hints = resolve(function, namespace)
    _refuse_reserved(declared, line)
    parameters = [
        p.replace(annotation=hints.get(p.name, Any)) for p in declared if p.kind is not Parameter.VAR_POSITIONAL
    ]
    doc = inspect.getdoc(function) or namespace.get("__doc__") or ""
    returns = hints.get("return", UNSAID)
    signature = Signature(function, parameters, returns, tuple(_remarks(declared, hints, line)), doc)
    signature.lasting = is_lasting(returns, own_modules) and all(_parameter_lasts(p, own_modules) for p in parameters)
    return signature


def _refuse_reserved(parameters: list[Parameter], line: int | None) -> None:
    for parameter in parameters:
        if parameter.name == "session_id":
            raise SchemaError(
                "the parameter name `session_id` is reserved: callers choose the session with it", line=line,
                hint="Rename it; the session's data is in session_state.",
            )  # fmt: skip
        if parameter.name in _INJECTED and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            message = (
                f"the parameter name `{parameter.name}` is reserved for what Repertoire itself gives to a workflow"
            )
            raise SchemaError(message, line=line, hint="Rename the parameter.")


def _remarks(parameters: list[Parameter], hints: Mapping[str, Any], line: int | None) -> list[Remark]:
    remarks = []
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is Parameter.VAR_POSITIONAL:
            message = f"`*{name}` is ignored: a tool's arguments have names"
            remarks.append(Remark("ignored_parameter", message, line, hint=f"Take a list: `{name}: list[str]`."))
        elif name not in hints and parameter.kind is not Parameter.VAR_KEYWORD:
            message = f"parameter `{name}` has no type: callers are not told what it wants"
            remarks.append(Remark("untyped_parameter", message, line, hint=f"Annotate it, for example `{name}: str`."))
    return remarks


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


def _parameter_lasts(parameter: Parameter, own_modules: Collection[str]) -> bool:
    return is_lasting(parameter.annotation, own_modules) and not _is_field(parameter.default)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


@cache
def _any_adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(Any)


@cache
def _schema_generator() -> type[GenerateJsonSchema]:
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
