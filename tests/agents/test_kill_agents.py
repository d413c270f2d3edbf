"""kill -9 at any time while agents run: no recorded request is made again, and the streamed text is whole and in order at its watchers.

SURVIVE_SEED repeats the choices of a run of this test. AGENT_RUNS and AGENT_KILLS are the numbers of runs and kills.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from repertoire import home as homes
from repertoire.daemon.home_lock import read_info
from support.daemons import until
from support.faults import Host, query
from support.model_server import Asked, ModelServer, Reply, call, model_server
from support.survivals import whole

RUNS = int(os.environ.get("AGENT_RUNS") or 10)
KILLS = int(os.environ.get("AGENT_KILLS") or 4)
"""A new worker imports pydantic-ai, which takes seconds. So there are fewer kills than runs."""
TOOLS = 4
"""Calls of a tool by each agent. Each takes a request to the model; the last request streams the closing text."""
AGENT = """
import os
from pathlib import Path
from pydantic_ai import Agent
from repertoire.agents.door_model import DoorModel

agent = Agent(DoorModel("openai:gpt-4o-mini"))

@agent.tool_plain
def note(name: str, k: int) -> str:
    return f"{name} {k}"

async def run(folder: str, name: str) -> str:
    \"\"\"Asks a model five times.\"\"\"
    with open(Path(folder) / "pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
    said = ""
    async with agent.iter(name) as steps:
        async for node in steps:
            if Agent.is_model_request_node(node):
                async with node.stream(steps.ctx) as stream:
                    async for piece in stream.stream_text(delta=True, debounce_by=None):
                        said += piece
    return said
"""


def text_of(name: str) -> str:
    return " ".join(f"{name} says word {n} of thirty." for n in range(30))


def script(asked: Asked) -> Reply:
    name = asked.messages[0][1]
    if (k := len(asked.results)) < TOOLS:
        return Reply(calls=call("note", name=name, k=k).calls)
    return Reply(text_of(name), pieces=12, pause_s=0.03)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    with model_server(script) as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.timeout(400 + RUNS * 10)
def test_agents_survive_kills_at_random_times(tmp_path: Path, model: ModelServer) -> None:
    seed = int(os.environ.get("SURVIVE_SEED") or random.SystemRandom().randrange(10**6))
    print(f"SURVIVE_SEED={seed}")
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    (home / "workflows" / "talker.py").write_text(AGENT)
    (home / "repertoire.toml").write_text("ready_workflows = false\nworkers = 2\n")
    _start(home)
    host = Host(home).begin()
    try:
        for n in range(RUNS):
            host.ask("tools/call", name="talker", arguments={"folder": str(tmp_path), "name": f"r{n}"})
        until(lambda: len(query(home, "SELECT id FROM run")) == RUNS)
        _kill_until_all_have_ended(home, tmp_path, model, random.Random(seed))
        _check(home)
    finally:
        host.close()
        _end(home)


def _kill_until_all_have_ended(home: Path, folder: Path, model: ModelServer, chance: random.Random) -> None:
    frozen: dict[tuple[str, int], int] = {}
    give_up, kills = time.monotonic() + 200 + RUNS * 10, 0
    until((folder / "pids").exists)
    while query(home, "SELECT 1 FROM run WHERE ended_at IS NULL"):
        assert time.monotonic() < give_up, query(home, "SELECT id, status, parked FROM run")
        time.sleep(chance.uniform(0.3, 1.2))
        if kills < KILLS:
            kills += 1
            _kill(home, folder, chance)
        for name, recorded in _recorded(home).items():
            for k in range(recorded):
                frozen.setdefault((name, k), _asked(model)[name, k])
    assert {key: _asked(model)[key] for key in frozen} == frozen, "no recorded request is made again"
    assert len(frozen) == RUNS * (TOOLS + 1)


def _kill(home: Path, folder: Path, chance: random.Random) -> None:
    if chance.random() < 0.4:
        _kill_server(home)
        _start(home)
        return
    for pid in reversed((folder / "pids").read_text().split()):
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
        return


_started: list[subprocess.Popen[bytes]] = []


def _start(home: Path) -> None:
    """Start the home's daemon. Hosts connect to it by themselves."""
    command = [sys.executable, "-P", "-m", "repertoire.daemon_process", "--home", str(home)]
    with open(home.parent / "log", "ab") as log:
        _started.append(subprocess.Popen(command, stderr=log, start_new_session=True))
    until(lambda: homes.is_owned(str(home)))


def _kill_server(home: Path) -> None:
    """The host's front may start another one at once."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(until(lambda: read_info(str(home)))["pid"], signal.SIGKILL)


def _end(home: Path) -> None:
    while homes.is_owned(str(home)):
        _kill_server(home)
        time.sleep(0.1)
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()


def _recorded(home: Path) -> dict[str, int]:
    """The number of recorded requests by the name of the run. A record is there before the next request is made."""
    rows = query(
        home,
        "SELECT arguments, count(*) FROM run JOIN call ON run_id = run.id WHERE op = 'model' GROUP BY run.id",
    )
    return {json.loads(arguments)["name"]: count for arguments, count in rows}


def _asked(model: ModelServer) -> Counter[tuple[str, int]]:
    return Counter((asked.messages[0][1], len(asked.results)) for asked in list(model.asked))


def _check(home: Path) -> None:
    for run_id, status, result, arguments, error in query(home, "SELECT id, status, result, arguments, error FROM run"):
        assert status == "completed", (run_id, error)
        text = text_of(json.loads(arguments)["name"])
        assert json.loads(result) == text
        rows = query(home, "SELECT n, type, data FROM event WHERE run_id = ? ORDER BY n", run_id)
        events = [{"n": n, "type": kind, "data": json.loads(data)} for n, kind, data in rows]
        whole(events)
        shown, attempt = "", 1
        for event in events:
            if event["type"] == "stream_reset":
                shown, attempt = "", attempt + 1
            elif event["type"] == "text":
                assert event["data"]["attempt"] == attempt
                shown += event["data"]["text"]
                assert text.startswith(shown)
        assert shown == text
