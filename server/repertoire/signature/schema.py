"""Schema: `read` turns a `run` into a `Signature`, which gives its JSON Schemas and checks arguments and results by the same types.

A Signature holds no reference to the function. So it can serve later runs if all its types outlive one run (`lasting`).
Used by the worker's entries; not for the names of tools or their texts.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from functools import cache, cached_property
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from ..authoring.unavailable import BY_NAME
from ..values.refusals import SchemaError
from ..values.result_json import ResultAdapter
from . import payload, result
from .annotations import (
    UNSAID,
    annotation_of,
    function_of,
    is_lasting,
    line_of,
    resolve,
    result_annotation,
    show_annotation,
)
from .arguments import TYPES_HINT, Arguments, Parameters
from .fast_adapters import ForResults, plain_adapter, plain_schema
from .schema_generator import NotJson, as_text, first_line, schema_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CONTEXT_NAME: Final = "ctx"
"""A parameter with this name gets the Context, at any position."""

_INJECTED: Final = frozenset({CONTEXT_NAME, *BY_NAME})
_UNTYPED: Final = (UNSAID, Any, dict, Mapping)


class Remark(NamedTuple):
    """A warning for the author. It does not stop the workflow."""

    rule: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class Signature:
    """The arguments and the result of one `run`. Made by `read`.

    `injected` names the parameters that Repertoire fills itself; they are in no schema.
    """

    def __init__(
        self, function: Any, arguments: Arguments, returns: Any, notes: tuple[Remark, ...], injected: tuple[str, ...]
    ) -> None:
        is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        self.notes = notes
        self.injected = injected
        self.line = line_of(function)
        self.returns, self.gives_return_value = result_annotation(returns, is_generator=is_generator)
        self.lasting = False
        self.arguments = arguments
        self._result: ForResults = plain_adapter(self.returns) or ResultAdapter(self._adapter_of_result())

    @property
    def input_schema(self) -> dict[str, Any]:
        """An object schema of the caller's arguments, with its definitions in its root."""
        return self.arguments.schema

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The schema of the result; empty if `run` has no return annotation."""
        if self.returns is UNSAID:
            return {}
        try:
            return schema_of(self._adapter_of_result(), "serialization")
        except Exception as error:  # a type's own code may raise anything
            raise self._refuse_result(error) from error

    def schema_texts(self) -> tuple[str, str]:
        """Both schemas as JSON. Raises SchemaError if one has no JSON form."""
        try:
            return as_text(self.input_schema, "parameters"), as_text(self.output_schema, "result")
        except NotJson as error:
            raise SchemaError(str(error), line=self.line, hint=TYPES_HINT) from None

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for the body; a payload is the only positional one.

        Raises ArgumentError that names every problem.
        """
        return self.arguments.bind(arguments)

    def dump(self, value: Any, max_bytes: int) -> str:
        """The result as JSON text. Raises ResultMismatch, ResultNotJson, ResultTooLarge."""
        return result.dump(value, self.returns, self._result, max_bytes)

    def _adapter_of_result(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        if self.returns is UNSAID:
            return _any_adapter()
        try:
            return TypeAdapter(self.returns)
        except Exception as error:  # as in `output_schema`
            raise self._refuse_result(error) from error

    def _refuse_result(self, error: Exception) -> SchemaError:
        message = f"the return annotation {show_annotation(self.returns)} has no JSON schema: {first_line(error)}"
        return SchemaError(message, line=self.line, hint=TYPES_HINT)


def read(
    run: Any,
    namespace: Mapping[str, Any],
    own_modules: Collection[str] = (),
    *,
    context: str | None = None,
    returns: Any = None,
) -> Signature:
    """The signature of `run`, whose module's globals are `namespace`. Raises SchemaError.

    `context` names the first parameter if that is the Context. The caller then gives its payload, unless parameters follow.
    `returns` replaces the annotation of the result.
    """
    function = function_of(run)
    line = line_of(function)
    try:
        declared = list(inspect.signature(run).parameters.values())
    except (ValueError, TypeError) as error:
        raise SchemaError(
            f"the parameters of run cannot be read: {error}", hint="Define it with `def run(...)`."
        ) from error
    first = declared.pop(0) if context is not None else None
    injected = tuple(p.name for p in declared if _is_injected(p))
    hints = resolve(function, namespace, without=[*injected, *([first.name] if first else [])])
    _refuse_reserved(declared, function, namespace)
    taken = [p for p in declared if p.name not in injected]
    doc = inspect.getdoc(function) or namespace.get("__doc__") or ""
    notes = _remarks(taken, hints, line)
    arguments: Arguments
    sent = [p for p in taken if p.kind is not Parameter.VAR_POSITIONAL]
    kind = None if first is None else _payload_type(function, first, namespace)
    if first is None or (kind is None and sent):
        untyped = [p.name for p in sent if p.name not in hints]
        arguments = Parameters([p.replace(annotation=hints.get(p.name, Any)) for p in sent], line, doc, untyped)
    elif kind is not None:
        _refuse_both(sent, kind, line)
        payload.read_like_a_dict(kind, own_modules)
        arguments = payload.TypedPayload(kind, line, doc)
    else:
        keys = payload.keys_read_by(function, first.name)
        arguments = payload.OpenPayload(keys, line, doc)
        notes.append(_untyped_payload(first.name, [key.name for key in keys], line))
    returns = hints.get("return", UNSAID) if returns is None else returns
    signature = Signature(function, arguments, returns, tuple(notes), injected)
    signature.lasting = is_lasting(returns, own_modules) and arguments.lasts(own_modules)
    return signature


def _payload_type(function: Any, first: Parameter, namespace: Mapping[str, Any]) -> Any:
    """The payload's type from `Context[Model]`, else the module's class `Payload`, else None."""
    annotation = annotation_of(function, first.name, namespace)
    if _is_data(annotation):
        raise _reserved_error(first.name, line_of(function))
    if isinstance(annotation, str) and "[" in annotation:
        raise SchemaError(
            f"parameter `{first.name}`: its annotation {show_annotation(annotation)} cannot be resolved",
            line=line_of(function),
            hint="Import or define the type at the top of the module, outside `if TYPE_CHECKING`.",
        )
    if arguments := get_args(annotation):
        kind = arguments[0]
        return None if kind in _UNTYPED or get_args(kind) == (str, Any) else kind
    return payload.payload_class(namespace)


def _is_injected(parameter: Parameter) -> bool:
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_ONLY)
    return parameter.name in _INJECTED and parameter.kind in by_name


def _refuse_reserved(parameters: list[Parameter], function: Any, namespace: Mapping[str, Any]) -> None:
    """Refuse `session_id`, which the caller sends to choose a session, and a type of data on a name that Repertoire fills."""
    line = line_of(function)
    for parameter in parameters:
        if parameter.name == "session_id":
            raise SchemaError(
                "the parameter name `session_id` is reserved: callers choose the session with it",
                line=line,
                hint="Rename it; the session's data is in session_state.",
            )
        if not _is_injected(parameter):
            continue
        positional_only = parameter.kind is Parameter.POSITIONAL_ONLY
        if positional_only or _is_data(annotation_of(function, parameter.name, namespace)):
            raise _reserved_error(parameter.name, line)


def _is_data(annotation: Any) -> bool:
    """True for a type of data that a caller could send."""
    return annotation not in (UNSAID, Any, None) and plain_schema(annotation) is not None


def _reserved_error(name: str, line: int | None) -> SchemaError:
    message = f"the parameter name `{name}` is reserved for what Repertoire itself gives to a workflow"
    return SchemaError(message, line=line, hint="Rename the parameter.")


def _refuse_both(parameters: list[Parameter], kind: Any, line: int | None) -> None:
    if parameters:
        raise SchemaError(
            f"both the payload's type {show_annotation(kind)} and the parameter `{parameters[0].name}` "
            "say what the caller gives",
            line=line,
            hint="Move the parameters into the type, or take the type away.",
        )


def _remarks(parameters: list[Parameter], hints: Mapping[str, Any], line: int | None) -> list[Remark]:
    remarks = []
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is Parameter.VAR_POSITIONAL:
            message = f"`*{name}` is ignored: a tool's arguments have names"
            remarks.append(Remark("ignored_parameter", message, line, hint=f"Take a list: `{name}: list[str]`."))
        elif name not in hints and parameter.kind is not Parameter.VAR_KEYWORD:
            message = f"parameter `{name}` has no type, so callers do not see the type that it wants"
            remarks.append(Remark("untyped_parameter", message, line, hint=f"Annotate it, for example `{name}: str`."))
    return remarks


def _untyped_payload(context: str, keys: list[str], line: int | None) -> Remark:
    found = ", ".join(f"`{key}`" for key in keys) or "none"
    message = f"`{context}.payload` has no type; its keys in the schema were found in the source: {found}"
    hint = "Define a pydantic model `Payload` in the module: then callers see the types too, and payloads are checked."
    return Remark("untyped_payload", message, line, hint=hint)


@cache
def _any_adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(Any)
