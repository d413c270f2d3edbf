"""Commands that README and pages show: each exists, with each option shown, and each install works today."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from repertoire import cli
from repertoire.cli.program import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = re.compile(r"(?<![\w/'])(?:\$ |`|/bin/)repertoire ([a-z][^`\n|;&>#]*)")


def program() -> Any:
    for module in cli._COMMANDS:
        import_module(f"repertoire.cli.{module}")
    return get_command(app)


def unknown_words(words: list[str]) -> list[str]:
    """Commands and options among the words that the program does not have."""
    command = program()
    while getattr(command, "commands", None) and words and re.fullmatch("[a-z]+", words[0]):
        if words[0] not in command.commands:
            return [words[0]] if command.name == "repertoire" or not command.invoke_without_command else []
        command = command.commands[words.pop(0)]
    known = {name for one in command.params for name in one.opts} | {"-h", "--help", "--home", "--version", "-V"}
    takes_any = bool(command.context_settings.get("ignore_unknown_options"))
    return (
        [] if takes_any else [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_n25_commands_and_options_that_pages_show_exist(page: Path) -> None:
    for shown in SHOWN.findall(page.read_text()):
        lexer = shlex.shlex(shown, posix=False, punctuation_chars=False)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that goes on in the next line
            words = shown.split()
        assert unknown_words(words) == [], (page.name, shown)


def test_what_the_program_does_not_have_is_found() -> None:
    assert unknown_words(["runs", "--nonsense=1"]) == ["--nonsense=1"]
    assert unknown_words(["nonsense"]) == ["nonsense"] and unknown_words(["sessions", "show", "cli", "--json"]) == []


def test_n25_no_page_installs_from_an_index_what_is_not_there_yet() -> None:
    """The package is not published: a page that names it there says so in the same sentence."""
    for page in PAGES:
        for sentence in re.split(r"(?<=[.:;])\s", page.read_text()):
            if re.search(r"pip install[^`\n]*repertoire-mcp", sentence):
                assert "nce published" in sentence, (page.name, sentence)
