"""Home client: carries out a command's verbs in the process that owns the home, or in this process when nobody owns it.

1. If a process owns the home, the verbs go over its socket.
2. Else, if the command starts or wakes a run, or a dead owner left unfinished runs, a daemon is started first: runs belong to a daemon. A
   command that carried them could not end before the runs that other clients have started through it.
3. Else this process becomes the owner and opens the home for the length of the command: a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import anyio
import msgspec

from .. import home as homes
from ..daemon.greeting import Hello
from ..daemon.home_lock import HomeInUse, Owner
from ..errors import cause_of
from ..front import daemon_program
from ..front.connect import CannotConnect, Dial
from ..model.session import COMMAND_LINE
from ..providers.keys import provider_variables
from ..settings import Settings
from ..store.unfinished import has_work_left
from ..version import VERSION
from .control_client import NoDaemon, control_client
from .ignored_settings import warn_of_ignored

_PATIENCE_S = 30.0
"""How long a command waits for a home whose owner does not answer."""

OnEvent = Callable[[dict[str, Any]], Awaitable[None]]


class DaemonWanted(Exception):
    """Raised when this process would become the owner of a home for work that belongs to a daemon."""


class HomeClient(Protocol):
    """`call` carries out one verb; events on the way go to `on_event`. Raises RepertoireError or ControlError."""

    async def call(self, verb: str, args: dict[str, Any], on_event: OnEvent | None = None) -> Any: ...


@asynccontextmanager
async def connect(
    settings: Settings, session: str = COMMAND_LINE, needs_daemon: bool = False
) -> AsyncIterator[HomeClient]:
    """`needs_daemon`: the work starts or wakes a run. The one-shot commands also read ./workflows; `serve` never does. Raises DaemonWanted."""
    here = os.path.abspath("workflows")
    roots = settings.roots or ((here,) if os.path.isdir(here) else ())
    hello = Hello(
        mode="control",
        version=VERSION,
        session=session,
        roots=tuple(map(os.path.realpath, roots)),
        cwd=os.getcwd(),
        env={**settings.own_env(), **provider_variables(os.environ)},
    )
    async with AsyncExitStack() as stack:
        yield await _enter(stack, settings, hello, needs_daemon)


async def _enter(stack: AsyncExitStack, settings: Settings, hello: Hello, needs_daemon: bool) -> HomeClient:
    """Own the home or connect to its owner. Between two owners both may fail for a moment, so this tries again.

    The last owner may just have been killed and left runs. Taking these over would delay this command and every other client.
    """
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            stack.enter_context(Owner(settings.home, kind="command", version=VERSION))
        except HomeInUse:
            try:
                client = await stack.enter_async_context(control_client(settings.home, hello))
                await warn_of_ignored(client, settings)
                return client
            except NoDaemon:
                if time.monotonic() > give_up:
                    raise
                await anyio.sleep(0.05)
        else:
            if _wants_daemon(settings.home, needs_daemon):
                raise DaemonWanted
            stack.enter_context(_log_errors_only())
            return await stack.enter_async_context(_own(settings, hello))


@contextlib.contextmanager
def _log_errors_only() -> Iterator[None]:
    """Keep warnings out of a command's output: the command itself says what is wrong."""
    logger = logging.getLogger("repertoire")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@asynccontextmanager
async def _own(settings: Settings, hello: Hello) -> AsyncIterator[HomeClient]:
    """Open the home in this process. New connections wait in the socket's backlog meanwhile."""
    from ..app import open_app

    async with open_app(settings, watch=False) as app:

        class Local:
            async def call(self, verb: str, args: dict[str, Any], on_event: OnEvent | None = None) -> Any:
                return await app.control(verb, args, hello, on_event or _ignore)

        yield Local()


async def _ignore(event: dict[str, Any]) -> None:
    return


def carry_out(
    settings: Settings,
    work: Callable[[HomeClient], Awaitable[Any]],
    session: str = COMMAND_LINE,
    needs_daemon: bool = False,
) -> Any:
    """Run `work` with a client of the home, for a caller without an event loop.

    `needs_daemon`: the work starts or wakes a run, or the next command is quicker with a daemon.
    """
    home = homes.make_home(settings.home)

    async def main() -> Any:
        _wake_loop_on_signals()
        async with connect(settings, session, needs_daemon) as calls:
            return await work(calls)

    while True:
        if _wants_daemon(home, needs_daemon) and not homes.is_owned(home):
            start_daemon(home)
        try:
            return with_one_cause(lambda: anyio.run(main))
        except DaemonWanted:
            continue  # no verb was sent yet


def _wake_loop_on_signals() -> None:
    """Make every signal wake the event loop. asyncio does so only after a first `add_signal_handler`; without it, a Ctrl-C that comes
    right before the loop waits is seen when the loop is woken by something else, perhaps never."""
    with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # Windows; not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, lambda: None)


def _wants_daemon(home: str, needs_daemon: bool) -> bool:
    return needs_daemon or has_work_left(homes.database_path(home))


def start_daemon(home: str) -> None:
    """Start a daemon as a front does. It forks, so it is called before there is an event loop. Raises NoDaemon."""
    hello = Hello(mode="control", version=VERSION, cwd=os.getcwd())
    try:
        link, _ = Dial(home, msgspec.json.encode(hello) + b"\n", daemon_program()).open()
    except CannotConnect as error:
        raise NoDaemon(str(error)) from error
    link.close()


def with_one_cause(run: Callable[[], Any]) -> Any:
    """Call `run`. An error that is wrapped in groups is raised as itself: the command prints one cause."""
    try:
        return run()
    except BaseExceptionGroup as group:
        raise cause_of(group) from None
