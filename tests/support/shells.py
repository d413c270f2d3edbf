"""`repertoire` as a process, with one home."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import commands

ECHO = (
    '"""Echo a number."""\n\ndef run(number: int) -> int:\n    print("hello")\n    progress(1, 2)\n    return number\n'
)
READY = "REPERTOIRE_READY_WORKFLOWS"
"""A new home would load the ready workflows one by one. A test of them takes this out of the environment."""


class Shell:
    """`repertoire` with one home; `ok` gives stdout and checks that it went well."""

    def __init__(self, home: Path) -> None:
        self.home = home
        own = {name: value for name, value in os.environ.items() if not name.startswith("REPERTOIRE_")}
        self.environ = {**own, "REPERTOIRE_HOME": str(home), "NO_COLOR": "1", READY: "false"}

    def __call__(self, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        return commands.run(*words, input=input, env=self.environ, cwd=self.home)

    def ok(self, *words: str, **options: Any) -> str:
        done = self(*words, **options)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "--json"))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    (home / "workflows" / "echo_it.py").write_text(ECHO)
    shell = Shell(home)
    yield shell
    if (home / "daemon.json").exists():  # of a search, for example
        shell("stop", "--force")
