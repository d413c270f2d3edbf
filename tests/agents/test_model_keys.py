"""Keys of models: each host tells its own, the server uses them for that host's runs, and no worker ever has one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from repertoire import home as homes
from repertoire.daemon.home_lock import read_info
from support.daemons import until
from support.faults import Host, database
from support.model_server import ModelServer, model_server
from support.shells import Shell

KEYED = "sk-of-the-host-0123456789"
LOOKER = """
import os
from pydantic_ai import Agent
from repertoire.agents.door_model import DoorModel

async def run(model: str = "openai:gpt-4o-mini") -> dict:
    \"\"\"Asks a model, and looks for keys.\"\"\"
    names = [name for name in os.environ if "API_KEY" in name or "BASE_URL" in name]
    return {"said": (await Agent(DoorModel(model)).run("Hello?")).output, "names": names}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    (home / "workflows" / "looker.py").write_text(LOOKER)
    yield home
    if homes.is_owned(str(home)):
        os.kill(until(lambda: read_info(str(home)))["pid"], signal.SIGKILL)


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with model_server(["Hello."]) as server:
        yield server


def test_a_hosts_key_is_used_for_its_runs_and_stays_in_the_server(
    home: Path, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon was started by a host without any key."""
    without = Host(home).begin()
    for name, value in model.environ("openai").items():
        monkeypatch.setenv(name, value)
    keyed = Host(home).begin()
    try:
        answer = keyed.call("looker")
        assert answer["result"] == {"said": "Hello.", "names": []}
        answer = without.call("looker")
        assert answer["error"]["code"] == "no_model"
    finally:
        keyed.close()
        without.close()
    key = model.environ("openai")["OPENAI_API_KEY"].encode()
    kept = [path for path in home.rglob("*") if path.is_file() and key in path.read_bytes()]
    assert kept == [], "no key in a file of the home"
    assert database(home).exists()


def test_the_command_line_tells_its_own_keys_and_doctor_shows_whose_they_are(home: Path, model: ModelServer) -> None:
    shell = Shell(home)
    shell.environ |= model.environ("openai") | {"ANTHROPIC_API_KEY": KEYED}
    ended = shell.json("run", "looker")
    assert ended["result"]["said"] == "Hello."
    shown = shell.ok("show", "last")
    assert "1 requests, 10 tokens read, 5 written" in shown
    examined = shell.ok("doctor")
    assert "openai: key in OPENAI_API_KEY" in examined
    assert "anthropic: key in ANTHROPIC_API_KEY" in examined
    assert "agents that name no model ask openai:" in examined
    assert KEYED not in examined + shown
    shell("stop", "--force")
