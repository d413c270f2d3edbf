"""Serving: MCP over stdio in this process, HTTP in the foreground, and a daemon's status and stop; used by commands.py and demo.py."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Literal

import anyio

from .. import home as homes
from ..daemon.greeting import Hello
from ..daemon.home_lock import HomeInUse, Owner, read_info
from ..daemon.lifetime import End
from ..daemon.server import set_on_signal
from ..daemon.stderr_log import log_to_stderr
from ..model.session import Caller
from ..settings import Settings
from ..store.unfinished import unfinished_runs
from ..version import VERSION
from . import output
from .control_client import ControlError, NoDaemon, control_client
from .ignored_settings import warn_of_ignored

_TAKEOVER_S = 30.0
"""How long a takeover waits until the old daemon releases the home, and a door for a short command that owns it."""
_LOOK_S = 0.05
_SUCCESSOR_S = 3.0
"""When the daemon that holds our door ends, another one may follow within this time: a newer version takes over."""


def serve_embedded(settings: Settings, session: str) -> int:
    """Serve MCP on this process's own stdin and stdout, without a daemon. Returns the exit code."""
    from ..app import check_home, open_app

    async def main() -> int:
        end: End = "asked"
        with Owner(settings.home, kind="embedded", version=VERSION) as owner:
            async with open_app(settings) as app, anyio.create_task_group() as tasks:
                stop = anyio.Event()

                async def doors() -> None:
                    nonlocal end
                    end = await app.serve(owner, stop=stop)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(doors)
                await app.serve_stdio(session)
                stop.set()
        check_home(end, settings)
        return 0

    log_to_stderr(logging.WARNING)
    return _owning(lambda: anyio.run(main), "Leave --embedded out to use it, or choose another --home.")


def serve_http_door(settings: Settings, address: str, takeover: bool) -> int:
    """Serve HTTP in the foreground. Where a daemon runs, it opens the door for as long as this process lives; else this process is the
    home's daemon too. Returns the exit code."""
    from ..surfaces.http import parse_address

    parse_address(address)

    async def main() -> int:
        if takeover and await stop_daemon(settings.home, force=False):
            await _until_free(settings.home)
        give_up = time.monotonic() + _TAKEOVER_S
        while True:
            try:
                await _own_http_door(settings, address)
                return 0
            except HomeInUse:
                if time.monotonic() > give_up:
                    raise
            if (read_info(settings.home) or {}).get(
                "kind"
            ) == "command":  # it ends soon, and would take the door with it
                await anyio.sleep(_LOOK_S)
            elif await _hold_http_door(settings, address):
                return 0

    log_to_stderr(logging.INFO, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    return _owning(lambda: anyio.run(main), "Add --takeover to stop it first, or choose another --home.")


async def _own_http_door(settings: Settings, address: str) -> None:
    """Own the home and serve it until it is stopped. Raises HomeInUse."""
    with Owner(settings.home, kind="http", version=VERSION) as owner:
        from ..app import check_home, open_app

        async with (
            open_app(settings) as app,
            app.http_door(address, Caller(roots=settings.roots, env=settings.own_env())) as url,
        ):
            _say_open(url)
            end = await app.serve(owner)
    check_home(end, settings)


async def _hold_http_door(settings: Settings, address: str) -> bool:
    """Let the daemon open the door, until this process is told to end or no daemon is left. False: there was none from the beginning.

    A daemon that ends may have a successor, a newer version, which opens the door again.
    """
    lost_at = 0.0
    while True:
        outcome = await _ask_for_door(settings, address)
        if outcome == "told to end":
            return True
        if outcome == "daemon ended":
            lost_at = time.monotonic()
        elif not lost_at:
            return False
        elif time.monotonic() - lost_at > _SUCCESSOR_S:
            output.err.print("The daemon has ended, and the door with it.")
            return True
        await anyio.sleep(_LOOK_S)


async def _ask_for_door(settings: Settings, address: str) -> Literal["told to end", "daemon ended", "no daemon"]:
    ended = anyio.Event()
    roots = tuple(map(os.path.realpath, settings.roots))
    hello = Hello(mode="control", version=VERSION, roots=roots, cwd=os.getcwd(), env=settings.own_env())
    try:
        async with (
            control_client(homes.make_home(settings.home), hello) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(set_on_signal, ended)
            tasks.start_soon(_end_with, ended, tasks.cancel_scope)
            await warn_of_ignored(client, settings)
            pid = client.daemon.get("pid")
            try:
                await client.call("http", {"address": address}, lambda event: _say_open(event["url"], pid))
            except ControlError as error:
                if error.code != "daemon_ended":
                    raise
            tasks.cancel_scope.cancel()
    except NoDaemon:
        return "no daemon"
    return "told to end" if ended.is_set() else "daemon ended"


async def _end_with(ended: anyio.Event, scope: anyio.CancelScope) -> None:
    await ended.wait()
    scope.cancel()


def _say_open(url: str, pid: int | None = None) -> None:
    through = "" if pid is None else f", through the daemon that runs (pid {pid})"
    output.err.print(f"Repertoire serves {url}/mcp (and /sse, /healthz){through}", markup=False)


def _owning(run: Callable[[], int], hint: str) -> int:
    try:
        return run()
    except HomeInUse as error:
        output.error(f"{error}.", hint)
        return 1


async def daemon_status(home: str) -> dict[str, Any]:
    """{running: false, runs} with the runs that have not ended, or the owner's own status."""
    try:
        async with control_client(homes.make_home(home), _hello()) as client:
            return {"running": True, **await client.call("status")}
    except NoDaemon:
        return {"running": False, "runs": unfinished_runs(homes.database_path(homes.make_home(home)))}


async def stop_daemon(home: str, force: bool) -> bool:
    """Ask the owner to end, and wait until it has. False: nobody owns the home."""
    home = homes.make_home(home)
    try:
        async with control_client(home, _hello()) as client:
            await client.call("stop", {"force": force})
    except NoDaemon:
        return False
    await _until_free(home)
    return True


async def _until_free(home: str) -> None:
    with anyio.fail_after(_TAKEOVER_S):
        while homes.is_owned(home):
            await anyio.sleep(0.02)


def _hello() -> Hello:
    return Hello(mode="control", version="0", cwd=os.getcwd())
