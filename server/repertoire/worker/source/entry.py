"""Entry: finds the function or class of a module to run, in any style, and binds a caller's arguments to it; used by Process.

To add a style, write another class with the members of Entry and add a case to `find_entry`. The class style is in `class_entry`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final, Literal, Protocol, get_origin

from ...authoring import ambient, unavailable
from ...authoring.context import Context
from ...signature.annotations import annotation_of, annotations_of, function_of
from ...signature.arguments import Parameters
from ...signature.schema import CONTEXT_NAME, Signature, read
from .run_info import DEFAULTS_KEY, RunInfo

Style = Literal["function", "context", "class"]

_CONTEXT_NAMES: Final = frozenset({CONTEXT_NAME, "context"})
_CONTEXT_TYPES: Final = frozenset({"Context", "FlueContext", "PyFlueContext"})
_HANDLERS: Final = ("default", "agent")


class NoRun(Exception):
    """Raised when the module has nothing that can be run."""


Bound = tuple[Callable[..., Any], list[Any], dict[str, Any]]
"""The callable of one run, with its positional and keyword arguments."""


class Entry(Protocol):
    """One way to run a module. Lives for one run, because it holds the module's own function or class."""

    style: Style
    run: Any
    """The callable whose signature and docstring are read."""

    def read(self, namespace: Mapping[str, Any], own_modules: Collection[str]) -> Signature:
        """Its parameters and its result. Raises SchemaError."""

    def bind(self, signature: Signature, info: RunInfo, arguments: Mapping[str, Any]) -> Bound:
        """Check a caller's arguments and prepare one run. Raises ArgumentError with every problem in it."""


class FunctionEntry:
    """`def run(text: str, count: int = 1)`."""

    style: Style = "function"

    def __init__(self, run: Any) -> None:
        self.run = run

    def read(self, namespace: Mapping[str, Any], own_modules: Collection[str]) -> Signature:
        return read(self.run, namespace, own_modules)

    def bind(self, signature: Signature, info: RunInfo, arguments: Mapping[str, Any]) -> Bound:
        positional, keyword = signature.bind(arguments)
        if signature.injected:
            assert isinstance(signature.arguments, Parameters)  # only ContextEntry has payloads of another class
            keyword.update(_injections(signature, info, signature.arguments.by_name(positional, keyword)))
        return _with_clean_state(self.run, info), positional, keyword


class ContextEntry:
    """`def run(ctx)`; `first` is the parameter's name."""

    style: Style = "context"

    def __init__(self, run: Any, first: str) -> None:
        self.run = run
        self._first = first

    def read(self, namespace: Mapping[str, Any], own_modules: Collection[str]) -> Signature:
        return read(self.run, namespace, own_modules, context=self._first)

    def bind(self, signature: Signature, info: RunInfo, arguments: Mapping[str, Any]) -> Bound:
        positional, keyword = signature.bind(arguments)
        if isinstance(signature.arguments, Parameters):
            sent: Any = signature.arguments.by_name(positional, keyword)
        else:
            sent = positional.pop()
        keyword.update(_injections(signature, info, sent))
        return _with_clean_state(self.run, info), [_context(info, sent), *positional], keyword


def _with_clean_state(run: Callable[..., Any], info: RunInfo) -> Callable[..., Any]:
    """The callable, which first removes DEFAULTS_KEY from the state: a class workflow of this name may have left it there earlier."""
    if not info.has_state:
        return run

    def begin(*args: Any, **kwargs: Any) -> Any:
        ambient.session_state.pop(DEFAULTS_KEY, None)
        return run(*args, **kwargs)

    return begin


def find_entry(module: ModuleType, named: str | None = None) -> Entry:
    """The entry of the module: its `run`, or the class or function of this name. Raises NoRun."""
    function = getattr(module, named, None) if named is not None else None
    if named is not None and (function is None or isinstance(function, type)):
        return _class_entry(module, named)
    run = function or getattr(module, "run", None)
    if run is None and (handler := _handler(module)) is not None:
        return handler
    if run is None:
        raise NoRun("the module has no run(...)")
    if not callable(run):
        raise NoRun(f"`{named or 'run'}` is {type(run).__name__}, not a function")
    first = _context_parameter(run, module.__dict__)
    return FunctionEntry(run) if first is None else ContextEntry(run, first)


class HandlerEntry(ContextEntry):
    """`def default(context)`, PyFlue's older form: an agent whose conversation goes on in later runs of the session."""

    def bind(self, signature: Signature, info: RunInfo, arguments: Mapping[str, Any]) -> Bound:
        run, positional, keyword = super().bind(signature, info, arguments)
        positional[0].agent_id = info.session_id
        positional[0]._continues = True
        return run, positional, keyword


def _handler(module: ModuleType) -> Entry | None:
    for name in _HANDLERS:
        handler = getattr(module, name, None)
        if isinstance(handler, FunctionType) and (first := _context_parameter(handler, module.__dict__)) is not None:
            return HandlerEntry(handler, first)
    return None


def _class_entry(module: ModuleType, name: str) -> Entry:
    from ...classes.workflow import Workflow
    from .class_entry import ClassEntry  # the class style is loaded by files that use it

    kind = getattr(module, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Workflow)):
        raise NoRun(
            f"{name} is not a Workflow of Repertoire: its base comes from another package. Is the real agno or buddy preferred?"
        )
    return ClassEntry(kind)


def _context_parameter(run: Any, namespace: Mapping[str, Any]) -> str | None:
    """The name of the first parameter if it is the Context: by its type, or by its name when it has no annotation."""
    if type(run) is FunctionType and not hasattr(
        run, "__wrapped__"
    ):  # nearly always, and faster than inspect.signature
        function: Any = run
        first = run.__code__.co_varnames[0] if run.__code__.co_argcount else None
    else:
        function = function_of(run)
        first = _first_parameter(run)
    if first is None:
        return None
    written = annotations_of(function).get(first)
    if written is None:
        return first if first in _CONTEXT_NAMES else None
    if first == CONTEXT_NAME:
        return first
    if isinstance(written, str) and not re.search(r"Context\b", written):
        return None  # decides most annotations of a module with postponed annotations
    return first if _is_context(annotation_of(function, first, namespace)) else None


def _first_parameter(run: Any) -> str | None:
    try:
        parameters = list(inspect.signature(run).parameters.values())
    except (ValueError, TypeError):  # `read` reports the reason
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return parameters[0].name if parameters and parameters[0].kind in positional else None


def _is_context(annotation: Any) -> bool:
    if isinstance(annotation, str):  # unresolved: its import is for type checkers only
        return annotation.partition("[")[0].rpartition(".")[2].strip() in _CONTEXT_TYPES
    kind = get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return False
    return issubclass(kind, Context) or (
        kind.__name__ in _CONTEXT_TYPES and kind.__module__.partition(".")[0] == "pyflue"
    )


def _context(info: RunInfo, payload: Any) -> Context[Any]:
    return Context(payload, run_id=info.run_id, workflow_name=info.workflow_name, env=info.env)


def _injections(signature: Signature, info: RunInfo, payload: Any) -> dict[str, Any]:
    return {
        name: _context(info, payload) if name == CONTEXT_NAME else unavailable.BY_NAME[name]
        for name in signature.injected
    }
