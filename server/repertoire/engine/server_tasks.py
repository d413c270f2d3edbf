"""Server tasks: runs work that its caller must not break off; used by Runner and Waits.

A claim and the step that follows it are one thing. If a client goes away between the two, the run is claimed and no process has it: it
would stay so until the next start of the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio.abc

T = TypeVar("T")
logger = logging.getLogger(__name__)


async def in_server(tasks: anyio.abc.TaskGroup, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of `work`, which runs in a task of its own in the server's group. Only the end of the server cancels it."""
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        try:
            value = await work()
        except Exception as error:  # handed to the caller, if it still waits
            if done.done():
                logger.error("%s", name, exc_info=error)
            else:
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(value)

    tasks.start_soon(run, name=name)
    return await done
