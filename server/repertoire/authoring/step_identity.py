"""Step identity: tells one step from another, so that replay notices a body that takes another step. Used by `steps` and the worker.

The identity has two parts:
1. The function: its module and qualified name. For a lambda also a hash of its code, because lambdas of one function share a name.
2. The arguments, with those that a partial holds. For a bound method also the object's type, and its value if the object cannot change.
"""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, NamedTuple


class StepIdentity(NamedTuple):
    """The identity of a step. `label` is its name for people. `former` are the name and arguments in journals of earlier versions."""

    label: str
    name: str
    args: Any
    former: tuple[str, Any]


def identity(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, is_method: bool = False
) -> StepIdentity:
    """The identity of a call of `function`. `is_method`: it is a decorated method, which former journals call "partial"."""
    former = "partial" if is_method else _name(function), [list(args), kwargs]
    bound = []
    while isinstance(function, functools.partial):
        args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
        function = function.func
    if isinstance(function, types.MethodType):
        bound.append(_describe_object(function.__self__))
        function = function.__func__
    label = _name(function)
    given: list[Any] = [list(args), kwargs]
    if bound:
        given.append(bound)
    module = getattr(function, "__module__", None) or type(function).__module__
    return StepIdentity(label, f"{module}.{label}{_lambda_suffix(function)}", given, former)


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__).replace("<locals>.", "")


def _describe_object(one: Any) -> Any:
    kind = one if isinstance(one, type) else type(one)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return [name, one] if _cannot_change(one) else [name]


def _cannot_change(one: Any) -> bool:
    if isinstance(one, tuple | Enum | str | int | float | bytes):
        return True
    if is_dataclass(one) and not isinstance(one, type):
        return bool(one.__dataclass_params__.frozen)  # type: ignore[attr-defined]  # every dataclass has them
    settings = getattr(type(one), "model_config", None)
    return isinstance(settings, dict) and bool(settings.get("frozen"))


def _lambda_suffix(function: Any) -> str:
    """A hash of a lambda's code; "" for any other function."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return ""
    return f"#{hashlib.sha256(_text(code).encode('utf-8', 'backslashreplace')).hexdigest()[:12]}"


def _text(code: types.CodeType) -> str:
    constants = [_text(one) if isinstance(one, types.CodeType) else _constant(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_freevars, code.co_argcount, constants))


def _constant(one: Any) -> str:
    return repr(sorted(map(repr, one))) if isinstance(one, frozenset) else repr(one)
