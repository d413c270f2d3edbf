"""ClassEntry: runs a class workflow as the entry of its module; used by `entry.find_entry`.

It makes a new instance for each run, runs it to its end, and gives it the doors of the run's host (`HostDoors`). The class runs the same
code as in a user's script. Its state is `ambient.session_state`, which the host fills before the run and stores afterwards.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from types import MethodType
from typing import Any, Literal

from ...authoring import ambient
from ...classes import body
from ...classes.run_doors import Opened, Opening, RunEnd, read_state, serving
from ...classes.workflow import Workflow
from ...signature.annotations import UNSAID
from ...signature.result import check_room
from ...signature.schema import Remark, Signature, read
from ...values.refusals import ConstructorFailed, SchemaError
from .run_info import DEFAULTS_KEY, RunInfo


class ClassEntry:
    """`class X(Workflow)` with `run` or `arun` or both."""

    style: Literal["function", "context", "class"] = "class"

    def __init__(self, kind: type[Workflow]) -> None:
        self._kind = kind
        is_run = kind.run is not Workflow.run
        own = kind.run if is_run else kind.arun
        self.run = MethodType(own, object())  # read without `self`
        self._is_awaited = not is_run and body.kind_of(own) != "generator"

    def read(self, namespace: Mapping[str, Any], own_modules: Collection[str]) -> Signature:
        """The body's parameters. No annotation describes the result, which is the response's content. Raises SchemaError."""
        signature = read(self.run, namespace, own_modules, returns=UNSAID)
        instance = self._try_to_make(signature.line)
        if instance.storage is not None:
            message = f"{self._kind.__name__} has a storage: here its state is stored with its runs, and that storage is left alone"
            signature.notes += (Remark("storage_ignored", message, signature.line),)
        return signature

    def bind(
        self, signature: Signature, info: RunInfo, arguments: Mapping[str, Any]
    ) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
        """Raises ArgumentError."""
        positional, keyword = signature.bind(arguments)
        return partial(self._perform, info), positional, keyword

    def _try_to_make(self, line: int | None) -> Workflow:
        """Make an instance once, before publication, so that the author and not each caller learns that its __init__ fails."""
        name = self._kind.__name__
        if missing := sorted(getattr(self._kind, "__abstractmethods__", ())):
            raise SchemaError(
                f"{name} is abstract: it has no body for {', '.join(missing)}",
                line=line,
                hint="Write that body; or begin the class's name with _ if it is only a base of others.",
            )
        try:
            return self._kind()
        except Exception as error:  # the author's __init__
            if isinstance(error, TypeError) and not _needs_no_arguments(self._kind):
                raise SchemaError(
                    f"{name} cannot be made without arguments: {error}",
                    line=line,
                    hint="Give every parameter of its __init__ a default, and take what differs between runs as parameters of run().",
                ) from error
            raise ConstructorFailed(
                f"{name} cannot be made: its __init__ raised {type(error).__name__}: {error}",
                line=line,
                hint="Correct it; what needs a key, a file or the network belongs into run().",
            ) from error

    def _perform(self, info: RunInfo, /, *args: Any, **kwargs: Any) -> Any:
        """Run the body to its end. Its items and texts go through the doors; the result is the whole content.

        An async body gives an awaitable, which the host's event loop runs: that loop knows the run's tasks.
        """
        doors = HostDoors(info)
        with _serving(doors):
            made = self._kind()
            value = (made.arun if self._is_awaited else made.run)(*args, **kwargs)
            if inspect.isawaitable(value) or inspect.isasyncgen(value):
                return _run_async(value, doors)
            if isinstance(value, Iterator):
                _exhaust(value)
        return doors.content


async def _run_async(value: Any, doors: HostDoors) -> Any:
    with _serving(doors):
        if inspect.isawaitable(value):
            value = await value
        if inspect.isasyncgen(value):
            async for _ in value:
                pass
        elif isinstance(value, Iterator):
            _exhaust(value)
    return doors.content


def _exhaust(items: Iterator[Any]) -> None:
    for _ in items:
        pass


def _serving(doors: HostDoors) -> AbstractContextManager[None]:
    """Give these doors to the run itself. Runs that its body starts behave as in a script."""
    return serving(lambda workflow, parent: doors if parent is None else None)


def _needs_no_arguments(kind: type[Workflow]) -> bool:
    try:
        inspect.signature(kind.__init__).bind(kind)
    except TypeError:
        return False
    return True


class HostDoors:
    """Implements RunDoors for a run that a host has started: its ids, its state, its events.

    A stream may hold only values of the author's own, without a RunResponse or an event. Its result is then the list of these values, as
    in the other styles.
    """

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._defaults: frozenset[str] = frozenset()
        self._own: list[Any] = []
        self.content: Any = None

    def start(self, opening: Opening, /) -> Opened:
        state = ambient.session_state
        self._defaults = frozenset(state.pop(DEFAULTS_KEY, ()))
        self._keep_aside(self._defaults)
        return Opened(
            self._info.run_id,
            self._info.session_id,
            self._info.workflow_name,
            state if self._info.has_state else dict(state),
            self._defaults,
        )

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        ambient.emit(type, data)
        if type == "item" and "event" not in data:
            hint = "Yield fewer, larger items, or RunResponse(content=...) with text, which is added up."
            check_room(len(self._own), self._info.max_items, hint)
            self._own.append(data["value"])

    def replace_state(self, state: dict[str, Any], /) -> None:
        """The body has assigned another dict to its session_state: store that one from now on."""
        if self._info.has_state:
            ambient.replace(state)

    def commit(self, state: dict[str, Any], /) -> None:
        self._put(state, self._defaults)
        ambient.commit_state()

    def finish(self, end: RunEnd, /) -> None:
        self.content = end.content if end.content is not None or not self._own else self._own
        if end.state is not None:
            self._put(read_state(end.state), end.defaults)

    def _put(self, state: dict[str, Any], defaults: frozenset[str]) -> None:
        if not self._info.has_state:
            return
        if state is not ambient.session_state:  # the body has assigned another dict
            kept = dict(state)
            ambient.session_state.clear()
            ambient.session_state.update(kept)
        self._keep_aside(defaults)

    def _keep_aside(self, defaults: frozenset[str]) -> None:
        if self._info.has_state and defaults:
            ambient.aside[DEFAULTS_KEY] = sorted(defaults)
