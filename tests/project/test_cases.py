"""The table of acceptance cases is true: every id is in it once, and it names the tests that there are, no more and no fewer."""

from __future__ import annotations

import ast
import gc
import re
from functools import cache
from pathlib import Path

import pytest

from cases.agents import AGENTS
from cases.hosts import HOSTS
from cases.newcomers import NEWCOMERS
from cases.reliability import RELIABILITY
from cases.styles import CASES as STYLES
from cases.styles import Case
from cases.workloads import WORKLOADS

CASES = (*STYLES, *RELIABILITY, *WORKLOADS, *HOSTS, *AGENTS, *NEWCOMERS)

TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"test_((?:[abgmnrw]\d+_)+)")
"""A test called `test_b4_...` or `test_b3_b9_...` says which cases it shows."""
MARKED = re.compile(r"#\s*[Cc]ases?:?\s+([ABGMNRW]\d+(?:[\s,]+(?:and\s+)?[ABGMNRW]\d+)*)")
"""So does a comment `# Case B4` or `# Cases A1, A2` right above a test or at its decorators."""


def named_cases(path: Path) -> dict[str, set[str]]:
    """Each test of a file with the ids that it names."""
    text = path.read_text()
    lines = text.splitlines()
    found: dict[str, set[str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            named = NAMED.match(node.name)
            ids = {part.upper() for part in named[1].strip("_").split("_")} if named else set()
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            above = first - 2
            while above >= 0 and lines[above].startswith("#"):
                above -= 1
            for line in lines[above + 1 : node.body[0].lineno - 1]:
                for marked in MARKED.findall(line):
                    ids |= set(re.findall(r"[ABGMNRW]\d+", marked))
            found[f"{path.stem}::{node.name}"] = ids
    return found


@cache
def all_tests() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    gc.disable()  # a collection within `ast.parse` can make Python 3.11 lose count of its depth: SystemError
    try:
        for path in sorted(TESTS.rglob("test_*.py")):
            found |= named_cases(path)
    finally:
        gc.enable()
    return found


def test_every_id_is_there_once_and_in_order() -> None:
    ranges = {"A": 38, "B": 38, "R": 22, "W": 27, "M": 18, "G": 24, "N": 26}
    assert [case.id for case in CASES] == [
        f"{letter}{number}" for letter, last in ranges.items() for number in range(1, last + 1)
    ]
    assert len({case.says for case in CASES}) == len(CASES) and all(case.says.endswith(".") for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_names_tests_that_exist_and_says_what_differs(case: Case) -> None:
    assert set(case.tests) <= all_tests().keys(), set(case.tests) - all_tests().keys()
    assert len(case.tests) == len(set(case.tests))
    if case.status == "open":
        assert bool(case.decision) == bool(case.tests), "what is shown of an open case, and what it lacks"
    else:
        assert case.tests, "nothing shows it"
        assert bool(case.decision) == (case.status == "changed")


def test_every_test_that_names_a_case_is_in_the_table() -> None:
    listed = {case.id: set(case.tests) for case in CASES}
    missing = [
        (test, name) for test, ids in all_tests().items() for name in sorted(ids) if test not in listed.get(name, ())
    ]
    assert missing == []


def test_names_and_comments_name_cases(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(
        "def test_b4_b12_one() -> None: ...\n\n\n# Cases A1, A2 and B3: because.\n@mark\ndef test_two() -> None: ...\n\n\n"
        "# Case A9\n\ndef test_a_class() -> None: ...\n"
    )
    assert named_cases(path) == {
        "test_x::test_b4_b12_one": {"B4", "B12"}, "test_x::test_two": {"A1", "A2", "B3"}, "test_x::test_a_class": set(),
    }  # fmt: skip
