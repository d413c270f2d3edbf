"""Arguments as models and hosts send them: null for what is left out, JSON as text, numbers as they come, what hosts add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from repertoire.errors import BadArguments
from repertoire.limits import Limits
from repertoire.settings import HOST_ARGUMENTS
from repertoire.surfaces.mcp.fixed_tools import fixed_tools
from repertoire.surfaces.mcp.tool_arguments import read_arguments
from support.mcp_calls import call, made
from support.ready import FOLDER
from support.signatures import TAGGED, complaint, signature
from support.transports import Memory

FIXED = fixed_tools(Limits())

ASKS = '''"""Ask twice."""

def run() -> list:
    return [ask("A number?", int), ask("Names?", list[str])]
'''


# Case M6
@pytest.mark.parametrize(
    ("source", "arguments", "bound"),
    [
        ("def run(n: int = 5): ...", {"n": None}, {}),
        ("def run(n: int = 5, tags: list[str] = []): ...", {"n": None, "tags": None}, {}),
        ("def run(n=5): ...", {"n": None}, {}),
        ("def run(c: Color = Color.RED): ...", {"c": None}, {}),
        ("def run(n: int | None = 5): ...", {"n": None}, {"n": None}),
        ("def run(n: Any = 5): ...", {"n": None}, {"n": None}),
        ("def run(p: dict[str, Movie]): ...", {"p": {"a": {"title": "t"}}}, {"p": {"a": {"title": "t"}}}),
    ],
)
def test_null_for_what_has_a_default_is_as_left_out(
    source: str, arguments: dict[str, Any], bound: dict[str, Any]
) -> None:
    assert signature(source).bind(arguments) == ([], bound)


# Case M6
def test_a_null_inside_of_a_model_is_left_out_too_but_not_an_item_of_the_callers_own() -> None:
    (_, bound) = signature("def run(p: dict[str, list[Point]]): ...").bind({"p": {"a": [{"x": 1, "label": None}]}})
    assert bound["p"]["a"][0].label == "p"
    assert complaint("def run(d: dict[str, int]): ...", {"d": {"a": None}}).startswith("`d.a`: wants an integer")
    assert complaint("def run(n: int): ...", {"n": None}) == "`n`: wants an integer, got None (NoneType)"
    assert complaint("def run(p: Point): ...", {"p": {"x": None}}).startswith("`p.x`: wants an integer")


# Case M7
@pytest.mark.parametrize(
    ("annotation", "sent", "value"),
    [
        ("list[str]", '["a","b"]', ["a", "b"]),
        ("list[int]", '["1", 2.0]', [1, 2]),
        ("list[list[int]]", ["[1, 2]", "[3]"], [[1, 2], [3]]),
        ("dict[str, int]", '{"a": "1"}', {"a": 1}),
        ("dict[str, int]", [], {}),
        ("tuple[float, float]", "[1, 2]", (1.0, 2.0)),
        ("int", 5.0, 5),
        ("int", "5", 5),
        ("int", "5.0", 5),
        ("int", "5e3", 5000),
        ("float", "0.5", 0.5),
        ("bool", "true", True),
        ("int | list[int]", "[1]", [1]),
        ("Literal[1, 2]", "2", 2),
        ("str", "[1]", "[1]"),
        ("str | list[str]", '["a"]', '["a"]'),
        ("str | int", "5", "5"),
        ("Any", "[1]", "[1]"),
    ],
)
def test_text_is_read_as_json_where_no_text_can_be(annotation: str, sent: Any, value: Any) -> None:
    bound = signature(f"def run(x: {annotation}): ...").bind({"x": sent})[1]["x"]
    assert (bound, type(bound)) == (value, type(value))


# Case M7
def test_a_model_as_text_becomes_the_model_and_what_is_wrong_inside_is_said() -> None:
    (point,) = signature("def run(p: list[Point]): ...").bind({"p": ['{"x": "1", "label": null}']})[1]["p"]
    assert (point.x, point.label) == (1, "p")
    assert complaint("def run(t: list[int]): ...", {"t": '[1, "x"]'}) == "`t[1]`: wants an integer, got 'x' (str)"
    assert complaint("def run(t: list[int]): ...", {"t": "1, 2"}) == "`t`: wants a list, got '1, 2' (str)"
    assert complaint("def run(n: int): ...", {"n": "5.5"}) == "`n`: wants an integer, got '5.5' (str)"


def test_text_nested_too_deeply_is_refused_in_words() -> None:
    assert "wants a list" in complaint("def run(t: list[int]): ...", {"t": "[" * 100_000})


# Case M6
@pytest.mark.parametrize("tool", list(FIXED))
def test_every_fixed_tool_takes_null_for_each_optional(tool: str) -> None:
    schema = FIXED[tool].input_schema
    required = {name: schema["properties"][name].get("enum", ["x"])[0] for name in schema["required"]}
    given = read_arguments(schema, required | {name: None for name in schema["properties"] if name not in required})
    assert given == required


# Case M7
@pytest.mark.parametrize(
    ("tool", "sent", "read"),
    [
        ("search_workflows", {"query": "[1]", "limit": "5"}, {"query": "[1]", "limit": 5}),
        ("search_workflows", {"query": "q", "limit": 5.0}, {"query": "q", "limit": 5}),
        ("search_workflows", {"query": "q", "tags": '["a"]'}, {"query": "q", "tags": ["a"]}),
        ("search_workflows", {"query": "q", "include_source": "true"}, {"query": "q", "include_source": True}),
        ("get_run", {"run_id": "r", "wait_s": "1.5"}, {"run_id": "r", "wait_s": 1.5}),
        ("run_workflow", {"name": "n", "arguments": '{"a": 1}'}, {"name": "n", "arguments": {"a": 1}}),
        ("run_workflow", {"name": "n", "arguments": []}, {"name": "n", "arguments": {}}),
        (
            "create_workflow",
            {"name": "n", "examples": '[{"arguments": "{\\"a\\": 1}", "expect": "[1]", "match": null}]'},
            {"name": "n", "examples": [{"arguments": {"a": 1}, "expect": "[1]"}]},
        ),
        ("answer_run", {"run_id": "r", "answer": None}, {"run_id": "r", "answer": None}),
    ],
)
def test_fixed_tools_read_by_the_same_rule(tool: str, sent: dict[str, Any], read: dict[str, Any]) -> None:
    assert read_arguments(FIXED[tool].input_schema, sent) == read


def test_a_call_may_wait_as_long_as_this_server_lets_it() -> None:
    """The schema of `get_run` once had its own number, and refused what `inline_deadline_s` allowed."""
    longest = {deadline: _longest_wait(deadline) for deadline in (2.0, 45.0, 120.0, 0.5 + 45)}
    assert longest == {2.0: 45, 45.0: 45, 120.0: 120, 45.5: 45.5}
    schema = fixed_tools(Limits(inline_deadline_s=120))["get_run"].input_schema
    assert read_arguments(schema, {"run_id": "r", "wait_s": 100}) == {"run_id": "r", "wait_s": 100}
    with pytest.raises(BadArguments, match="from 0 to 120"):
        read_arguments(schema, {"run_id": "r", "wait_s": 121})


def _longest_wait(inline_deadline_s: float) -> float:
    schema = fixed_tools(Limits(inline_deadline_s=inline_deadline_s))["get_run"].input_schema
    longest: float = schema["properties"]["wait_s"]["maximum"]
    return longest


def test_descriptions_of_fixed_tools_name_the_limits() -> None:
    tools = fixed_tools(Limits(max_source_bytes=64 * 1024, session_ttl_s=86_400, idempotency_ttl_s=7200))
    assert "at most 64 KiB" in tools["create_workflow"].input_schema["properties"]["source"]["description"]
    options = tools["run_workflow"].input_schema["properties"]
    assert "expires" in options["session_id"]["description"] and "1 days" in options["session_id"]["description"]
    assert "within 2 hours" in options["idempotency_key"]["description"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"limit": "many"}, 'wants integer, got "many"'),
        ({"limit": 5.5}, "wants integer"),
        ({"limit": True}, "wants integer"),
        ({"limit": float("nan")}, "wants integer"),
        ({"limit": "0"}, "from 1 to 100"),
        ({"tags": '[1, "a"]'}, "strings in its list"),
    ],
)
def test_what_means_nothing_is_refused(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(Exception, match=word):
        read_arguments(FIXED["search_workflows"].input_schema, {"query": "q", **arguments})


@pytest.mark.anyio
async def test_m8_a_setting_says_what_is_dropped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    async with Memory("memory-modern", home, {"REPERTOIRE_DROPPED_ARGUMENTS": "trace,span"}).client() as client:
        answer = await made(client, "tagged", TAGGED, tags=["a"], trace=1, span=2)
        assert answer["result"] == ["a5-"], answer
        refused = await made(client, "tagged", TAGGED, tags=["a"], toolCallId="1")
        assert "`toolCallId`: unknown argument" in refused["error"]["message"]
    assert {"toolCallId", "sessionId", "security_context"} < set(HOST_ARGUMENTS)


@pytest.mark.anyio
async def test_m7_answers_and_examples_are_read_likewise(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    async with Memory("memory-legacy", home, {}).client() as client:
        answer = await made(client, "asks", ASKS)
        for sent in ("7", '["Ada"]'):
            assert answer["status"] == "input_required", answer
            answer = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": sent})
            answer = await call(client, "get_run", {"run_id": answer["run_id"], "wait_s": "20"})
        assert answer["result"] == [7, ["Ada"]], answer
        examples: list[dict[str, Any]] = [
            {"arguments": {"tags": ["a"], "limit": None}, "expect": ["a5-"], "expect_error": None, "mocks": None},
            {"arguments": {"tags": 5}, "expect": None, "expect_error": "wants a list", "tolerance": None},
        ]
        made_now = await call(client, "create_workflow", {"name": "shown", "source": TAGGED, "examples": examples})
        assert not made_now["is_error"], made_now


# Case M6
@pytest.mark.anyio
async def test_every_ready_workflow_takes_null_for_each_optional(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    async with Memory("memory-modern", home, {}).client() as client:
        for path in sorted(FOLDER.glob("[a-z]*.py")):
            await _takes_nulls(client, path.stem)


async def _takes_nulls(client: Client, name: str) -> None:
    schema = (await call(client, "get_workflow", {"name": name}))["input_schema"]
    nulls = {key: None for key in schema["properties"] if key not in schema.get("required", ())}
    answer = await call(client, "run_workflow", {"name": name, "arguments": nulls})
    message = (answer.get("error") or {}).get("message", "")
    assert not any(f"`{key}`: wants" in message for key in nulls), (name, message)
