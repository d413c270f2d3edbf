"""What README and docs show is run: each `$ command` of a console block, its output compared where it does not vary."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repertoire.cli.program import Code
from support.pages import blocks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks with the lines shown under it."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks(text, "console")).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def masked(text: str, home: Path) -> list[str]:
    """What differs from run to run has the same name everywhere; runs of blanks are one."""
    text = text.replace(str(home), "HOME")
    text = re.sub(r"workflow:\w+:[0-9A-Z]{26}", "RUN", text)
    text = re.sub(r"\b01[0-9A-Z]{10}\b", "RUN", text)
    text = re.sub(r"\b\d+ (?:s|min|h|days) ago\b", "WHEN", text)
    text = re.sub(r"\b[\d.]+ (?:ms|s|min)\b", "TIME", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "CLOCK", text)
    text = re.sub(r"\bs_[\w-]{24}", "SESSION", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"\b\d+\.\d{2,}\b", "N", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "VERSION", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def shell_environ(folder: Path) -> dict[str, str]:
    """An environment in which `repertoire` is this checkout's, with a home in the folder."""
    scripts = folder / "bin"
    scripts.mkdir()
    (scripts / "repertoire").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m repertoire "$@"\n')
    (scripts / "repertoire").chmod(0o755)
    home = str(folder / "home")
    return {**os.environ, "REPERTOIRE_HOME": home, "PATH": f"{scripts}:{os.environ['PATH']}", "NO_COLOR": "1"}


@pytest.mark.parametrize(
    ("page", "file"),
    [
        (ROOT / "README.md", "words.py"),
        (ROOT / "docs" / "command-line.md", "add.py"),
        (ROOT / "docs" / "first-workflow.md", "workflows/top_words.py"),
        (ROOT / "docs" / "read-a-run.md", "ship.py"),
        (ROOT / "docs" / "artifacts.md", "report.py"),
        (ROOT / "docs" / "audit.md", "double.py"),
    ],
)
def test_console_blocks_show_what_happens(tmp_path: Path, page: Path, file: str) -> None:
    """The page's first example is the file that its commands create."""
    text = page.read_text()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(blocks(text, "python")[0])
    environ = shell_environ(tmp_path)
    home = tmp_path / "home"
    assert len(commands(text)) >= 5
    try:
        for command, shown in commands(text):
            done = subprocess.run(
                command, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60
            )
            expected = masked("\n".join(shown), home)
            seen = masked(done.stdout + done.stderr, home)
            assert [line for line in seen if line in expected][: len(expected)] == expected, (command, seen, expected)
    finally:
        subprocess.run(["repertoire", "stop", "--force"], env=environ, timeout=60, check=False)


def test_the_page_on_the_command_line_names_every_command_and_exit_code() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    helped = subprocess.run(
        [sys.executable, "-P", "-m", "repertoire", "-h"], capture_output=True, text=True, check=True
    ).stdout
    listed = re.findall(r"^  ([a-z]+) {2,}\S", helped.partition("\nOptions:")[0], re.MULTILINE)
    table = page.partition("## All commands")[2]
    assert len(listed) > 15 and set(listed) == set(re.findall(r"`([a-z]+)`", table))
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == {0, *Code, 130}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_names_of_files_are_true(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (page.parent / target).exists(), target


def test_every_ready_workflow_has_its_line_in_the_readme() -> None:
    files = {path.stem for path in (ROOT / "workflows").glob("[a-z]*.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == files


def test_commands_in_the_docs_exist() -> None:
    known = subprocess.run(
        [sys.executable, "-P", "-m", "repertoire", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for page in PAGES:
        for command in re.findall(r"`repertoire ([a-z]+)", page.read_text()):
            assert re.search(rf"\b{command}\b", known), (page.name, command)


def test_the_class_in_a_script_counts_on_and_is_a_tool_unchanged(tmp_path: Path) -> None:
    (source,) = blocks((ROOT / "docs" / "bring-your-workflows.md").read_text(), "python")
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "greeting.py").write_text(source)
    said = [
        subprocess.run(
            [sys.executable, "-P", "workflows/greeting.py"], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout
        for _ in range(2)
    ]
    assert said == ["Hello Ada, for the 1. time\n", "Hello Ada, for the 2. time\n"]
    command = ["run", "greeting", "--payload", '{"name": "Bo"}', "--home", str(tmp_path / "home"), "--json"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "repertoire", *command], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert json.loads(done.stdout)["result"] == "Hello Bo, for the 1. time"


def test_the_class_of_the_style_page_streams_its_text(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "workflows.md").read_text()
    (source,) = [block for block in blocks(page, "python") if "WordByWord" in block]
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "words.py").write_text(source)
    command = ["run", "word_by_word", "--payload", '{"text": "a b"}', "--home", str(tmp_path / "home"), "--json"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "repertoire", *command], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert json.loads(done.stdout)["result"] == "a b "
