"""Docstrings and pages are plain English: `scripts/prose.py` counts, and nothing is above its targets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "prose.py"


def counted(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("part", ["server", "docs"])
def test_prose_is_within_its_targets(part: str) -> None:
    done = counted(part)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_part_is_a_usage_error() -> None:
    done = counted("tests")
    assert (done.returncode, done.stdout) == (2, "") and "server, docs" in done.stderr


def test_what_is_counted(tmp_path: Path) -> None:
    """Only prose counts: no code, table or heading; a question may open with a question word."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "server" / "repertoire").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    copy = tmp_path / "scripts" / "prose.py"
    copy.write_text(SCRIPT.read_text())
    (tmp_path / "README.md").write_text("# What a heading is\n\nOne two three. What is it? Four `five.six`.\n")
    (tmp_path / "CONTRIBUTING.md").write_text("| Who | sits in a table |\n\n```sh\nWhat is code.\n```\n\nOne.\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text("- Whoever reads this\n  stops here.\n- One two.\n")
    (tmp_path / "server" / "repertoire" / "some.py").write_text('"""Some: one thing."""\n\nx = 1\n"""Whether."""\n')
    command = [sys.executable, str(copy)]
    done = subprocess.run([*command, "docs"], capture_output=True, text=True, timeout=60)
    rows = {name: figures for name, *figures in (line.split() for line in done.stdout.splitlines()[1:5])}
    assert rows["README.md"][:3] == ["3", "2.7", "0"]
    assert rows["CONTRIBUTING.md"][:3] == ["1", "1.0", "0"]
    assert rows["docs/page.md"][:3] == ["2", "3.5", "1"]
    assert done.returncode == 1 and "docs/page.md: opens with a free relative: Whoever reads this" in done.stdout
    page.write_text("word " * 17 + ".\n")
    done = subprocess.run([*command, "docs"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "docs/page.md: the mean sentence has 17.0 words, target 16" in done.stdout
    done = subprocess.run([*command, "server"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and re.search(r"^some\.py +2 +2\.0 +1 +50\.0%$", done.stdout, re.MULTILINE)
