"""`python -m conformance.server HOME`: the product's HTTP server of that home with the suite's fixtures; its address on stdout.

Store, engine, service, transports, header and origin checks, tools/list, progress, list_changed, tasks and the sealing of states are
the product's.
"""

from __future__ import annotations

import sys

import anyio

from repertoire.app import open_app
from repertoire.daemon.home_lock import Owner
from repertoire.settings import load
from repertoire.surfaces.http import build_app, build_http_server, serve_http
from repertoire.version import VERSION

from . import asking, content, legacy, reading, tasks, workflows
from .fixture import Tool, over_tools

HOST = "127.0.0.1"


async def main(home: str) -> None:
    settings = load(home=home, environ={})
    with Owner(settings.home, kind="http", version=VERSION) as owner:
        async with open_app(settings) as app:
            server = build_http_server(app.service, settings.limits, app.changes, app.state_key)
            change = Tool("test_trigger_tool_change", "Changes the tool list.", workflows.change_tools(app.service))
            over_tools(server, [*content.TOOLS, *legacy.TOOLS, *asking.TOOLS, *tasks.TOOLS, change])
            tasks.over_tasks(server)
            reading.over_reading(server)
            reading.add_what_the_product_has_not(server)
            await workflows.publish(app.service)
            async with serve_http(build_app(server, HOST), HOST, 0) as port:
                print(f"http://{HOST}:{port}", flush=True)
                await app.serve(owner)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
