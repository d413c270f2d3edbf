"""Agent house: an app in this process, with a scripted model behind HTTP, for workflows that use agents.

A test file takes the fixtures with `house, anyio_backend = agent_house.house, agent_house.anyio_backend`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.model_server import KEY, ModelServer, model_server
from support.services import create_approved, opened
from support.survivals import body, events

HEAD: Final = """
import asyncio, json
from concurrent.futures import ThreadPoolExecutor
from pydantic import BaseModel
from repertoire import Agent, RunResponse, Team, Workflow, tools
MODEL = "openai:gpt-4o-mini"
"""
"""Put before a body by `run`."""


async def _create(app: App, name: str, source: str, **options: Any) -> None:
    await app.service.publishing.create(Caller(), name, source, **options)


class House:
    """An app with a folder for traces, and a model whose replies a test sets."""

    def __init__(self, app: App, model: ModelServer, folder: Path) -> None:
        self.app, self.model, self.folder = app, model, folder

    async def publish(self, source: str, *, approved: bool = False) -> None:
        """Publish `flow`. One that leaves traces is approved: the sandbox would refuse them."""
        leaves_traces = "effect(" in source.rpartition("def die")[2] or "    die()" in source
        create = create_approved if approved or leaves_traces else _create
        await create(self.app, "flow", source, replace=True)

    async def run(self, source: str, script: Any, session_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Publish a body that may leave traces, and run it to its end."""
        return await self.publish_and_run(body(self.folder, HEAD + source), script, session_id, **arguments)

    async def publish_and_run(
        self, source: str, script: Any, session_id: str | None = None, **arguments: Any
    ) -> dict[str, Any]:
        await self.publish(source)
        return await self.again(script, session_id, **arguments)

    async def again(
        self, script: Any, session_id: str | None = None, _key: str = KEY, **arguments: Any
    ) -> dict[str, Any]:
        """Run `flow` to its end. `model.asked` then has the requests of this run only."""
        self.model.script = script
        self.model.asked.clear()
        caller = Caller(provider_env=self.model.environ(key=_key))
        live = await self.app.service.runs.start(caller, "flow", arguments, session_id)
        ended = await self.app.service.runs.wait_for_end(live)
        return {**self.app.service.runs.envelope(ended), "events": await events(self.app, ended.id)}


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("agents")
    with model_server(["?"]) as model:
        async with opened(folder / "home", workers="2", ready_workflows="false") as app:
            yield House(app, model, folder)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"
