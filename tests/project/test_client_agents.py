"""clients/agents: each example, unchanged, in an environment of its own, against a real `repertoire serve` and a scripted model."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.required import require
from support.scripted_model import Call, Heard, ScriptedModel, Turn, scripted_model
from support.transports import UNREADY, http_server

ROOT = Path(__file__).parents[2]
AGENTS = ROOT / "clients" / "agents"
PAGE = (ROOT / "docs" / "clients.md").read_text()
TEXT = "the cat and the dog and the bird"
COUNTED = {"the": 3, "and": 2, "cat": 1}
INSTALL_S = 400
RUN_S = 90
REPERTOIRE = [sys.executable, "-P", "-m", "repertoire"]

WORD_COUNT = '''"""Count how often each word occurs in a text."""

from collections import Counter


def run(text: str, most: int = 3) -> dict[str, int]:
    """Count how often each word occurs in a text.

    Args:
        text: Any text.
        most: How many words to give, the most frequent first.
    """
    return dict(Counter(text.lower().split()).most_common(most))
'''
SEARCH = Call("search_workflows", {"query": "how often does each word occur in a text"})
CREATE = Call("create_workflow", {"name": "word_count", "source": WORD_COUNT})
CREATE_BROKEN = Call("create_workflow", {"name": "word_count", "source": WORD_COUNT.replace("Counter(", "Counter((")})
RUN = Call("run_workflow", {"name": "word_count", "arguments": {"text": TEXT}})
RUN_AS_TOOL = Call("word_count", {"text": TEXT})


@dataclass(frozen=True)
class Agent:
    """An example with a model: how it speaks to it, and how it runs what it has just created."""

    file: str
    path: str
    run: Call


WITHOUT_A_MODEL = ["mcp_sdk.py", "fastmcp_client.py"]
WITH_A_MODEL = [
    Agent("pydantic_ai_agent.py", "/v1/chat/completions", RUN_AS_TOOL),
    Agent("langchain_agent.py", "/v1/chat/completions", RUN),
    Agent("openai_agent.py", "/v1/responses", RUN_AS_TOOL),
]
FILES = [*WITHOUT_A_MODEL, *(agent.file for agent in WITH_A_MODEL)]
pytestmark = pytest.mark.timeout(INSTALL_S + RUN_S + 60)


def dependencies_of(file: str) -> list[str]:
    """What its PEP 723 header asks for."""
    header = re.search(r"^# /// script\n((?:^#(?: .*)?\n)+?)^# ///$", (AGENTS / file).read_text(), re.MULTILINE)
    assert header is not None, file
    read = tomllib.loads("".join(f"{line[2:]}\n" for line in header[1].splitlines()))
    dependencies: list[str] = read["dependencies"]
    return dependencies


def python_with(dependencies: list[str]) -> Path:
    """The interpreter of a virtual environment that has them."""
    python, missing = made_once(tuple(dependencies))
    if missing:
        require("REPERTOIRE_REQUIRE_AGENTS", missing)
    return python


@functools.cache
def made_once(dependencies: tuple[str, ...]) -> tuple[Path, str]:
    """The environment, kept in the user's cache folder, and why it could not be made; tried once in a session."""
    key = hashlib.sha256(json.dumps([sys.version, sys.executable, dependencies]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repertoire-tests"
    cache.mkdir(parents=True, exist_ok=True)
    room, ready, missing = cache / key, cache / key / "ready", ""
    with (cache / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(room, ignore_errors=True)
            venv.create(room, symlinks=True)
            missing = install(room / "bin" / "python", dependencies)
            if not missing:
                ready.touch()
    return room / "bin" / "python", missing


def install(python: Path, dependencies: tuple[str, ...]) -> str:
    """This environment's pip fills the other: a pip for each would take seconds more. Gives the reason where it cannot."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--prefer-binary"]
    environ = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    command = [*pip, "--no-input", "--retries", "2", *dependencies]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"{' '.join(dependencies)} could not be installed within {INSTALL_S} seconds."
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-300:]]
    return f"{' '.join(dependencies)} could not be installed: {errors[-1]}"


@dataclass(frozen=True)
class House:
    """A home and the environment in which a user of it would start an example."""

    home: Path
    environ: dict[str, str]

    def command(self, *words: str) -> str:
        command = [*REPERTOIRE, *words, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def runs(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.command("runs", "--json"))
        return rows

    def example(self, file: str, *words: str, **environ: str) -> str:
        """What it printed."""
        command = [str(python_with(dependencies_of(file))), str(AGENTS / file), *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**self.environ, **environ},
            cwd=self.home.parent,
            timeout=RUN_S,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def agent(self, file: str, model: ScriptedModel, **environ: str) -> str:
        variables = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "scripted", **environ}
        return self.example(file, f"Which word is the most frequent in: {TEXT}", **variables)


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """`repertoire` is on the PATH, as the examples expect it; nothing of the user's own settings reaches them."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "repertoire"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m repertoire "$@"\n')
    script.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "REPERTOIRE_", "LANG"))}
    environ = {
        **kept,
        **UNREADY,
        "HOME": str(folder),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "REPERTOIRE_HOME": str(folder / "home"),
        "OPENAI_AGENTS_DISABLE_TRACING": "1",  # its traces go to api.openai.com
    }
    yield House(folder / "home", environ)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[House]:
    """An empty home; the examples start its daemon over stdio."""
    with house(tmp_path) as made:
        yield made
        made.command("stop", "--force")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A home that has the workflow, behind HTTP."""
    with house(tmp_path_factory.mktemp("served")) as made:
        (made.home.parent / "word_count.py").write_text(WORD_COUNT)
        made.command("create", "word_count", str(made.home.parent / "word_count.py"))
        with http_server(made.home, {}) as url:
            made.environ["REPERTOIRE_URL"] = f"{url}/mcp"
            yield made


def tell(heard: Heard) -> str:
    """The closing text; all of it comes from what the workflow answered."""
    run = json.loads(heard.results[-1])
    word, times = next(iter(run["result"].items()))
    return f"{word!r}, {times} times. {run['run_id']} {run['status']}"


TOLD = re.compile(r"'the', 3 times\. (\S+) completed")


@pytest.mark.parametrize("file", WITHOUT_A_MODEL)
def test_a_client_creates_what_it_does_not_find_and_finds_it_next_time(file: str, fresh: House) -> None:
    created, first = fresh.example(file, TEXT).splitlines()
    (second,) = fresh.example(file, TEXT).splitlines()
    assert re.fullmatch(r"created word_count [0-9a-f]{12}", created)
    assert [json.loads(line.partition(" ")[2]) for line in (first, second)] == [COUNTED, COUNTED]
    recorded = [(run["run_id"], run["workflow"], run["status"], run["version"]) for run in fresh.runs()]
    assert recorded == [(line.split()[0], "word_count", "completed", created.split()[2]) for line in (second, first)]


@pytest.mark.parametrize("file", WITHOUT_A_MODEL)
def test_a_client_finds_and_runs_over_http(file: str, served: House) -> None:
    run_id, _, result = served.example(file, TEXT).partition(" ")
    assert json.loads(result) == COUNTED
    assert served.runs()[0]["run_id"] == run_id


@pytest.mark.parametrize("agent", WITH_A_MODEL, ids=lambda agent: agent.file)
def test_an_agent_finds_nothing_corrects_its_source_and_runs_it(agent: Agent, fresh: House) -> None:
    """The model hears of its error, so that it can correct it, and a workflow that it has created is there at once."""
    script: list[Turn] = [SEARCH, CREATE_BROKEN, CREATE_BROKEN, CREATE, agent.run, tell]
    with scripted_model(script) as model:
        told = TOLD.fullmatch(fresh.agent(agent.file, model).strip())
    assert told is not None
    assert [(run["run_id"], run["workflow"], run["status"]) for run in fresh.runs()] == [
        (told[1], "word_count", "completed")
    ]
    assert {(heard.path, heard.model) for heard in model.heard} == {(agent.path, "scripted")}
    assert all("search_workflows" in heard.system and "run_workflow" in heard.tools for heard in model.heard)
    found, broken, broken_again, created, _ = model.heard[-1].results
    assert "word_count" not in [match["name"] for match in json.loads(found)["matches"]]
    assert broken == broken_again and "Syntax error in line 13" in broken
    assert json.loads(created)["name"] == "word_count"
    assert "word_count" not in model.heard[0].tools
    assert ("word_count" in model.heard[-1].tools) == (agent.run is RUN_AS_TOOL)


@pytest.mark.parametrize("agent", WITH_A_MODEL, ids=lambda agent: agent.file)
def test_an_agent_finds_and_runs_over_http(agent: Agent, served: House) -> None:
    with scripted_model([SEARCH, RUN_AS_TOOL, tell]) as model:
        told = TOLD.fullmatch(served.agent(agent.file, model).strip())
    assert told is not None
    assert served.runs()[0]["run_id"] == told[1]
    assert json.loads(model.heard[-1].results[0])["matches"][0]["name"] == "word_count"
    offered = model.heard[0].tools["word_count"]
    assert offered["properties"]["text"]["description"] == "Any text." and offered["required"] == ["text"]


def test_the_commands_of_the_docs_are_these(fresh: House) -> None:
    """The install line asks for what this module installs; the other is run as it stands, in a folder that looks like a checkout."""
    shown = re.search(r"^<!-- ci: agent -->\n```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    install_line, example_line = shown[1].splitlines()
    dependencies = dependencies_of("mcp_sdk.py")
    made = ["python3", "-m", "venv", ".agent", "&&", ".agent/bin/pip", "install", *dependencies]
    assert shlex.split(install_line) == made
    checkout = fresh.home.parent
    (checkout / "clients").symlink_to(ROOT / "clients")
    (checkout / ".agent").symlink_to(python_with(dependencies).parents[1])
    done = subprocess.run(
        example_line, shell=True, capture_output=True, text=True, env=fresh.environ, cwd=checkout, timeout=RUN_S
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1].partition(" ")[2]) == COUNTED


def test_every_example_is_tested_and_in_the_docs_with_what_it_needs() -> None:
    assert sorted(path.name for path in AGENTS.glob("*.py")) == sorted(FILES)
    for file in FILES:
        assert f"](../clients/agents/{file})" in PAGE
        assert f"uv run clients/agents/{file} " in (AGENTS / file).read_text()
        assert all(f"`{dependency}`" in PAGE for dependency in dependencies_of(file)), file
