"""The page "Daily life": its commands are run in order in a new home, and give what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "daily-life.md").read_text()
GREET = '"""Say hello."""\n\ndef run(name: str = "you") -> str:\n    return f"Hello, {name}!"\n'
QUESTIONS = (
    "data", "going on", "waits", "library", "debug", "test", "every morning", "agent make", "take something back", "session",
    "share", "back up", "upgrade", "Docker", "logs", "editor", "uninstall",
)  # fmt: skip


def masked(text: str, home: Path) -> list[str]:
    text = re.sub(r"\b[0-9a-f]{12}\b", "VERSION", text.replace(str(home), "HOME"))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_n24_the_commands_of_daily_life_do_what_the_page_shows(tmp_path: Path) -> None:
    home, scripts = tmp_path / "home", tmp_path / "bin"
    scripts.mkdir()
    (scripts / "repertoire").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m repertoire "$@"\n')
    (scripts / "repertoire").chmod(0o755)
    (tmp_path / "greet.py").write_text(GREET)
    environ = {**os.environ, "REPERTOIRE_HOME": str(home), "PATH": f"{scripts}:{os.environ['PATH']}", "NO_COLOR": "1"}
    lines = "".join(blocks(PAGE, "console")).splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert len(starts) > 15
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        done = subprocess.run(
            lines[start][2:], shell=True, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60
        )
        seen = masked(done.stdout + done.stderr, home)
        for expected in masked("\n".join(lines[start + 1 : end]), home):
            assert any(expected in line for line in seen), (lines[start], expected, seen)
        assert done.returncode == 0, (lines[start], done.stderr)
    (test,) = [block for block in blocks(PAGE, "python") if "from greet import" in block]
    (tmp_path / "test_greet.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_greet.py"]
    assert subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("question", QUESTIONS)
def test_n24_the_page_has_each_everyday_question(question: str) -> None:
    assert any(question in heading for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)), question
