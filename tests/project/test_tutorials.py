"""The page about tests is followed to the letter: its files are written, and its tests pass. Console blocks of pages: test_docs.py."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import blocks

DOCS = Path(__file__).parents[2] / "docs"


def write_files(page: str, folder: Path) -> list[str]:
    """Write each Python block that names its file in its first line. Gives the names."""
    found = []
    for block in blocks(page, "python"):
        if named := re.match(r"# (\S+\.py)\n", block):
            path = folder / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)
            found.append(named[1])
    return found


@pytest.mark.timeout(180)
def test_the_tests_of_the_page_about_tests_pass(tmp_path: Path) -> None:
    files = write_files((DOCS / "test-a-workflow.md").read_text(), tmp_path)
    assert files == ["refund.py", "conftest.py", "test_refund.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=150)
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout + done.stderr
