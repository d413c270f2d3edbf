"""A body that is begun again in the middle of a stream, or after one: it hears the same pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.model_server import ModelServer, Reply, Script, model_server
from support.services import create_approved, opened
from support.survivals import body, effects

TEXT = "One two three four five six."
STREAM = """
from pydantic_ai import Agent
from repertoire import step
from repertoire.agents.door_model import DoorModel

async def pieces(prompt):
    async with Agent(DoorModel("openai:gpt-4o-mini")).run_stream(prompt) as stream:
        async for piece in stream.stream_text(delta=True, debounce_by=None):
            yield piece
"""
AFTER = (
    STREAM
    + '''
async def run() -> list:
    """Dies when the stream is at its end."""
    heard = [piece async for piece in pieces("Say it.")]
    step(effect, "after")
    die()
    return heard
'''
)
BETWEEN = (
    STREAM
    + '''
async def run(last: int = 99) -> list:
    """Makes a call after each piece, and dies after that of piece `last`, or at the end."""
    heard = []
    async for piece in pieces("Say it."):
        heard.append(piece)
        step(effect, f"piece {len(heard)}")
        if len(heard) == last:
            die()
    die()
    return heard
'''
)
BOTH = (
    STREAM
    + '''
async def run() -> list:
    """Two streams at once."""
    async def one(name):
        heard = []
        async for piece in pieces(name):
            heard.append(piece)
            await step.aio(aeffect, f"{name} {len(heard)}")
        return heard

    heard = await asyncio.gather(one("a"), one("b"))
    die()
    return list(heard)
'''
)
CANCELLED = (
    STREAM
    + '''
async def run() -> list:
    """Leaves a stream in its middle."""
    async for piece in pieces("Say it."):
        break
    return [piece]
'''
)


class House(NamedTuple):
    app: App
    server: ModelServer
    home: Path

    async def run(self, name: str, source: str, script: Script, **arguments: Any) -> dict[str, Any]:
        self.server.script = script
        self.server.asked.clear()
        self.server.broken.clear()
        folder = self.folder(name)
        folder.mkdir()
        await create_approved(self.app, name, body(folder, source), force=True)
        caller = Caller(provider_env=self.server.environ())
        live = await self.app.service.runs.start(caller, name, arguments, None)
        return self.app.service.runs.envelope(await self.app.service.runs.wait_for_end(live))

    def folder(self, name: str) -> Path:
        return self.home.parent / name


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    home = tmp_path_factory.mktemp("streams") / "home"
    with model_server(["Hello."]) as server:
        async with opened(home, None, ready_workflows="false", workers="1", packages="pydantic_ai") as app:
            yield House(app, server, home)


pytestmark = pytest.mark.anyio
WHOLE = Reply(TEXT, pieces=4, pause_s=0.05)


async def test_a_recorded_stream_is_heard_again_in_the_same_pieces(house: House) -> None:
    ended = await house.run("after_it", AFTER, [WHOLE])
    assert (ended["result"], ended["resumed"]) == (WHOLE.parts(), 1), ended
    assert len(house.server.asked) == 1
    assert effects(house.folder("after_it")) == ["after"]


async def test_calls_between_the_pieces_of_a_recorded_stream_are_not_repeated(house: House) -> None:
    ended = await house.run("between_pieces", BETWEEN, [WHOLE])
    assert (ended["result"], ended["resumed"]) == (WHOLE.parts(), 1), ended
    assert len(house.server.asked) == 1
    assert effects(house.folder("between_pieces")) == [f"piece {n}" for n in range(1, 5)]


async def test_a_stream_that_was_cut_by_a_crash_is_made_anew_and_goes_on_behind_the_recorded_calls(
    house: House,
) -> None:
    ended = await house.run("cut_in_two", BETWEEN, [WHOLE], last=2)
    assert (ended["result"], ended["resumed"]) == (WHOLE.parts(), 1), ended
    assert len(house.server.asked) == 2
    assert effects(house.folder("cut_in_two")) == [f"piece {n}" for n in range(1, 5)]
    events = await house.app.store.events(ended["run_id"], 0, 1000)
    assert [one.data["attempt"] for one in events if one.type == "stream_reset"] == [2]
    assert "".join(one.data["text"] for one in events if one.type == "text" and one.data["attempt"] == 2) == TEXT


async def test_two_streams_at_once(house: House) -> None:
    ended = await house.run("both_at_once", BOTH, [WHOLE])
    assert (ended["result"], ended["resumed"]) == ([WHOLE.parts()] * 2, 1), ended
    assert len(house.server.asked) == 2
    done = effects(house.folder("both_at_once"))
    assert sorted(done) == [f"{name} {n}" for name in "ab" for n in range(1, 5)]


async def test_a_stream_that_the_body_leaves_ends_the_request(house: House) -> None:
    ended = await house.run("left_early", CANCELLED, [Reply(TEXT * 50, pieces=200, pause_s=0.05)])
    assert len(ended["result"]) == 1, ended
    with anyio.fail_after(10):
        while not house.server.broken:
            await anyio.sleep(0.05)


async def test_a_run_that_is_cancelled_in_the_middle_of_a_stream_ends_the_request(house: House) -> None:
    house.server.broken.clear()
    house.server.script = [Reply(TEXT * 50, pieces=200, pause_s=0.05)]
    await create_approved(house.app, "long_stream", body(house.home, AFTER), force=True)
    live = await house.app.service.runs.start(Caller(provider_env=house.server.environ()), "long_stream", {}, None)
    async for event in house.app.service.runs.follow(live.run.id):
        if event.type == "text":
            await house.app.runner.cancel(live.run.id)
            break
    with anyio.fail_after(10):
        while not house.server.broken:
            await anyio.sleep(0.05)
    ended = await house.app.store.run(live.run.id)
    assert ended is not None
    assert ended.status == "cancelled"
