"""A service in this process over a home, and runs of it to their ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from repertoire.app import App, open_app
from repertoire.model.session import Caller
from repertoire.settings import load
from repertoire.upstream.tool import Source


@asynccontextmanager
async def opened(home: Path, sources: Sequence[Source] | None = None, /, **environ: str) -> AsyncIterator[App]:
    """Without the ready workflows, which a new home would load one by one: `ready_workflows="true"` for tests of them."""
    named = {f"REPERTOIRE_{name.upper()}": value for name, value in {"ready_workflows": "false", **environ}.items()}
    async with open_app(load(home=str(home), environ=named), sources=sources) as app:
        await app.service.library.wait_until_settled(Caller())
        yield app


async def create_approved(app: App, name: str, source: str, **options: Any) -> dict[str, Any]:
    """A created workflow that a person has approved: its body may use the files of this machine."""
    me = Caller(client="a test 1.0")
    answer = await app.service.publishing.create(me, name, source, **options)
    await app.service.approvals.approve(me, name, answer["version"])
    return answer


async def run(app: App, caller: Caller, name: str, session_id: str | None = None, **arguments: Any) -> dict[str, Any]:
    live = await app.service.runs.start(caller, name, arguments, session_id)
    return app.service.runs.envelope(await app.service.runs.wait_for_end(live))
