"""Invocation: calls a `run` of any kind and collects its result; used by Process.

A `run` may be a function, a coroutine function, a generator, an async generator, or a function that returns an object of these kinds.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

from ..authoring import ambient
from ..authoring.doors import EventType
from ..signature.result import check_room
from .replay.event_loop import Loop

if TYPE_CHECKING:
    from ..classes.response import StreamContent

Emit = Callable[[EventType, dict[str, Any]], None]


class Invocation:
    """One call. Calls `emit` with each item when it is yielded. Raises what the platform has refused, even if the body has caught it.

    With `wants_return`, only the return value is the result; otherwise it is the list of the yielded items, `max_items` at most.
    A RunResponse or an event of the class style means the same in every style: its text is streamed and added up.
    """

    def __init__(self, emit: Emit, *, wants_return: bool, max_items: int) -> None:
        self._max_items = max_items
        self._emit = emit
        self._wants_return = wants_return
        self._items: list[Any] = []
        self._gathered: StreamContent | None = None

    def __call__(self, run: Callable[..., Any], positional: list[Any], keyword: dict[str, Any]) -> Any:
        result = self._result_of(run(*positional, **keyword))
        ambient.check_refusal()
        return result

    def _result_of(self, value: Any) -> Any:
        if inspect.isgenerator(value):
            return self._drain(value)
        if inspect.isasyncgen(value) or inspect.isawaitable(value):
            with asyncio.Runner(loop_factory=Loop) as runner:
                value, error = runner.run(self._outcome(value))
            if error is not None:
                raise error
        return _content_of(value)

    async def _outcome(self, value: Any) -> tuple[Any, BaseException | None]:
        """The value or the error. A task that held the error would make asyncio print it, which calls the author's code."""
        try:
            return await self._await(value), None
        except BaseException as error:
            return None, error

    async def _await(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            value = await value
        if inspect.isasyncgen(value):
            return await self._drain_async(value)
        return self._drain(value) if inspect.isgenerator(value) else value

    def _drain(self, generator: Generator[Any, Any, Any]) -> Any:
        while True:
            try:
                item = next(generator)
            except StopIteration as end:
                return self._result(end.value)
            self._take(item)

    async def _drain_async(self, generator: AsyncGenerator[Any, Any]) -> Any:
        async for item in generator:
            self._take(item)
        return self._result(None)

    def _take(self, item: Any) -> None:
        if (response := _response_style(item)) is not None:
            self._gathered = self._gathered or response.StreamContent()
            event, content = response.event_name(item), item.content
            if self._gathered.take(event, content) and not item.is_told:
                kind: EventType = "text" if isinstance(content, str) else "item"
                self._emit(kind, {"text" if kind == "text" else "value": content, "event": event})
            return
        self._emit("item", {"value": item})
        if self._wants_return:
            return
        check_room(
            len(self._items),
            self._max_items,
            "Yield fewer, larger items, or return a value and annotate Generator[T, None, R].",
        )
        self._items.append(item)

    def _result(self, returned: Any) -> Any:
        if returned is not None or self._wants_return:
            return _content_of(returned)
        return self._items if self._gathered is None else self._gathered.content()[0]


def _response_style(value: Any) -> Any:
    """The module of RunResponse, if the value is a RunResponse or an event. None also when the body has not imported that module."""
    module = sys.modules.get("repertoire.classes.response")
    if module is None or all(kind.__module__ != module.__name__ for kind in type(value).__mro__):
        return None
    return module if module.is_event(value) else None


def _content_of(value: Any) -> Any:
    return value if _response_style(value) is None else value.content
