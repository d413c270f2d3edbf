"""A class workflow as an entry of its module: made anew for each run, driven to its end, its doors those of the run's host.

The class itself does not notice: `drive` is the same code as in a user's script. Its state is `session_state` of `ambient`, which the
host has filled before and stores afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from types import MethodType
from typing import Any, Final, Literal

from . import ambient
from .hints import UNSAID
from .refusals import SchemaError
from .run_info import RunInfo
from .runs import Opened, Opening, RunEnd, serving
from .schema import Remark, Signature, read
from .workflow import Workflow

_DEFAULTS_KEY: Final = "__defaults__"
"""Where a stored state keeps which constructor defaults it has been given: one that was deleted since stays deleted."""


class ClassEntry:
    """`class X(Workflow)` with `run` or `arun` or both."""

    style: Literal["function", "context", "class"] = "class"

    def __init__(self, kind: type[Workflow]) -> None:
        self._kind = kind
        own = kind.run if kind.run is not Workflow.run else kind.arun
        self.run = MethodType(own, object())  # read without `self`

    def read(self, namespace: Mapping[str, Any], own_modules: Collection[str]) -> Signature:
        """What the body takes. The result is what the response holds, of which no annotation says anything. Raises SchemaError."""
        signature = read(self.run, namespace, own_modules, returns=UNSAID)
        instance = self._made(signature.line)
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

    def _made(self, line: int | None) -> Workflow:
        try:
            return self._kind()
        except TypeError as error:
            raise SchemaError(
                f"{self._kind.__name__} cannot be made without arguments: {error}", line=line,
                hint="Give every parameter of its __init__ a default, and take what differs between runs as parameters of run().",
            ) from error  # fmt: skip

    def _perform(self, info: RunInfo, /, *args: Any, **kwargs: Any) -> Any:
        """One run, to its end. What it gives on the way goes through the doors; its result is the whole content."""
        doors = HostDoors(info)
        with serving(lambda workflow, parent: doors if parent is None else None):
            value = self._made(None).run(*args, **kwargs)
            if isinstance(value, Iterator):
                for _ in value:
                    pass
        return doors.content


class HostDoors:
    """RunDoors of one run that a host has begun: its ids, its state, its way to tell."""

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._defaults: frozenset[str] = frozenset()
        self.content: Any = None

    def start(self, opening: Opening, /) -> Opened:
        state = ambient.session_state
        self._defaults = frozenset(state.pop(_DEFAULTS_KEY, ()))
        return Opened(
            self._info.run_id, self._info.session_id, self._info.workflow_name,
            state if self._info.has_state else dict(state), self._defaults,
        )  # fmt: skip

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        ambient.emit(type, data)

    def commit(self, state: dict[str, Any], /) -> None:
        self._put(state, self._defaults)
        ambient.commit_state()
        ambient.session_state.pop(_DEFAULTS_KEY, None)

    def finish(self, end: RunEnd, /) -> None:
        self.content = end.content
        if end.state is not None:
            self._put(end.state, end.defaults)

    def _put(self, state: dict[str, Any], defaults: frozenset[str]) -> None:
        if not self._info.has_state:
            return
        if state is not ambient.session_state:  # the body gave itself another dict
            kept = dict(state)
            ambient.session_state.clear()
            ambient.session_state.update(kept)
        if defaults:
            ambient.session_state[_DEFAULTS_KEY] = sorted(defaults)
