"""What `workflow.run` and `workflow.arun` are to their caller: the body's signature, and a run around each call."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from .body import call as call_body
from .body import kind_of
from .class_run import Run


def entry(workflow: Any, which: str, body: Any, base: type) -> Any:
    """`body` is the method called `which`; when only its twin is written, that is called as this one would be."""
    own = {name for name in ("run", "arun") if getattr(type(workflow), name) is not getattr(base, name)}
    if not own:
        return body
    of_async = which == "arun" if which in own else which == "run"
    if which not in own:
        body = object.__getattribute__(workflow, own.pop())

    @functools.wraps(body)
    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = _arguments(workflow, body, args, kwargs)

        def act() -> Any:
            return body(*args, **kwargs)

        return call_body(
            lambda blocking: Run(workflow, arguments, blocking=blocking), act, kind_of(body),
            as_async=which == "arun", of_async=of_async,
        )  # fmt: skip

    return call


def _arguments(workflow: Any, body: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """By name, as they are recorded. Raises TypeError when they do not fit: no run has begun then."""
    signature = inspect.signature(body)
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{type(workflow).__name__}.run(): {error}") from None
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and name in bound:
            bound.update(bound.pop(name))
    return dict(bound)
