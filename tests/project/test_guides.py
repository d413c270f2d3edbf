"""The way in: paths in CONTRIBUTING.md and in the pages on architecture exist, and terms of our own are explained."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from support.pages import blocks

ROOT = Path(__file__).parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
ARCHITECTURE = [ROOT / "docs" / "architecture.md", *sorted((ROOT / "docs" / "architecture").glob("*.md"))]
PAGES = [ROOT / "README.md", CONTRIBUTING, *sorted((ROOT / "docs").rglob("*.md"))]
OURS = re.compile(
    r"\b(doors?|journal(?:ed)?|parks?|parked|parking|front|zygote|epoch|claims?|leases?|surroundings|drafts?|envelope)\b",
    re.IGNORECASE,
)
"""Terms of the glossary whose meaning a Python engineer would not guess."""
PACKAGE = "server/repertoire/"


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def paths(text: str) -> list[str]:
    """Code spans that name a file or folder of the checkout: with a slash, and in words of a path only."""
    return [span for span in spans(text) if re.fullmatch(r"\.?[\w-]+(?:/[\w.-]+)*/?(?:\.\w+)?", span) and "/" in span]


def terms() -> list[str]:
    return re.findall(r"^\| \*\*([^*]+)\*\* \| [^|]+ \|$", GLOSSARY.read_text(), re.MULTILINE)


def test_where_to_look_names_files_of_every_package() -> None:
    table = CONTRIBUTING.read_text().partition("| to change | open |\n")[2].partition("\n\n")[0]
    rows = table.splitlines()[1:]
    assert len(rows) >= 25
    for row in rows:
        assert paths(row), row
    packages = {path.name for path in (ROOT / PACKAGE).iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    named = {path.removeprefix(PACKAGE).split("/")[0] for path in paths(table) if path.startswith(PACKAGE)}
    assert packages - named == set()


@pytest.mark.parametrize("page", [CONTRIBUTING, *ARCHITECTURE], ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    """A path is one of the checkout; in the pages on architecture a package's own files may stand without `server/repertoire/`."""
    bases = [ROOT] if page == CONTRIBUTING else [ROOT, ROOT / PACKAGE]
    written = {"dist/"}  # the build makes it
    for path in paths(page.read_text()):
        found = [base / path for base in bases if (base / path).exists() or (base / f"{path}.py").exists()]
        assert found or path in written or path.startswith("HOME/"), (page.name, path)


def test_the_picture_shows_every_package() -> None:
    """Also in the order of the import contract: a package may import those on lines below its own."""
    (picture,) = blocks(ARCHITECTURE[0].read_text(), "text")
    (contract, *_) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"repertoire\.(\w+)", layer) for layer in contract["layers"]]
    at = {name: number for number, line in enumerate(picture.splitlines()) for name in re.findall(r"\w+", line[:53])}
    lines = [[at[name] for name in layer] for layer in layers]
    assert all(max(above) < min(below) for above, below in pairwise(lines)), lines


def test_the_glossary_has_few_terms_in_order_each_on_one_line() -> None:
    found = terms()
    assert found == sorted(set(found)) and 20 <= len(found) <= 45
    assert len(found) == len([line for line in GLOSSARY.read_text().splitlines() if line.startswith("| **")])
    assert {
        "door",
        "journal",
        "park",
        "front",
        "home",
        "place",
        "lease",
        "surroundings",
        "claim",
        "epoch",
        "version",
    } <= set(found)


@pytest.mark.parametrize("page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: page.name)
def test_a_page_with_terms_of_ours_leads_to_the_glossary(page: Path) -> None:
    text = page.read_text()
    prose = re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    if OURS.search(prose):
        assert "glossary.md" in text, OURS.findall(prose)[:5]


def test_the_version_stands_at_two_places_that_agree() -> None:
    from repertoire.version import VERSION

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert f"\n## {VERSION}" in changes and "\n## Unreleased" in changes


def test_the_parts_of_ci_are_those_that_are_shown() -> None:
    """Each command of the table that CI also runs is written as CI writes it."""
    script = (ROOT / ".ci" / "run").read_text()
    shown = re.findall(r"^\| `\.venv/bin/([^`]+)` \|", CONTRIBUTING.read_text(), re.MULTILINE)
    assert len(shown) >= 5
    for command in shown:
        if not command.startswith(("pytest", "ruff format", "python scripts")):
            assert f".venv/bin/{command}" in script, command
