"""A class workflow as an entry of its module: made anew for each run, driven to its end, its doors those of the run's host.

The class itself does not notice: `drive` is the same code as in a user's script. Its state is `session_state` of `ambient`, which the
host has filled before and stores afterwards.
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
        """What the body takes. The result is what the response holds, of which no annotation says anything. Raises SchemaError."""
        signature = read(self.run, namespace, own_modules, returns=UNSAID)
        instance = self._first_made(signature.line)
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

    def _first_made(self, line: int | None) -> Workflow:
        """Tried once before it is published: that it cannot be made should be said to its author, not to each caller."""
        name = self._kind.__name__
        if missing := sorted(getattr(self._kind, "__abstractmethods__", ())):
            raise SchemaError(
                f"{name} is abstract: it has no body for {', '.join(missing)}", line=line,
                hint="Write that body; or begin the class's name with _ if it is only a base of others.",
            )  # fmt: skip
        try:
            return self._kind()
        except Exception as error:  # the author's __init__
            if isinstance(error, TypeError) and not _takes_nothing(self._kind):
                raise SchemaError(
                    f"{name} cannot be made without arguments: {error}", line=line,
                    hint="Give every parameter of its __init__ a default, and take what differs between runs as parameters of run().",
                ) from error  # fmt: skip
            raise ConstructorFailed(
                f"{name} cannot be made: its __init__ raised {type(error).__name__}: {error}", line=line,
                hint="Correct it; what needs a key, a file or the network belongs into run().",
            ) from error  # fmt: skip

    def _perform(self, info: RunInfo, /, *args: Any, **kwargs: Any) -> Any:
        """One run, to its end. What it gives on the way goes through the doors; its result is the whole content.

        Of a body that is written async it is an awaitable: the host's loop is to run it, which knows the run's tasks.
        """
        doors = HostDoors(info)
        with _serving(doors):
            made = self._kind()
            value = (made.arun if self._is_awaited else made.run)(*args, **kwargs)
            if inspect.isawaitable(value) or inspect.isasyncgen(value):
                return _awaited(value, doors)
            if isinstance(value, Iterator):
                _exhaust(value)
        return doors.content


async def _awaited(value: Any, doors: HostDoors) -> Any:
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
    """The run itself gets these doors; runs that its body starts are what they are in a script."""
    return serving(lambda workflow, parent: doors if parent is None else None)


def _takes_nothing(kind: type[Workflow]) -> bool:
    try:
        inspect.signature(kind.__init__).bind(kind)
    except TypeError:
        return False
    return True


class HostDoors:
    """RunDoors of one run that a host has begun: its ids, its state, its way to tell.

    A stream that holds no RunResponse and no event, only values of the author's own, has the list of them as its result, as it
    would in the other styles.
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
            self._info.run_id, self._info.session_id, self._info.workflow_name,
            state if self._info.has_state else dict(state), self._defaults,
        )  # fmt: skip

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        ambient.emit(type, data)
        if type == "item" and "event" not in data:
            hint = "Yield fewer, larger items, or RunResponse(content=...) with text, which is added up."
            check_room(len(self._own), self._info.max_items, hint)
            self._own.append(data["value"])

    def replace_state(self, state: dict[str, Any], /) -> None:
        """The body has given itself another dict: that is stored and brought up to date now."""
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
        if state is not ambient.session_state:  # the body gave itself another dict
            kept = dict(state)
            ambient.session_state.clear()
            ambient.session_state.update(kept)
        self._keep_aside(defaults)

    def _keep_aside(self, defaults: frozenset[str]) -> None:
        if self._info.has_state and defaults:
            ambient.aside[DEFAULTS_KEY] = sorted(defaults)
