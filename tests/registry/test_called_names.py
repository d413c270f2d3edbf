"""Workflows and tools that a source calls by name, and whether those calls fit what is called: now, and after a change."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from repertoire.registry.review import (
    ChangeProblem,
    Known,
    Reference,
    change_problem,
    references,
    unfit_calls,
)
from repertoire.signature.schema import read

pytestmark = pytest.mark.anyio


CALLS = [
    ("workflows.invoke('fetch', url=1, most=2)", Reference("fetch", 1, ("url", "most"))),
    ("workflows.fetch(url=1)", Reference("fetch", 1, ("url",))),
    ("workflows.invoke(workflow_name='fetch', url=1)", Reference("fetch", 1, ("url",))),
    ("workflows.invoke('fetch', workflow_name='a')", Reference("fetch", 1, ("workflow_name",))),
    ("workflows.fetch(session_id='parent', url=1)", Reference("fetch", 1, ("url",))),
    ("workflows.fetch(**{'url': 1}, most=2)", Reference("fetch", 1, ("url", "most"))),
    ("workflows.fetch(most=2, **rest)", Reference("fetch", 1, ("most",), open=True)),
    ("workflows.fetch(**{key: 1})", Reference("fetch", 1, (), open=True)),
    ("from repertoire import workflows as w; w.invoke('fetch')", Reference("fetch", 1)),
    ("import repertoire; repertoire.workflows.fetch()", Reference("fetch", 1)),
    ("import repertoire as r; r.workflows.invoke('fetch')", Reference("fetch", 1)),
    ("call = workflows.invoke; call('fetch', url=1)", Reference("fetch", 1, ("url",))),
    ("fetch = workflows.fetch_json; again = fetch; again(url=1)", Reference("fetch_json", 1, ("url",))),
    ("getattr(workflows, 'fetch')(url=1)", Reference("fetch", 1, (), open=True)),
    ("map(workflows.fetch, urls)", Reference("fetch", 1, (), open=True)),
    ("[workflows.fetch(url=one) for one in urls]", Reference("fetch", 1, ("url",))),
    ("f = lambda url: workflows.fetch(url=url)", Reference("fetch", 1, ("url",))),
    ("class A:\n  def m(self):\n    def inner(): return workflows.fetch()", Reference("fetch", 3)),
    ("async def run(ctx, workflows):\n  await workflows.fetch()", Reference("fetch", 2)),
    ("async def run():\n  await gather(*(workflows.fetch(url=u) for u in urls))", Reference("fetch", 2, ("url",))),
    ("def run():\n  if workflows.search('a'): w = workflows\n  return w.invoke('fetch')", Reference("fetch", 3)),
]


@pytest.mark.parametrize(("source", "expected"), CALLS)
def test_workflows_that_are_called_are_found(source: str, expected: Reference) -> None:
    found = references(ast.parse(source))
    (one,) = found.workflows
    assert (one.name, one.line, one.keywords, one.open) == (
        expected.name,
        expected.line,
        expected.keywords,
        expected.open,
    )
    assert not found.dynamic


@pytest.mark.parametrize(
    "source",
    [
        "workflows.search('a'); workflows.list(); workflows.get(name); workflows.delete('a'); workflows.create(name, source)",
        "def run(workflows: list[str]): workflows.append('a')",
        "def run():\n  workflows = []\n  workflows.append('a')",
        "from elsewhere import workflows\nworkflows.fetch()",
        "import elsewhere as workflows\nworkflows.fetch()",
        "for workflows in rows: workflows.fetch()",
        "class workflows: ...\nworkflows.fetch()",
        "repertoire.workflows.fetch()",
        "w = workflows if a else b\nw = other\nw.fetch()",
        "w = other\nw = workflows\nw.fetch()",
        "other.workflows.fetch(); self.workflows.fetch(); 'workflows'.fetch()",
        "workflows._private()",
    ],
)
def test_what_only_looks_like_a_call_of_a_workflow_is_none(source: str) -> None:
    assert references(ast.parse(source)).workflows == ()


@pytest.mark.parametrize(
    ("source", "dynamic"),
    [
        ("workflows.invoke(name, url=1)", True),
        ("workflows.invoke(**arguments)", True),
        ("getattr(workflows, name)(url=1)", True),
        ("getattr(tools, name)(url=1)", True),
        ("helper(workflows)", True),
        ("partial(workflows.invoke, 'fetch')", True),
        ("workflows.get(name)", False),
        ("w = workflows\nw.fetch()", False),
        ("getattr(other, name)()", False),
    ],
)
def test_calls_whose_target_is_not_in_the_source_are_dynamic(source: str, dynamic: bool) -> None:
    assert references(ast.parse(source)).dynamic is dynamic


def test_tools_are_found_by_their_dotted_names() -> None:
    source = "from repertoire import tools as t\ncurl = tools.curl\ncurl.get(url=1)\nt.git.log()\nt.git.log()\nmap(tools.a.b, [])\n"
    assert references(ast.parse(source)).tools == ("a.b", "curl.get", "git.log")
    assert references(ast.parse("tools = []\ntools.append(1)\n")).tools == ()


def schema(run: Any) -> dict[str, Any]:
    """As the product makes it."""
    made: dict[str, Any] = read(run, {}).input_schema
    return made


def fetch(url: str, most: int = 3) -> str: ...  # type: ignore[empty-body]


def open_fetch(url: str, **more: int) -> str: ...  # type: ignore[empty-body]


KNOWN = Known({"fetch_json": schema(fetch), "open_fetch": schema(open_fetch), "nothing": {}})


@pytest.mark.parametrize(
    ("call", "rule", "hint"),
    [
        ("workflows.fetch_jsn(url=1)", "unknown_workflow", "Is it `fetch_json`?"),
        ("workflows.zzz()", "unknown_workflow", "Publish that workflow first"),
        ("workflows.fetch_json(url=u, mots=2)", "unknown_argument", "Is it `most`? It takes `url`, `most`."),
        ("workflows.fetch_json(most=2)", "missing_argument", "workflows.invoke('fetch_json', most=..., url=...)"),
        ("workflows.open_fetch(other=2)", "missing_argument", "workflows.invoke('open_fetch', url=...)"),
        ("workflows.fetch_json(mots=2, **rest)", "unknown_argument", "Is it `most`?"),
    ],
)
def test_calls_that_cannot_succeed_are_told_with_what_was_meant(call: str, rule: str, hint: str) -> None:
    (found,) = unfit_calls(references(ast.parse("\n" + call)), KNOWN)
    assert (found.rule, found.severity, found.line) == (rule, "warning", 2)
    assert str(found.hint).startswith(hint)


@pytest.mark.parametrize(
    "call",
    [
        "workflows.fetch_json(url=u)",
        "workflows.fetch_json(url=u, most=2, session_id='parent')",
        "workflows.fetch_json(**rest)",
        "workflows.open_fetch(url=u, other=2)",
        "workflows.nothing(any=2)",
        "workflows.invoke('fetch-json', url=u)",
        "map(workflows.fetch_json, urls)",
        "workflows.create('new', source); workflows.new()",
        "workflows.get('new') and workflows.invoke('new')",
    ],
)
def test_calls_that_may_succeed_are_left_alone(call: str) -> None:
    assert unfit_calls(references(ast.parse(call)), KNOWN) == []


def test_missing_findings_are_few() -> None:
    found = unfit_calls(references(ast.parse("workflows.gone(); workflows.lost()\n" * 50)), KNOWN)
    assert len(found) == len({one.line for one in found}) == 20


def one(kind: Any, *, required: bool = True) -> dict[str, Any]:
    def run(value: Any = None) -> None: ...

    if required:
        run.__defaults__ = None
    run.__annotations__ = {"value": kind, "return": None}
    return schema(run)


GIVEN = Reference("count", 7, ("value",))


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        (int, str, "gives `value`, which may no longer be an integer."),
        (str | None, str, "gives `value`, which may no longer be null."),
        (float, int, "gives `value`, which may no longer be a number."),
        (list[int], list[str], "gives `value`, which is a list whose items changed: an item may no longer be an integer."),
        (dict[str, int], list[int], "gives `value`, which may no longer be an object."),
        (int | str, int, "gives `value`, which may no longer be a string."),
        (int, float, None),
        (str, str | None, None),
        (Any, str, None),
        (str, Any, None),
        (list[int], list[float], None),
        (list, list[int], None),
        (int, int | str, None),
    ],
)  # fmt: skip
def test_a_type_that_takes_less_is_narrower(before: Any, after: Any, ends: str | None) -> None:
    why = change_problem(one(before), one(after), GIVEN)
    assert (why and why.text) == (None if ends is None else f"The call of `count` in line 7 {ends}")
    assert why is None or not why.is_certain, "the call gives something that is not seen"


def _schema_of(**value: Any) -> dict[str, Any]:
    return {"properties": {"value": value}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "may no longer be 'b'"),
        ({"enum": ["a"]}, {"enum": ["b", "a"]}, None),
        ({"type": "string"}, {"enum": ["a"]}, "must now be one of 'a'"),
        ({"const": "a"}, {"type": "string"}, None),
        ({"type": "string"}, {"type": "string", "format": "date"}, "must now be a string in the form date"),
        ({"type": "string", "format": "date"}, {"type": "string"}, None),
        ({"$ref": "#/$defs/A"}, {"type": "integer"}, None),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 5}, None),
    ],
)
def test_choices_and_forms_may_be_narrower_too(before: Any, after: Any, said: str | None) -> None:
    why = change_problem(_schema_of(**before), _schema_of(**after), GIVEN)
    assert why is None if said is None else said in str(why)


def test_parameters_that_go_or_come_break_callers() -> None:
    plain, both = schema(fetch), one(str)
    uses = Reference("fetch", 3, ("url",))
    assert change_problem(plain, both, uses) == ChangeProblem(
        "The call of `fetch` in line 3 gives `url`, which is no longer a parameter."
    )
    assert change_problem({**plain, "required": []}, plain, Reference("fetch", 3)) == ChangeProblem(
        "The call of `fetch` in line 3 does not give `url`, which is now required."
    )
    assert change_problem({**plain, "required": []}, plain, Reference("fetch", 3, open=True)) is None
    assert change_problem(plain, plain, Reference("fetch", 3)) is None, "it was broken before"
    assert change_problem(plain, schema(open_fetch), uses) is None
    assert change_problem(plain, {**plain, "required": ["url", "most"]}, Reference("fetch", 3, ("url", "most"))) is None
    assert "no longer a parameter" in str(
        change_problem(schema(open_fetch), plain, Reference("fetch", 3, ("url", "other")))
    )


def test_schemas_that_refer_to_themselves_are_compared_to_a_depth() -> None:
    def tree(leaf: str) -> dict[str, Any]:
        node = {"anyOf": [{"type": leaf}, {"type": "array", "items": {"$ref": "#/$defs/N"}}]}
        return {"$defs": {"N": node, "L": {"$ref": "#/$defs/L"}}, **_schema_of(**{"$ref": "#/$defs/N"})}

    assert change_problem(tree("string"), tree("string"), GIVEN) is None
    assert "may no longer be a string" in str(change_problem(tree("string"), tree("integer"), GIVEN))
    circle = {"$defs": {"L": {"$ref": "#/$defs/L"}}, **_schema_of(**{"$ref": "#/$defs/L"})}
    assert change_problem(circle, circle, GIVEN) is None
