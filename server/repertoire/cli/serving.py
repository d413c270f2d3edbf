"""Serving: MCP over stdio in this process, HTTP in the foreground, and a daemon's status and stop; used by commands.py and demo.py."""

from __future__ import annotations

import logging
import os
from typing import Any

import anyio

from .. import home as homes
from ..daemon.greeting import Hello
from ..daemon.home_lock import HomeInUse, Owner
from ..daemon.lifetime import End
from ..model.session import Caller
from ..settings import Settings
from ..version import VERSION
from . import output
from .control_client import NoDaemon, control_client

_TAKEOVER_S = 30.0
"""How long a takeover waits until the old daemon releases the home."""


def serve_embedded(settings: Settings, session: str) -> int:
    """Serve MCP on this process's own stdin and stdout, without a daemon. Returns the exit code."""
    from ..app import check_home, open_app

    async def main() -> None:
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

    logging.basicConfig(level=logging.WARNING)
    return _owning(settings, lambda: anyio.run(main), "Leave --embedded out to use it, or choose another --home.")


def serve_http_door(settings: Settings, address: str, takeover: bool) -> int:
    """Serve HTTP in the foreground; the process is the home's daemon too. Returns the exit code."""
    from ..surfaces.http import build_app, build_http_server, parse_address, serve_http

    host, port = parse_address(address)

    async def main() -> None:
        if takeover and await stop_daemon(settings.home, force=False):
            await _until_free(settings.home)
        from ..app import check_home, open_app

        with Owner(settings.home, kind="http", version=VERSION) as owner:
            async with open_app(settings) as app:
                await app.settled(Caller(roots=settings.roots))
                server = build_http_server(app.service, settings.limits, app.changes, app.state_key, app.ending)
                door = build_app(server, host, settings.limits.max_http_sessions)
                async with serve_http(door, host, port) as bound:
                    shown = f"[{host}]" if ":" in host else host
                    output.err.print(f"Repertoire serves http://{shown}:{bound}/mcp (and /sse, /healthz)", markup=False)
                    end = await app.serve(owner)
        check_home(end, settings)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return _owning(settings, lambda: anyio.run(main), "Add --takeover to stop it first, or choose another --home.")


def _owning(settings: Settings, run: Any, hint: str) -> int:
    try:
        run()
    except HomeInUse as error:
        output.error(f"{error}.", hint)
        return 1
    return 0


async def daemon_status(home: str) -> dict[str, Any]:
    """{running: false}, or the owner's own status."""
    try:
        async with control_client(homes.make_home(home), _hello()) as client:
            return {"running": True, **await client.call("status")}
    except NoDaemon:
        return {"running": False}


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
