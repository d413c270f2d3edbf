"""The two tiers of an answer, and workflows that are not indexed yet, with the real model in its own process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from repertoire.encoder.models import MULTILINGUAL
from support.libraries import HUNGRY, KITCHEN, PATIENCE_S, Seeker, library, need_model, seeking

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
NEW = {
    "brew_coffee": "Grind beans and brew a strong espresso.",
    "walk_dog": "Plan a round through the park for the dog.",
    "water_plants": "Open the valve of the garden hose for some minutes.",
    "mow_lawn": "Send the robot over the grass.",
    "wash_car": "Book a slot at the car wash.",
    "paint_wall": "Estimate the litres of paint for a room.",
}


@pytest.fixture(autouse=True)
def _model() -> None:
    need_model()


def hold_encoding(seeker: Seeker, monkeypatch: pytest.MonkeyPatch, free: int = 0) -> anyio.Event:
    """After `free` more texts the indexing stands still, until the event is set. The encoder itself goes on answering."""
    store, released = seeker.finder._store, anyio.Event()
    add = store.add_vectors
    added = 0

    async def held(model: str, values: Sequence[tuple[str, bytes]]) -> None:
        nonlocal added
        added += len(values)
        if added > free:
            await released.wait()
        await add(model, values)

    monkeypatch.setattr(store, "add_vectors", held)
    return released


async def test_g15_new_entries_are_ranked_by_words_and_the_others_by_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seeking(tmp_path) as seeker:
        await seeker.find(HUNGRY)
        released = hold_encoding(seeker, monkeypatch)
        seeker.view = library({**KITCHEN, **NEW})
        for version in seeker.view.names.values():
            await seeker.finder._store.keep_version(version)
        known = await seeker.find(HUNGRY, wait_s=0)
        assert known.ranking == "semantic" and known.matches[0].name == "plan_meals"
        assert (known.matches[0].meaning or 0) > 0.2 and "because not indexed: 6 of 11 workflows" in (known.note or "")
        new = await seeker.find("brew an espresso", wait_s=0)
        assert new.ranking == "mixed" and new.matches[0].name == "brew_coffee"
        assert new.matches[0].meaning is None and new.matches[0].words == ("brew", "espresso")
        nothing = await seeker.find("asdfghjkl", wait_s=0)
        assert nothing.matches == []
        released.set()
        whole = await seeker.find("I need something hot that wakes me up")
        assert whole.ranking == "semantic" and whole.note is None
        assert "brew_coffee" in [one.name for one in (*whole.matches, *whole.nearest)]
        assert seeker.meaning.starts == 1


async def test_a_changed_workflow_is_not_found_by_what_it_did_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seeking(tmp_path) as seeker:
        await seeker.find(HUNGRY)
        released = hold_encoding(seeker, monkeypatch)
        seeker.view = library({**KITCHEN, "plan_meals": "Bake bread from flour, water and salt."})
        for version in seeker.view.names.values():
            await seeker.finder._store.keep_version(version)
        assert "plan_meals" not in [one.name for one in (await seeker.find(HUNGRY, wait_s=0)).matches]
        worded = await seeker.find("bake bread", wait_s=0)
        assert worded.matches[0].name == "plan_meals" and worded.matches[0].meaning is None
        released.set()
        assert (await seeker.names("bake a loaf of bread"))[0] == "plan_meals"


async def test_g15_during_the_first_indexing_what_is_done_is_ranked_by_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = library({f"count_{number}": f"Count the sheep of meadow number {number}." for number in range(150)})
    async with seeking(tmp_path, many) as seeker:
        released = hold_encoding(seeker, monkeypatch, free=200)
        await seeker.find("animals on a meadow", wait_s=0)
        with anyio.fail_after(PATIENCE_S):
            while (answer := await seeker.find("animals on a meadow", wait_s=0.1)).ranking == "lexical":
                await anyio.sleep(0.02)
        assert answer.matches[0].meaning is not None and "because not indexed" in (answer.note or "")
        released.set()
        whole = await seeker.find("animals on a meadow", wait_s=2 * PATIENCE_S)
        assert whole.ranking == "semantic" and whole.note is None and len(whole.matches) == 5


async def test_g16_what_fits_is_a_match_and_what_does_not_is_at_most_among_the_nearest(tmp_path: Path) -> None:
    whole = library({**KITCHEN, **NEW})
    foodless = library({name: text for name, text in {**KITCHEN, **NEW}.items() if name != "plan_meals"})
    async with seeking(tmp_path, foodless) as seeker:
        for query in ("order a pizza", "asdfghjkl", "who won the football world cup in 1998", "tell me a joke"):
            answer = await seeker.find(query)
            assert answer.matches == [] and len(answer.nearest) <= 3, (query, answer)
        seeker.view = whole
        right = 0
        for query, name in (
            (HUNGRY, "plan_meals"), ("glue these papers to one file", "merge_pdfs"), ("will I need an umbrella", "weather_brief"),
            ("put the voice memo in writing", "transcribe_audio"), ("keep a copy of our tables in the cloud", "backup_postgres"),
        ):  # fmt: skip
            answer = await seeker.find(query)
            right += name in [one.name for one in (*answer.matches, *answer.nearest)]
            assert not (answer.matches and answer.nearest)
        assert right >= 4


async def test_g16_a_query_in_another_language_is_told_what_the_model_knows(tmp_path: Path) -> None:
    async with seeking(tmp_path) as seeker:
        await seeker.find(HUNGRY)
        answer = await seeker.find("was sollen wir die Woche über zum Abendessen kochen")
        assert answer.matches == [] and "German" in (answer.note or "") and MULTILINGUAL in (answer.note or "")
        assert (await seeker.find("what is für in English")).note is None
