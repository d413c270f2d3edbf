"""Search without a model: by words, by tags, by outcome; which model would be taken; what cannot be a query."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from mcp import Client

from repertoire.app import open_app
from repertoire.encoder import models
from repertoire.encoder.models import Candidate, NoModel, candidates, problem
from repertoire.encoder.search_weights import Bound
from repertoire.encoder.tokens import words
from repertoire.model.run import Run
from repertoire.model.session import Caller
from repertoire.names import new_run_id
from repertoire.registry.caller_view import View
from repertoire.registry.embedding_index import pause_after
from repertoire.registry.encoder_client import _environment as child_environment
from repertoire.registry.outcome_score import Ranked, outcome_score
from repertoire.registry.search import Finder
from repertoire.registry.search_texts import texts_of
from repertoire.settings import load
from repertoire.store import open_store
from repertoire.store.search_facts import Standing
from repertoire.surfaces.mcp import build_server
from repertoire.wire import Fault
from support.libraries import KITCHEN, library, need_numpy, workflow

pytestmark = pytest.mark.anyio

ODD = [
    "",
    " ",
    "x",
    "?",
    "🙂🙂",
    "word " * 2_000,
    "ß" * 10_000,
    "天气预报",
    "прогноз погоды",
    '"* AND NOT',
    "\ud800 lone",
    "\x00",
]


@pytest.mark.parametrize("query", ODD)
async def test_odd_queries_are_answered_by_words_too(tmp_path: Path, query: str) -> None:
    async with open_store(str(tmp_path / "s.db")) as store:
        view = library()
        for version in view.names.values():
            await store.keep_version(version)
        answer = await Finder(store, None).find((), view, query, 5)
        assert answer.ranking == "lexical" and answer.matches == []
        assert [match.name for match in (await Finder(store, None).find((), view, "forecast", 5)).matches] == [
            "weather_brief"
        ]


async def test_g15_a_word_match_names_its_words_and_scores_as_many_as_it_has(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "s.db")) as store:
        view = library()
        for version in view.names.values():
            await store.keep_version(version)
        finder = Finder(store, None)
        (whole,) = (await finder.find((), view, "please join the documents", 5)).matches
        assert whole.name == "merge_pdfs" and whole.words == ("join", "documents") and whole.score == 1
        (part,) = (await finder.find((), view, "joining documents of zebras", 5)).matches
        assert part.words == ("joining", "documents") and part.meaning is None and 0.25 < part.score < 0.8
        few = await finder.find((), view, "zebras eat documents on meadows", 5)
        assert few.matches == [] and [one.name for one in few.nearest] == ["merge_pdfs"]
        assert few.nearest[0].words == ("documents",) and few.nearest[0].score < 0.25
        none = await finder.find((), view, "asdfghjkl", 5)
        assert none.matches == [] and none.nearest == []


async def test_tags_leave_out_what_lacks_one_of_them(tmp_path: Path) -> None:
    tagged = {"one": ("a",), "two": ("a", "b"), "three": ()}
    view = View([], {name: workflow(name, "Count sheep.", tags=tags) for name, tags in tagged.items()})
    async with open_store(str(tmp_path / "s.db")) as store:
        for version in view.names.values():
            await store.keep_version(version)
        finder = Finder(store, None)

        async def names(*tags: str) -> list[str]:
            return sorted(match.name for match in (await finder.find((), view, "sheep", 5, tags)).matches)

        assert await names() == ["one", "three", "two"]
        assert await names("a") == ["one", "two"]
        assert await names("a", "b") == ["two"]
        assert await names("c") == []


async def test_ten_thousand_with_one_description_come_in_alphabetical_order(tmp_path: Path) -> None:
    view = library({f"same_{number:05}": "Count the sheep on a meadow." for number in range(10_000)})
    async with open_store(str(tmp_path / "s.db")) as store:
        async with anyio.create_task_group() as tasks:
            for version in view.names.values():
                tasks.start_soon(store.keep_version, version)
        answer = await Finder(store, None).find((), view, "sheep", 5)
        assert len(answer.matches) == 5 and len({match.score for match in answer.matches}) == 1
        assert [match.name for match in answer.matches] == sorted(match.name for match in answer.matches)


async def test_outcome_orders_near_ties_and_nothing_else(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "s.db")) as store:
        for name, status in (("works", "completed"), ("breaks", "failed"), ("far", "completed")):
            for _ in range(5):
                run = Run(
                    id=new_run_id(name), workflow=name, version="0" * 64, session_id="s", principal="local",
                    created_at=time.time(), started_at=time.time(), last_event=1,
                )  # fmt: skip
                await store.start_run(run, with_state=False, fingerprint="f")
                fault = Fault("failed", "ValueError", "x") if status == "failed" else None
                await store.finish_run(
                    run, "failed" if fault else "completed", error=fault, result=None if fault else "1"
                )
        near = [Ranked("breaks", 0.405, 0.4, ()), Ranked("works", 0.4, 0.4, ()), Ranked("far", 0.3, 0.3, ())]
        finder = Finder(store, None)
        assert finder._recipe.outcome == 0.03
        assert [match.name for match in await finder._by_outcome(near, 5)] == ["works", "breaks", "far"]


def test_the_worth_of_an_outcome_is_bounded_and_grows_with_success() -> None:
    now = 1e9
    known = [Standing(), Standing(1, 0, now), Standing(50, 0, now), Standing(10**6, 0, now)]
    assert [outcome_score(one, now) for one in known] == sorted(outcome_score(one, now) for one in known)
    assert (
        0 <= outcome_score(Standing(0, 10**6, now), now) < outcome_score(Standing(), now)
        and outcome_score(known[-1], now) <= 1
    )
    assert outcome_score(Standing(5, 0, now - 90 * 86400), now) < outcome_score(Standing(5, 0, now), now)


def test_a_larger_library_asks_for_a_nearer_match_within_bounds() -> None:
    bound = Bound()
    least = [bound.among(count) for count in (0, 1, 5, 20, 100, 1_000, 10_000, 10**9)]
    assert least[0] == least[2] == bound.least < least[3] and least == sorted(least)
    assert least[-1] == bound.most


def test_words_lose_their_endings_and_those_that_say_nothing() -> None:
    assert list(words("Merging the merged files, merges a FILE")) == ["merg", "fil"]
    assert words("what do I have") == {}


def test_each_view_of_a_workflow_is_a_text_and_long_source_is_cut() -> None:
    texts = texts_of(workflow("draft_email", "Write a mail.", source="x" * 9_000, tags=("office",)))
    assert texts.views[0] == texts.views[1] == "draft email: Write a mail."
    assert len(texts.views[2]) < 2_000 and "office" in texts.words
    assert len(set(texts.shas())) == 2
    path = {"type": "string", "description": "The CSV file."}
    version = msgspec.structs.replace(
        workflow("profile", "Look at data."), input_schema={"type": "object", "properties": {"csv_path": path}}
    )
    said, whole, source = texts_of(version).views
    assert (said, whole) == ("profile: Look at data.", "profile: Look at data.. csv path: The CSV file.")
    assert source == version.source


def test_a_child_that_keeps_dying_is_started_ever_later_within_bounds() -> None:
    pauses = [1.0]
    while len(pauses) < 12:
        pauses.append(pause_after(pauses[-1], lived_s=0.1))
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0] and pauses[-2] == pauses[-1] < 120
    assert pause_after(pauses[-1], lived_s=3600) == 1.0


def _model(folder: Path, kind: str = "sentence_transformers.models.Transformer") -> str:
    folder.mkdir(parents=True)
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}]))
    (folder / "model.safetensors").write_bytes(b"weights")
    return str(folder)


def test_a_package_is_taken_only_with_the_known_weights_and_no_code_of_its_own(tmp_path: Path) -> None:
    good = hashlib.sha256(b"weights").hexdigest()
    folder = _model(tmp_path / "good")
    assert problem(Candidate(folder, "package", good)) is None
    assert "sha256" in (problem(Candidate(folder, "package", models.WEIGHTS_SHA256)) or "")
    assert "evil.Module" in (problem(Candidate(_model(tmp_path / "evil", "evil.Module"), "package", good)) or "")
    (tmp_path / "good" / "modules.json").write_text("{")
    assert "modules.json" in (problem(Candidate(folder, "folder")) or "")
    assert problem(Candidate(str(tmp_path / "nowhere"), "folder")) is not None


def test_the_order_in_which_models_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "sentence_transformers" or None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(NoModel, match="No model"):
        candidates("", download=False)
    assert candidates("", download=True) == (Candidate(models.NAME, "hub", None, models.REVISION),)
    _model(tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / models.REVISION)
    assert [(one.kind, one.weights) for one in candidates("", download=False)] == [("hub cache", models.WEIGHTS_SHA256)]
    monkeypatch.setattr(models, "_folder_in_package", lambda package: f"/site/{package}")
    kinds = [one.kind for one in candidates("", download=True)]
    assert kinds == ["package", "package", "hub cache", "hub"]
    own = _model(tmp_path / "own")
    assert candidates(own, download=True) == (Candidate(own, "folder"),)
    for named in (str(tmp_path / "missing"), "owner/unknown-model", "off"):
        with pytest.raises(NoModel):
            candidates(named, download=False)
    assert candidates("owner/unknown-model", download=True) == (Candidate("owner/unknown-model", "hub"),)


def test_the_hub_is_asked_only_where_that_is_allowed() -> None:
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    assert offline.items() <= child_environment(download=False).items()
    assert not offline.keys() & child_environment(download=True).keys()


async def test_through_mcp_the_answer_says_why_it_is_lexical(tmp_path: Path) -> None:
    settings = load(
        home=str(tmp_path), environ={"REPERTOIRE_SEARCH_MODEL": "off", "REPERTOIRE_READY_WORKFLOWS": "false"}
    )
    async with open_app(settings) as app:
        for name, text in KITCHEN.items():
            await app.service.publishing.create(Caller(), name, f'"""{text}"""\ndef run() -> int:\n    return 1\n')
        server = build_server(app.service, settings.limits, app.changes, lambda ctx: Caller())
        async with Client(server) as client:

            async def search(**arguments: Any) -> dict[str, Any]:
                answer = await client.call_tool("search_workflows", arguments)
                assert not answer.is_error, answer
                return answer.structured_content or {}

            answer = await search(query="join documents", include_source=True)
            (match,) = answer["matches"]
            assert match["name"] == "merge_pdfs" and "def run" in match["source"] and answer["ranking"] == "lexical"
            with anyio.fail_after(10):
                while "off" not in str(answer.get("note")):
                    answer = await search(query="join documents")
            assert "source" not in (await search(query="join documents"))["matches"][0]
            assert (await search(query="join documents", tags=["office"]))["matches"] == []
            third = await search(query="pdf speech forecast", limit=2)  # each has one of three words
            assert third["matches"] == [] and len(third["nearest"]) == 2
            assert (
                all(one.keys() == {"name", "description"} for one in third["nearest"])
                and "get_workflow" in third["hint"]
            )
            empty = await search(query="zebra crossing")
            assert empty["matches"] == [] and "create_workflow" in str(empty["hint"])
            refused = await client.call_tool("search_workflows", {"query": "x", "tags": [{"a": 1}]})
            assert refused.is_error and "`tags`" in refused.content[0].text  # type: ignore[union-attr]


async def test_list_workflows_comes_in_pages_that_hold_each_name_once(tmp_path: Path) -> None:
    settings = load(
        home=str(tmp_path), environ={"REPERTOIRE_SEARCH_MODEL": "off", "REPERTOIRE_READY_WORKFLOWS": "false"}
    )
    async with open_app(settings) as app:
        for name in KITCHEN:
            await app.service.publishing.create(Caller(), name, "def run() -> int:\n    return 1\n")
        server = build_server(app.service, settings.limits, app.changes, lambda ctx: Caller())
        async with Client(server) as client:
            pages: list[int] = []
            names: list[str] = []
            cursor = None
            while cursor or not pages:
                answer = await client.call_tool("list_workflows", {"limit": 2, "cursor": cursor})
                page = answer.structured_content or {}
                pages.append(len(page["workflows"]))
                names += [one["name"] for one in page["workflows"]]
                cursor = page["next_cursor"]
    assert pages == [2, 2, 1] and names == sorted(KITCHEN)


def test_doctor_says_that_search_is_lexical_and_why(tmp_path: Path) -> None:
    need_numpy()  # sentence-transformers: without it the reason is another
    damaged = _model(tmp_path / "damaged")
    (tmp_path / "damaged" / "modules.json").write_text("{")
    empty = str(tmp_path / "empty")
    for model, reason in (("off", '"off"'), (damaged, damaged), (str(tmp_path / "nowhere"), "nowhere")):
        environ = {**os.environ, "REPERTOIRE_SEARCH_MODEL": model, "REPERTOIRE_READY_WORKFLOWS": "false"}
        command = [sys.executable, "-P", "-m", "repertoire", "doctor", "--json", "--home", empty]
        said = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path).stdout
        (row,) = [row for row in json.loads(said) if row["check"] == "search"]
        assert row["message"].startswith("by words only: ") and reason in row["message"] and row["hint"]
