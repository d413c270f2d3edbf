"""A run whose journal another version of pydantic-ai has helped to write: it waits for a decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.model.session import Caller
from support.faults import database
from support.model_server import model_server
from support.services import opened

ASKS = '''
from pydantic_ai import Agent
from repertoire import ask
from repertoire.agents.door_model import DoorModel

async def run() -> str:
    """Asks a model, then a person."""
    said = (await Agent(DoorModel("openai:gpt-4o-mini")).run("Hello?")).output
    return f"{said} {await ask('And you?')}"
'''


@pytest.mark.anyio
async def test_a_run_of_another_pydantic_ai_waits_for_a_decision(tmp_path: Path) -> None:
    import sqlite3

    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    (home / "workflows" / "asks.py").write_text(ASKS)
    me = Caller()
    with model_server(["Hello."]) as server:
        async with opened(home) as app:
            caller = Caller(provider_env=server.environ())
            run_id = (await app.service.runs.start(caller, "asks", {}, None)).run.id
            await app.runner.wait(run_id, 60)
        with sqlite3.connect(database(home)) as db:
            db.execute("UPDATE model_request SET library = 'pydantic-ai 1.0'")
        db.close()
        async with opened(home) as app:
            await app.service.runs.answer(me, run_id, "Hi.")
            shown = await app.service.runs.get(me, run_id)
            assert "pydantic-ai 1.0, and this is" in shown["message"]
            await app.service.history.resume(me, run_id)
            ended = await app.runner.wait(run_id, 60)
    assert ended is not None
    assert ended.result == '"Hello. Hi."'
    assert len(server.asked) == 1
