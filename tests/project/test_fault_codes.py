"""The table of fault codes is complete: the sources make the codes in it and no others, and docs/errors.md shows the table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from repertoire.fault_codes import FAULT_CODES, SECTIONS, as_markdown

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "repertoire"
PLACES = {"Fault": 0, "WorkspaceFault": 0, "ControlError": 0, "_failure": 1}
"""Calls whose code is a positional argument; everywhere else it is the keyword `code`."""
OTHERS = {"Task", "MCPError", "JSONRPCError", "Inspect"}
"""Calls whose `code` is something else: a worker's source, a number of JSON-RPC."""


def codes_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each text that the code makes a fault code of, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                yield from texts_in(_class_code(statement))
        elif isinstance(node, ast.Call):
            for argument in _code_arguments(node):
                yield from texts_in(argument)


def _class_code(statement: ast.stmt) -> ast.expr | None:
    """What `code = ...` in the body of a class gives."""
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return None
    return statement.value if any(isinstance(one, ast.Name) and one.id == "code" for one in targets) else None


def _code_arguments(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in OTHERS:
        return
    place = PLACES.get(name)
    if place is not None and len(call.args) > place:
        yield call.args[place]
    yield from (keyword.value for keyword in call.keywords if keyword.arg == "code")


def texts_in(value: ast.expr | None) -> Iterator[tuple[str, int]]:
    for node in ast.walk(value) if value is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno


def test_each_code_that_is_made_is_in_the_table_and_the_other_way_round() -> None:
    made: dict[str, list[str]] = {}
    for path in sorted(SERVER.rglob("*.py")):
        for code, line in codes_in(ast.parse(path.read_text())):
            made.setdefault(code, []).append(f"{path.relative_to(SERVER)}:{line}")
    assert {code: made[code] for code in made if code not in FAULT_CODES} == {}, "add these to fault_codes.py"
    assert [code for code in FAULT_CODES if code not in made] == [], "nothing makes these any more"


def test_the_search_finds_codes_in_every_form() -> None:
    source = """
class A(RepertoireError):
    code: ClassVar[str] = "one"
class B(A):
    code = "two"
Fault("three", "T", "m"); wire.Fault(code="four", type="T", message="m")
raise Refused("m", code="five" if bad else "six")
Task(code="no"); f("no", code=error.code)
"""
    assert sorted(code for code, _ in codes_in(ast.parse(source))) == ["five", "four", "one", "six", "three", "two"]


def test_a_code_is_in_one_section() -> None:
    assert sum(len(rows) for rows in SECTIONS.values()) == len(FAULT_CODES)


def test_the_page_shows_the_table() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    begin = page.index("\n## ") + 1
    assert page[begin:] == as_markdown(), "write what as_markdown() gives into docs/errors.md"
