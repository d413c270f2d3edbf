"""What is read off a source without running it; search expressions; which tools are listed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repertoire.errors import BadSettings, Refused
from repertoire.limits import Limits
from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import WorkflowVersion, version_hash
from repertoire.registry.bundle import Bundle
from repertoire.registry.caller_view import View
from repertoire.registry.class_finder import class_workflows
from repertoire.registry.listing import choose_listed
from repertoire.registry.search import match_expression
from repertoire.registry.source import analyse
from repertoire.registry.source_imports import Uses
from repertoire.settings import Settings, load

LIMIT = 10_000


def version(name: str, origin: str = "tool") -> WorkflowVersion:
    return WorkflowVersion(
        hash=version_hash(name, "", "", Options(), ()), name=name, origin="tool" if origin == "tool" else "operator", source="",
        description="", options=Options(), input_schema={}, output_schema={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "description"),
    [
        ('"""Module\nsays.\n\nMore."""\ndef run(): ...\n', "Module says."),
        ('def run():\n    """Run says.\n\n    Args: none\n    """\n', "Run says."),
        ("async def run(): ...\n", ""),
        ("from functools import partial\nrun = partial(print)\n", ""),
        ("from elsewhere import go as run\n", ""),
    ],
)
def test_the_description_is_the_first_paragraph(source: str, description: str) -> None:
    assert analyse(source, max_bytes=LIMIT).description == description
    assert analyse(source, max_bytes=LIMIT, description="Given.").description == "Given."


def test_options_are_a_literal() -> None:
    source = '__workflow__ = {"title": "T", "tags": ["a"], "timeout_s": 5}\ndef run(): ...\n'
    assert analyse(source, max_bytes=LIMIT).options == Options(title="T", tags=("a",), timeout_s=5.0)
    for bad in ('{"title": f()}', '{"nope": 1}', '{"timeout_s": -1}', '{"timeout_s": "soon"}', "[1]"):
        with pytest.raises(Refused) as caught:
            analyse(f"__workflow__ = {bad}\ndef run(): ...\n", max_bytes=LIMIT)
        assert caught.value.reason == "bad_options" and caught.value.line == 1


@pytest.mark.parametrize(
    "body",
    [
        "session_state['a'] = 1",
        "from repertoire import session_state as s",
        "import repertoire\nrepertoire.session_state",
    ],
)
def test_mentioning_the_state_is_seen(body: str) -> None:
    assert analyse(body + "\ndef run(): ...\n", max_bytes=LIMIT).uses_state
    assert not analyse("def run(): ...\n", max_bytes=LIMIT).uses_state


def test_modules_beside_a_file_are_bundled_with_what_they_import(tmp_path: Path) -> None:
    (tmp_path / "_a.py").write_text("import _b\nimport json\nimport json5\n")
    (tmp_path / "_b.py").write_text("from pkg.deep import thing\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "deep.py").write_text("import _a\nthing = 1\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the standard library wins')\n")
    bundle = Bundle(str(tmp_path), LIMIT)
    bundle.gather(analyse("import _a\ndef run(): ...\n", max_bytes=LIMIT).uses)
    assert {(module.name, module.package) for module in bundle.modules} == {
        ("_a", False), ("_b", False), ("pkg", True), ("pkg.deep", False),
    }  # fmt: skip
    (tmp_path / "_a.py").write_text("#" * LIMIT + "\n\n")
    with pytest.raises(Refused):
        Bundle(str(tmp_path), LIMIT).gather(Uses(("_a",)))


@given(st.text())
def test_no_query_is_syntax(query: str) -> None:
    expression = match_expression(query)
    assert re.fullmatch(r'("[^"]+"( OR "[^"]+")*)?', expression)


def test_words_that_say_nothing_match_nothing() -> None:
    assert match_expression("how do I do this for you") == ""
    assert match_expression('Files "AND" (files)') == '"files"'


def test_just_created_and_most_used_ones_are_listed() -> None:
    view = View([], {name: version(name) for name in "abcdefghij"})
    assert choose_listed(view, 20, [], [], {}) == list("abcdefghij")
    newest = list("jihgfedcba")
    assert choose_listed(view, 6, [], newest, {"a": 3, "b": 9}) == ["b", "f", "g", "h", "i", "j"]
    assert choose_listed(view, 3, [], newest, {}) == ["h", "i", "j"]
    assert choose_listed(view, 0, [], newest, {}) == []


def test_pinned_ones_are_listed_before_all_others() -> None:
    view = View([], {name: version(name) for name in "abcdefghij"})
    assert choose_listed(view, 4, ["e", "gone", "a"], list("jih"), {"c": 9}) == ["a", "e", "i", "j"]
    assert choose_listed(view, 1, ["e", "a"], list("jih"), {}) == ["e"]
    assert choose_listed(view, 7, ["e", "a"], list("jih"), {"c": 9, "b": 1}) == ["a", "b", "c", "e", "h", "i", "j"]


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "repertoire.toml").write_text('run_timeout_s = 1\ninline_deadline_s = 2\nworker_env = ["A"]\n')
    settings = load(
        home=str(tmp_path), environ={"REPERTOIRE_RUN_TIMEOUT_S": "7", "REPERTOIRE_READY_WORKFLOWS": "false"}
    )
    assert (settings.limits.run_timeout_s, settings.limits.inline_deadline_s) == (7, 2)
    assert settings.worker_env == ("A",) and settings.ready_workflows is False
    for bad in ('run_timeout_s = "soon"', "no_such = 1", "x = ", 'authoring = "maybe"'):
        (tmp_path / "repertoire.toml").write_text(bad)
        with pytest.raises(BadSettings):
            load(home=str(tmp_path), environ={})


def test_the_page_on_configuration_names_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page, re.MULTILINE))
    assert set(rows) == (set(Limits.__struct_fields__) | set(Settings.__struct_fields__)) - {
        "home",
        "limits",
        "sources",
        "remarks",
    }
    defaults = Limits()
    for name in Limits.__struct_fields__:
        assert float(rows[name]) == float(getattr(defaults, name)), name


def test_what_classes_inherit_is_found_with_one_look_at_each() -> None:
    root = (
        'class A0(Workflow):\n    """Of all."""\n    @abstractmethod\n    def part(self): ...\n    def run(self): ...\n'
    )
    whole = "class A1(A0):\n    def part(self): ...\n"
    many = 20_000  # with a walk up from each, 200 million steps: the test would not end in its time
    found = class_workflows(ast.parse(root + whole + "".join(f"class A{n}(A{n - 1}): ...\n" for n in range(2, many))))
    assert [one.entry for one in found] == [f"A{n}" for n in range(1, many)]
    assert {one.description for one in found} == {"Of all."}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class M:\n  def run(self): ...\nclass B(Workflow):\n  @abstractmethod\n  def run(self): ...\nclass C(M, B): ...", ["C"]),
        ("class B(Workflow):\n  @abstractmethod\n  def run(self): ...\nclass M:\n  def run(self): ...\nclass C(B, M): ...", []),
        ("class B(Workflow):\n  @abstractmethod\n  def part(self): ...\nclass C(B):\n  part = run = other", ["C"]),
        ("class A(B, Workflow): ...\nclass B(A):\n  def run(self): ...", ["B"]),
        ("class A(A):\n  def run(self): ...", []),
        ("class Workflow(repertoire.Workflow):\n  def run(self): ...", ["Workflow"]),
    ],
)  # fmt: skip
def test_the_first_base_that_has_something_gives_it(source: str, expected: list[str]) -> None:
    assert [one.entry for one in class_workflows(ast.parse(source))] == expected
