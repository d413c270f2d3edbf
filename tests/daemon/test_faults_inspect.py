"""Processes that die while they read a workflow, and the folders that killed servers leave: nobody's module is to blame for either."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from repertoire import home as homes
from repertoire.app import App
from repertoire.errors import Refused
from repertoire.model.session import Caller
from repertoire.registry.review import ruff
from support.daemons import until
from support.faults import Host, owner_of, query
from support.survivals import effects, eventually, opened

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("without_walls")]

LOADS = '''"""Load slowly the first times: whoever kills its process needs a moment."""
import os, time

with open("@FOLDER@/effects", "a") as file:
    file.write(f"{os.getpid()} {os.getppid()}\\n")
while not os.path.exists("@FOLDER@/go"):
    time.sleep(0.01)

def run() -> int:
    return 1
'''
KILLS_ITSELF = '''"""Die of loading."""
import os, signal

with open("@FOLDER@/effects", "a") as file:
    file.write("loaded\\n")
os.kill(os.getpid(), signal.@SIGNAL@)

def run() -> int:
    return 1
'''
ME = Caller()


# Case R6
@pytest.mark.parametrize("victim", ["worker", "zygote", "each in turn"])
async def test_a_create_whose_inspection_is_killed_is_tried_again(tmp_path: Path, victim: str) -> None:
    async with opened(tmp_path / "home", authoring="sandboxed") as app, anyio.create_task_group() as tasks:
        tasks.start_soon(_create, app, LOADS.replace("@FOLDER@", str(tmp_path)))
        for number in (1, 2) if victim == "each in turn" else (1,):
            (line,) = await eventually(lambda n=number: effects(tmp_path)[n - 1 : n])  # type: ignore[misc]  # bound now
            worker, zygote = map(int, line.split())
            os.kill(zygote if victim == "zygote" or number == 2 else worker, signal.SIGKILL)
        await eventually(lambda: len(effects(tmp_path)) == number + 1)
        (tmp_path / "go").touch()
        with anyio.fail_after(20):
            while app.service.library.view(ME).find("loads") is None:
                await anyio.sleep(0.01)
        run = await app.service.runs.wait_for_end(await app.service.runs.start(ME, "loads", {}))
        assert run.result == "1"


async def _create(app: App, source: str) -> None:
    await app.service.publishing.create(ME, "loads", source)


# Case R6
@pytest.mark.parametrize("fatal", ["SIGKILL", "SIGSEGV"])
async def test_a_module_that_kills_its_own_process_is_refused_after_a_few_tries(tmp_path: Path, fatal: str) -> None:
    async with opened(tmp_path / "home", authoring="sandboxed") as app:
        source = KILLS_ITSELF.replace("@FOLDER@", str(tmp_path)).replace("@SIGNAL@", fatal)
        with pytest.raises(Refused) as refused:
            await app.service.publishing.create(ME, "dies", source)
    assert refused.value.reason == "worker_lost" and effects(tmp_path) == ["loaded"] * 3


# Case R6
async def test_a_file_whose_inspection_was_killed_is_published(tmp_path: Path) -> None:
    (folder := tmp_path / "home" / "workflows").mkdir(parents=True)
    (folder / "loads.py").write_text(LOADS.replace("@FOLDER@", str(tmp_path)))
    async with anyio.create_task_group() as tasks:

        async def kill_once() -> None:
            os.kill(int((await eventually(lambda: effects(tmp_path)))[0].split()[0]), signal.SIGKILL)
            (tmp_path / "go").touch()

        tasks.start_soon(kill_once)
        async with opened(tmp_path / "home", authoring="sandboxed") as app:
            assert app.service.library.view(ME).find("loads") is not None


# Case R6
async def test_a_linter_that_is_killed_is_asked_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ruff"
    program.write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/effects\n[ $(wc -l < {tmp_path}/effects) = 1 ] && kill -9 $$\n"
        """echo '{"code": "F821", "message": "m", "location": {"row": 1, "column": 1}}'\n"""
    )
    program.chmod(0o700)
    monkeypatch.setattr(ruff, "ruff_path", lambda: str(program))
    assert [one.rule for one in await ruff.lint("undefined")] == ["ruff:F821"]
    assert len(effects(tmp_path)) == 2


LEAVES = '''"""Leave files where it runs, and be slow."""
import os, time

def run() -> None:
    os.makedirs("deep/er")
    open("deep/er/file", "w").close()
    print(os.getcwd())
    time.sleep(600)
'''
TOLD = "SELECT json_extract(data, '$.message') FROM event WHERE type = 'log'"


@pytest.fixture
def two_homes(tmp_path: Path) -> Iterator[list[Path]]:
    found = [tmp_path / "one", tmp_path / "two"]
    yield found
    for home in found:
        if home.exists() and homes.is_owned(str(home)):
            os.kill(owner_of(home), signal.SIGKILL)
            until(lambda h=home: not homes.is_owned(str(h)))  # type: ignore[misc]  # bound now


def test_r13_scratch_folders_of_killed_servers_go_at_the_next_start_and_no_other_homes(
    two_homes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    scratches = []
    for home in two_homes:
        host = Host(home).begin()
        number = host.ask("tools/call", name="create_workflow", arguments={"name": "leaves", "source": LEAVES})
        while host.receive().get("id") != number:  # beside it, word of the changed list
            pass
        host.ask("tools/call", name="leaves", arguments={})
        until(lambda h=home: query(h, TOLD))  # type: ignore[misc]  # bound now
        scratches.append(Path(query(home, TOLD)[0][0]))
        os.kill(owner_of(home), signal.SIGKILL)
        host.close()
        until(lambda h=home: not homes.is_owned(str(h)))  # type: ignore[misc]  # bound now
    first = two_homes[0]
    assert [path.is_relative_to(home) for path, home in zip(scratches, two_homes, strict=True)] == [True, True]
    left = set(os.listdir(first / "scratch"))
    assert scratches[0].parent.name in left
    host = Host(first).begin()
    until(lambda: not left & set(os.listdir(first / "scratch")))
    assert (scratches[1] / "deep" / "er" / "file").exists(), "another home's are not ours"
    host.close()
    assert os.listdir(temporary) == []
