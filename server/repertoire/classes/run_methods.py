"""Run methods: wraps `workflow.run` and `workflow.arun` for their caller, so that each call of the body is one run. Used by `workflow`."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ..authoring import loading
from .body import call as call_body
from .body import kind_of
from .class_run import ClassRun
from .response import empty_answer


def entry(workflow: Any, which: str, body: Any, base: type) -> Any:
    """The callable for `workflow.run` or `workflow.arun` (`which`). It has the signature of the author's method.

    `body` is the method of that name. If the author wrote only the other one, that is called.
    """
    own = {name for name in ("run", "arun") if getattr(type(workflow), name) is not getattr(base, name)}
    if not own:
        return body
    of_async = which == "arun" if which in own else which == "run"
    if which not in own:
        body = object.__getattribute__(workflow, own.pop())

    @functools.wraps(body)
    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = _arguments(workflow, body, args, kwargs)
        if loading.is_skipped(f"{type(workflow).__name__}.{which}"):
            kind = kind_of(body)
            is_async = which == "arun" or (not of_async and kind in ("coroutine", "async generator"))
            return empty_answer(is_stream="generator" in kind, is_async=is_async)

        def act() -> Any:
            return body(*args, **kwargs)

        return call_body(
            lambda blocking: ClassRun(workflow, arguments, blocking=blocking),
            act,
            kind_of(body),
            as_async=which == "arun",
            of_async=of_async,
        )

    return call


def _arguments(workflow: Any, body: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, for the record. Raises TypeError if they do not fit, before a run begins."""
    signature = inspect.signature(body)
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{type(workflow).__name__}.run(): {error}") from None
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and name in bound:
            bound.update(bound.pop(name))
    return dict(bound)
