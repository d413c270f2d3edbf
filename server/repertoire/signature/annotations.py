"""Annotations: resolves the annotations of `run` to types, and tells if these types outlive one run. Used by `schema` and `payload`.

`resolve` finds the types, `result_annotation` turns a generator's annotation into the type of its result, and `is_lasting` decides
if a Signature with this type may serve later runs.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

from ..values.refusals import SchemaError

UNSAID: Final = inspect.Parameter.empty

_NUMPY: Final[dict[str, Any]] = {
    "ndarray": list,
    "integer": int,
    "floating": float,
    "bool": bool,
    "bool_": bool,
    "str_": str,
}
_ITERATORS: Final = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator)
_ITERABLES: Final = (abc.Iterable, abc.AsyncIterable)


def function_of(run: Any) -> Any:
    """The function that carries the annotations. `run` may be wrapped, a partial, or an object with `__call__`."""
    while isinstance(run, partial):
        run = run.func
    run = inspect.unwrap(run)
    if hasattr(run, "__code__") or not callable(run):
        return run
    return vars(type(run)).get("__call__", run)


def line_of(function: Any) -> int | None:
    code = getattr(function, "__code__", None)
    return None if code is None else code.co_firstlineno


def resolve(function: Any, namespace: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """All annotations as types, except those of the parameters `without`. Raises SchemaError that names the first unresolved one."""
    names = names_around(function, namespace)
    if without:
        function = _only(function, {n: a for n, a in annotations_of(function).items() if n not in without})
    try:
        return typing.get_type_hints(function, globalns=names, include_extras=True)
    except Exception as error:  # an annotation is the author's expression: it may raise anything
        raise _resolve_error(function, names, error) from error


def annotation_of(function: Any, name: str, namespace: Mapping[str, Any]) -> Any:
    """One parameter's annotation as a type. UNSAID if there is none; the source text if it does not resolve."""
    written = annotations_of(function).get(name, UNSAID)
    if not isinstance(written, str):
        return written
    try:
        hints = typing.get_type_hints(_only(function, {name: written}), names_around(function, namespace), None, True)
    except Exception:  # the author's expression; often a name that is imported for type checkers only
        return written
    return hints[name]


def annotations_of(function: Any) -> dict[str, Any]:
    return getattr(function, "__annotations__", None) or {}


def names_around(function: Any, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The globals in which the annotations are evaluated."""
    return {**namespace, **getattr(function, "__globals__", {})}


def _only(function: Any, annotations: dict[str, Any]) -> Any:
    """A stand-in for the function with only these annotations, for get_type_hints."""
    code, parameters = getattr(function, "__code__", None), getattr(function, "__type_params__", ())
    return types.SimpleNamespace(__annotations__=annotations, __type_params__=parameters, __code__=code)


def _resolve_error(function: Any, names: dict[str, Any], error: Exception) -> SchemaError:
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            typing.get_type_hints(types.SimpleNamespace(__annotations__={name: annotation}), globalns=names)
        except Exception as its_error:  # any, as in `resolve`; one by one, to name the annotation at fault
            what = "the return annotation" if name == "return" else f"parameter `{name}`: its annotation"
            return SchemaError(
                f"{what} {show_annotation(annotation)} cannot be resolved: {its_error}",
                line=line_of(function),
                hint="Import or define the type at the top of the module, outside `if TYPE_CHECKING`.",
            )
    return SchemaError(f"the annotations of run cannot be resolved: {error}", line=line_of(function))


def show_annotation(annotation: Any) -> str:
    """An annotation for a message, close to its source text, cut at 100 characters."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return f"`{text if len(text) <= 100 else text[:97] + '...'}`"


def result_annotation(annotation: Any, *, is_generator: bool) -> tuple[Any, bool]:
    """The type of the result. True: it is a generator's return value; False: for a generator, the list of its items."""
    annotation = _json_type(_awaited_type(annotation))
    origin = typing.get_origin(annotation) or annotation
    if origin not in _ITERATORS and not (is_generator and origin in _ITERABLES):
        return annotation, False
    given = typing.get_args(annotation)
    if origin is abc.Generator and len(given) == 3 and given[2] not in (None, type(None)):
        return given[2], given[2] is not Any
    return types.GenericAlias(list, (given[0] if given else Any,)), False


def _awaited_type(annotation: Any) -> Any:
    origin, given = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (abc.Awaitable, abc.Coroutine) and given:
        return given[-1]
    return annotation


def _json_type(annotation: Any) -> Any:
    """For numpy's arrays and scalars the Python type of their JSON form. Any other annotation stays."""
    kind = typing.get_origin(annotation) or annotation
    if not (isinstance(kind, type) and kind.__module__ == "numpy"):
        return annotation
    bases = {base.__name__ for base in kind.__mro__}
    return next((plain for name, plain in _NUMPY.items() if name in bases), annotation)


def is_lasting(annotation: Any, own_modules: Collection[str]) -> bool:
    """True if a type is the same object in the next run: no part of it comes from the workflow's own modules.

    When in doubt, False. A wrong False costs a millisecond per run. A wrong True lets one run's globals reach another run.
    """
    if annotation is None or annotation is Any or annotation is UNSAID:
        return True
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return is_lasting(annotation.__origin__, own_modules) and all(map(_is_plain_extra, annotation.__metadata__))
    if origin is Literal:
        return all(is_lasting(type(choice), own_modules) for choice in typing.get_args(annotation))
    if origin is not None:
        parts = [part for part in typing.get_args(annotation) if part is not Ellipsis]
        return is_lasting(origin, own_modules) and all(is_lasting(part, own_modules) for part in parts)
    if isinstance(annotation, type):
        return _is_importable(annotation, own_modules)
    return type(annotation).__module__ == "typing" and getattr(annotation, "__module__", "") == "typing"


def _is_importable(cls: type, own_modules: Collection[str]) -> bool:
    """True if the class's module holds it under its name. False for a class that a factory made at load time."""
    generic = getattr(cls, "__pydantic_generic_metadata__", None)
    if generic and generic["args"]:
        return False
    if cls.__module__ in own_modules:
        return False
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is cls or cls in (types.UnionType, types.NoneType)


def _is_plain_extra(extra: Any) -> bool:
    """True for metadata of Annotated that holds no function of the author's."""
    if isinstance(extra, str | int | float | bool | None):
        return True
    kind = type(extra)
    if kind.__module__ == "annotated_types":
        return kind.__name__ in ("Gt", "Ge", "Lt", "Le", "Interval", "MultipleOf", "MinLen", "MaxLen", "Len")
    if kind.__module__ == "pydantic.types":
        return kind.__name__ in ("Strict", "StringConstraints")
    if kind.__module__ == "pydantic.fields" and kind.__name__ == "FieldInfo":
        simple = extra.default_factory is None and not callable(extra.json_schema_extra) and extra.discriminator is None
        return bool(simple and all(map(_is_plain_extra, extra.metadata)))
    if kind.__module__ == "pydantic._internal._fields" and kind.__name__ == "PydanticGeneralMetadata":
        return all(map(_is_plain_extra, vars(extra).values()))
    return False
