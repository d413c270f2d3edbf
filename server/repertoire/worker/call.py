"""Calling a `run` of any kind: function, coroutine function, generator, async generator, or a function that returns one of their objects."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final, TypeVarTuple

from ..authoring.refusals import TooManyItems

MAX_ITEMS: Final = 10_000
"""Items that a generator's result may hold."""

_Args = TypeVarTuple("_Args")


class Call:
    """One call. `on_item` hears of each item as it comes; `wants_return` says that only the return value is the result."""

    def __init__(self, on_item: Callable[[Any], None], *, wants_return: bool) -> None:
        self._on_item = on_item
        self._wants_return = wants_return
        self._items: list[Any] = []

    def __call__(self, run: Callable[..., Any], positional: list[Any], keyword: dict[str, Any]) -> Any:
        value = run(*positional, **keyword)
        if inspect.isgenerator(value):
            return self._drain(value)
        if inspect.isasyncgen(value) or inspect.isawaitable(value):
            with asyncio.Runner(loop_factory=_Loop) as runner:
                return runner.run(self._await(value))
        return value

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
        return self._items

    def _take(self, item: Any) -> None:
        self._on_item(item)
        if self._wants_return:
            return
        if len(self._items) >= MAX_ITEMS:
            raise TooManyItems(
                f"run() yielded more than {MAX_ITEMS} items",
                hint="Yield fewer, larger items, or return a value and annotate Generator[T, None, R].",
            )
        self._items.append(item)

    def _result(self, returned: Any) -> Any:
        return returned if returned is not None or self._wants_return else self._items


class _Loop(asyncio.SelectorEventLoop):
    """Does not wait at its end for calls still running in threads: the body has given its result, so the caller gets it."""

    _threads: Executor | None = None

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Args], Any], *args: *_Args
    ) -> asyncio.Future[Any]:
        if executor is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(thread_name_prefix="asyncio")
            executor = self._threads
        return super().run_in_executor(executor, func, *args)

    def set_default_executor(self, executor: Any) -> None:
        self._threads = executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
