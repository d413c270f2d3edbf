"""Which step a step is, so that a body that is begun again and takes another one is noticed. Used by `steps` and the worker.

Its function's module and qualified name, of a lambda also what it does; what it is given, with what a partial holds and what a method
is bound to: that object's type, and its value where it cannot change.
"""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, NamedTuple


class Identity(NamedTuple):
    """`label` says for people what it is. `former` are name and arguments as journals of earlier versions have them."""

    label: str
    name: str
    args: Any
    former: tuple[str, Any]


def identity(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, is_method: bool = False
) -> Identity:
    """`is_method`: of a class that decorates it. Journals had no name for those."""
    former = "partial" if is_method else _name(function), [list(args), kwargs]
    bound = []
    while isinstance(function, functools.partial):
        args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
        function = function.func
    if isinstance(function, types.MethodType):
        bound.append(_told_of(function.__self__))
        function = function.__func__
    label = _name(function)
    given: list[Any] = [list(args), kwargs]
    if bound:
        given.append(bound)
    module = getattr(function, "__module__", None) or type(function).__module__
    return Identity(label, f"{module}.{label}{_doing(function)}", given, former)


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__).replace("<locals>.", "")


def _told_of(one: Any) -> Any:
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


def _doing(function: Any) -> str:
    """Lambdas of one function have one name."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return ""
    return f"#{hashlib.sha256(_text(code).encode('utf-8', 'backslashreplace')).hexdigest()[:12]}"


def _text(code: types.CodeType) -> str:
    constants = [_text(one) if isinstance(one, types.CodeType) else _constant(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_freevars, code.co_argcount, constants))


def _constant(one: Any) -> str:
    return repr(sorted(map(repr, one))) if isinstance(one, frozenset) else repr(one)
