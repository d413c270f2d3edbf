"""Tools are searched by the encoder that searches workflows, and by words without it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from repertoire.registry.embedding_index import EmbeddingIndex
from repertoire.service.tool_descriptions import rank
from support.libraries import HUNGRY, KITCHEN, PATIENCE_S, need_model
from support.services import opened
from support.tool_sources import Desk

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def kitchen() -> Desk:
    """A source whose tools are called and described as the workflows of KITCHEN."""
    desk = Desk()
    shape = desk.tools[0]
    desk.tools = tuple(
        msgspec.structs.replace(shape, name=name, original=name, description=text) for name, text in KITCHEN.items()
    )
    return desk


def index_of(app: App) -> EmbeddingIndex:
    found = app.service.tools._finder.embedding_index
    assert found is not None
    return found


async def test_tools_are_ranked_by_meaning_and_unchanged_ones_are_not_encoded_again(tmp_path: Path) -> None:
    need_model()
    desk = kitchen()
    async with opened(tmp_path, [desk], ready_workflows="false") as app:
        found = await app.service.tools.search(HUNGRY, wait_s=PATIENCE_S)
        assert (found["ranking"], found["tools"][0]["name"]) == ("semantic", "desk.plan_meals")
        assert index_of(app).encoded == 2 * len(KITCHEN), "the text with parameters stands for the source too"
        strange = await app.service.tools.search("who won the football world cup in 1998", wait_s=PATIENCE_S)
        assert strange["tools"] == [] and ("nearest" in strange or "others" in strange)
        workflows = await app.service.library.search(Caller(), HUNGRY, wait_s=PATIENCE_S)
        assert workflows["matches"] == [], "tools are no workflows"
        first = msgspec.structs.replace(desk.tools[0], description="Rotate the tyres of a car.")
        desk.tools = (first, *desk.tools[1:])
        changed = await app.service.tools.search("swap wheels on my vehicle", wait_s=PATIENCE_S)
        assert changed["tools"][0]["name"] == "desk.plan_meals" and index_of(app).encoded == 2 * len(KITCHEN) + 2
    async with opened(tmp_path, [desk], ready_workflows="false") as app:
        found = await app.service.tools.search("swap wheels on my vehicle", wait_s=PATIENCE_S)
        assert found["ranking"] == "semantic" and index_of(app).encoded == 0


async def test_without_an_encoder_words_rank_and_the_answer_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path, [kitchen()], search_model="off", ready_workflows="false") as app:
        found = await app.service.tools.search("join my documents", 1)
        assert (found["ranking"], [one["name"] for one in found["tools"]]) == ("lexical", ["desk.merge_pdfs"])
        none = await app.service.tools.search("zebra")
        assert none["tools"] == [] and set(none["others"]) == {f"desk.{name}" for name in KITCHEN}
        assert "note" in none


def test_the_words_that_a_tool_has_are_told() -> None:
    (found,) = rank("forecasts of rain for a zebra", kitchen().tools, 5)
    assert found.tool.name == "weather_brief" and set(found.words) == {"forecasts", "rain"} and 0 < found.share < 1
