"""`repertoire install HOST` as a person uses it: a real process with a HOME of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repertoire.cli.install import Host, carry_out, config_file, plan
from repertoire.errors import BadSettings

HOSTS = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
}
ON_MACOS = "Library/Application Support/Claude/claude_desktop_config.json"


class User:
    """A person with a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {key: value for key, value in os.environ.items() if key != "XDG_CONFIG_HOME"}
        environ |= {"HOME": str(self.folder), "NO_COLOR": "1", **variables}
        command = [python, "-P", "-m", "repertoire", "install", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, cwd=self.folder)

    def file(self, host: str) -> Path:
        on_macos = host == "claude-desktop" and sys.platform == "darwin"
        return self.folder / (ON_MACOS if on_macos else HOSTS[host])

    def has(self, host: str, content: str | bytes) -> Path:
        path = self.file(host)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def files(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def user(tmp_path: Path) -> User:
    folder = tmp_path.resolve() / "user"
    folder.mkdir()
    return User(folder)


def entry(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["mcpServers"]["repertoire"]
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_without_a_file_gets_one_with_this_server_in_it(user: User, host: str) -> None:
    done = user(host)
    assert done.returncode == 0, done.stderr
    found = entry(user.file(host))
    assert found.pop("type", None) == ("stdio" if host == "claude-code" else None)
    assert os.path.isabs(found["command"])
    assert found["args"][-3:] == ["serve", "--session", host]
    assert user.files() == {user.file(host)}
    assert user.file(host).stat().st_mode & 0o777 == 0o600
    assert str(user.file(host)) in done.stdout and found["command"] in done.stdout


def test_other_entries_stay_and_a_backup_holds_what_was_there(user: User) -> None:
    text = '{"z": [1, {"é": "\\ud83d"}], "mcpServers": {"other": {"command": "x"}, "repertoire": {"url": "u", "env": {"A": "b"}}}}'
    path = user.has("claude-code", text)
    path.chmod(0o640)
    assert user("claude-code").returncode == 0
    config, before = json.loads(path.read_text()), json.loads(text)
    found = config["mcpServers"].pop("repertoire")
    assert found["env"] == {"A": "b"} and "url" not in found
    assert config["mcpServers"] == {"other": {"command": "x"}} and config["z"] == before["z"]
    (backup,) = user.files() - {path}
    assert backup.parent == path.parent and backup.read_text() == text
    assert [file.stat().st_mode & 0o777 for file in (path, backup)] == [0o640, 0o640]


def test_a_dry_run_says_the_same_and_writes_nothing(user: User) -> None:
    dry = user("cursor", "--dry-run")
    assert dry.returncode == 0 and "would write" in dry.stdout and user.files() == set()
    real = user("cursor")
    shown = json.dumps({"repertoire": entry(user.file("cursor"))}, indent=2)
    assert shown in dry.stdout and shown in real.stdout


def test_a_second_install_changes_nothing_and_leaves_no_backup(user: User) -> None:
    user("cursor")
    before = user.file("cursor").read_bytes()
    done = user("cursor")
    assert "unchanged" in done.stdout and user.file("cursor").read_bytes() == before
    assert user.files() == {user.file("cursor")}


def test_session_and_home_are_written_where_given(user: User) -> None:
    assert user("cursor", "--session", "mine", "--home", "data").returncode == 0
    expected = ["serve", "--session", "mine", "--home", str(user.folder / "data")]
    assert entry(user.file("cursor"))["args"][-5:] == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{not json", "not valid JSON"),
        (b"\xff\xfe{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"mcpServers": []}', "'mcpServers' is not an object"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_alone(user: User, content: str | bytes, said: str) -> None:
    path = user.has("claude-desktop", content)
    before = path.read_bytes()
    done = user("claude-desktop")
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert path.read_bytes() == before and user.files() == {path}


def test_an_unknown_host_is_a_wrong_call(user: User) -> None:
    done = user("notepad")
    assert done.returncode == 2 and "claude-desktop" in done.stderr and user.files() == set()


def test_a_linked_file_stays_a_link(user: User) -> None:
    real = user.folder / "dotfiles.json"
    real.write_text("{}")
    user.file("cursor").parent.mkdir()
    user.file("cursor").symlink_to(real)
    assert user("cursor").returncode == 0
    assert user.file("cursor").is_symlink() and entry(real)["args"]


def test_the_written_command_starts_this_repertoire(user: User) -> None:
    user("cursor", "--home", str(user.folder / "home"))
    found = entry(user.file("cursor"))
    start = found["args"].index("serve")
    done = subprocess.run(
        [found["command"], *found["args"][:start], "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_without_a_console_script_it_is_started_as_a_module(user: User, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", tmp_path / "pyvenv.cfg")
    paths = os.pathsep.join(path for path in sys.path if path)
    done = user("cursor", python=str(python), PYTHONPATH=paths)
    assert done.returncode == 0, done.stderr
    found = entry(user.file("cursor"))
    assert [found["command"], *found["args"][:2]] == [str(python), "-m", "repertoire"]


def test_claude_desktop_has_a_place_on_each_platform() -> None:
    linux = config_file(Host.CLAUDE_DESKTOP, "linux", {"HOME": "/nobody"})
    chosen = config_file(Host.CLAUDE_DESKTOP, "linux", {"HOME": "/nobody", "XDG_CONFIG_HOME": "/nobody/conf"})
    macos = config_file(Host.CLAUDE_DESKTOP, "darwin", {"HOME": "/nobody"})
    assert str(linux) == "/nobody/.config/Claude/claude_desktop_config.json"
    assert str(chosen) == "/nobody/conf/Claude/claude_desktop_config.json"
    assert str(macos) == f"/nobody/{ON_MACOS}"


def test_a_file_that_its_host_changes_meanwhile_is_not_overwritten(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(user.folder))
    path = user.has("cursor", "{}")
    planned = plan(Host.CURSOR)
    path.write_text('{"new": 1}')
    with pytest.raises(BadSettings, match="changed in the meantime"):
        carry_out(planned)
    assert path.read_text() == '{"new": 1}' and user.files() == {path}


def test_a_place_that_cannot_be_written_is_a_clear_error(user: User) -> None:
    (user.folder / ".cursor").write_text("a file, not a folder")
    done = user("cursor")
    assert done.returncode == 1 and "error:" in done.stderr and "Traceback" not in done.stderr
