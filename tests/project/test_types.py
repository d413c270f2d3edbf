"""pyright and mypy, both strict, over what people read and copy: the pages' examples, the ready workflows, and a file with every name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.outside import need_pyright, run_node
from support.pages import blocks

ROOT = Path(__file__).parents[2]
NAMES = ROOT / "tests" / "authoring" / "typed" / "names.py"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
UNTYPED = "def run(ctx):"
"""The one example that is about code without types."""
WRONG = (
    "x: str = step(load, 'a')",
    "step(load, 3)",
    "ask('Sure?', bool, expires=3)",
    "n: int = ask('Name?')",
    "step(load, 'a').upper()",
)


def write_all(folder: Path) -> int:
    """Copy everything that is to be checked; each file is a module of its own. Gives their number."""
    for path in (*(ROOT / "workflows").glob("*.py"), NAMES):
        shutil.copy(path, folder / f"w_{path.name}")
    (folder / "greet.py").write_text(
        'def run(name: str) -> str:\n    return f"Hello, {name}!"\n'
    )  # daily-life.md tests it
    for page in PAGES:
        for number, block in enumerate(blocks(page.read_text(), "python"), 1):
            if UNTYPED not in block:
                named = re.match(r"# (\w+\.py)\n", block)
                name = named[1] if named else f"{page.stem.replace('-', '_')}_{number}.py"
                (folder / name).write_text(block)
    return len(list(folder.iterdir()))


@pytest.mark.timeout(300)
def test_n3_n4_pyright_strict_finds_nothing_in_examples_and_workflows(tmp_path: Path) -> None:
    need_pyright()
    files = tmp_path / "files"
    files.mkdir()
    assert write_all(files) > 15
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": ["files"]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = ("pyright", "-p", str(tmp_path), "--pythonpath", sys.executable)
    done = run_node(*command, timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Each error of one mypy over everything that is to be right and each line of WRONG."""
    folder = tmp_path_factory.mktemp("mypy")
    write_all(folder)
    need = "from repertoire import ask, step\n\n\ndef load(name: str) -> int:\n    return len(name)\n\n\n"
    for number, line in enumerate(WRONG):
        (folder / f"wrong_{number}.py").write_text(need + line + "\n")
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=280)
    *lines, summary = done.stdout.splitlines()
    assert done.returncode == 1 and summary.startswith("Found "), done.stdout + done.stderr
    return lines


@pytest.mark.timeout(300)
def test_n3_n4_mypy_strict_finds_nothing_in_examples_and_workflows(errors: list[str]) -> None:
    assert UNTYPED in (ROOT / "docs" / "workflows.md").read_text()
    assert [line for line in errors if not line.startswith("wrong_")] == []


@pytest.mark.timeout(300)
def test_a_wrong_call_of_a_step_is_found(errors: list[str]) -> None:
    """The types are not so wide that nothing is wrong."""
    for number, line in enumerate(WRONG):
        assert any(error.startswith(f"wrong_{number}.py") for error in errors), (line, errors)
