"""What the fixed tools teach: their descriptions, the tool `guide`, the prompt and the instructions; and what they cost a model to read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from repertoire.limits import Limits
from repertoire.registry.review.ruff import GLOBALS
from repertoire.surfaces.mcp.fixed_tools import fixed_tools
from repertoire.surfaces.mcp.guide import TOPICS, page
from support.mcp_calls import call, create
from support.outside import need_node, run_node
from support.pages import blocks
from support.transports import Memory, http_server

DOCS = Path(__file__).parents[2] / "docs"
TOOLS = {name: tool.model_dump(by_alias=True, mode="json", exclude_none=True) for name, tool in fixed_tools(Limits()).items()}  # fmt: skip
MOST_TOKENS = 3_000
SHOWN: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "Give the most frequent": ({"text": "b a b", "most": 1}, None, ["b"]),
    "Append a line": ({"path": "FOLDER/greetings.txt", "names": ["a", "bo", "a"]}, None, 2),
    "Read two counters": ({"steps": [2, 3]}, None, [2, 3]),
    "Drop names": ({"names": ["a"]}, True, []),
}
"""The examples of the page: arguments, the answer to the question, the result."""


def tokens(value: Any) -> int:
    """Tokens of the compact JSON, as a quarter of its bytes. That is a little more than the tokenizers of known models count: when
    tools/list had 13,526 bytes, o200k_base made 3,256 tokens of it and cl100k_base 3,163. This counts 3,381, and needs no package."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) // 4


def test_the_fixed_tools_cost_a_model_little() -> None:
    assert tokens(list(TOOLS.values())) <= MOST_TOKENS, {name: tokens(tool) for name, tool in TOOLS.items()}


@pytest.mark.anyio
async def test_g1_everything_ambient_is_named_where_a_model_looks(tmp_path: Path) -> None:
    """In the description of create_workflow, a line each; on the page `writing`; and in the prompt. The rule stands in all of them."""
    names = set(GLOBALS)
    lines = TOOLS["create_workflow"]["description"].splitlines()
    for name in names:
        assert any(re.match(rf"@?(\w+\(?.*, |.*; )?{name}\b", line) for line in lines), name
    async with Memory("memory-modern", tmp_path, {}).client() as client:
        prompt = (await client.get_prompt("write_workflow", {"task": "x"})).messages[0].content.text  # type: ignore[union-attr]
        instructions = client.instructions or ""
    for text in (page("writing"), prompt):
        assert {name for name in names if f"`{name}" in text or f"`@{name}" in text} == names
    for text in (TOOLS["create_workflow"]["description"], page("surviving"), prompt, instructions):
        assert re.search(r"effects .*go into a `?step", text)
    assert "guide(topic)" in instructions and "guide(topic)" in TOOLS["create_workflow"]["description"]


def test_the_schema_of_guide_names_its_topics() -> None:
    assert TOOLS["guide"]["inputSchema"]["properties"]["topic"]["enum"] == list(TOPICS)
    headings = re.findall(r"^## (\w+)$", (DOCS / "guide.md").read_text(), re.MULTILINE)
    assert [heading.lower() for heading in headings] == list(TOPICS)


@pytest.mark.anyio
async def test_the_guide_answers_with_a_page_of_text(tmp_path: Path) -> None:
    async with Memory("memory-modern", tmp_path, {}).client() as client:
        for topic in TOPICS:
            answer = await client.call_tool("guide", {"topic": topic})
            (content,) = answer.content
            assert not answer.is_error and content.text == page(topic)  # type: ignore[union-attr]
        refused = await call(client, "guide", {"topic": "everything"})
        assert refused["is_error"] and "surviving" in refused["error"]["message"]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_whole_and_not_long(topic: str) -> None:
    text = page(topic)
    assert 200 < len(text) // 4 < 2_500
    assert "<!--" not in text and "](" not in text


def test_the_page_on_packages_is_the_list_of_this_server() -> None:
    text = page("packages")
    assert re.search(r"Importable here, .*\bpydantic 2\.\d+", text) and "| asynchat, " in text and "tools.fetch" in text
    assert not re.search(r"\b(pip|pytest|certifi|httpx)\b", text), (
        "tools, and packages that are of no use without a network"
    )
    other = page("packages", ("-pydantic", "pytest", "-sqlite3"))
    assert re.search(r"Importable here, .*\bpytest \d", other) and "This server excludes pydantic, sqlite3." in other


def shown() -> list[str]:
    return blocks((DOCS / "guide.md").read_text(), "python")


@pytest.mark.anyio
@pytest.mark.parametrize("source", shown(), ids=lambda source: str(source)[3:20])
async def test_what_the_guide_shows_is_published_without_a_remark_and_runs(tmp_path: Path, source: str) -> None:
    ((arguments, reply, result),) = [row for begin, row in SHOWN.items() if source.startswith(f'"""{begin}')]
    arguments = json.loads(json.dumps(arguments).replace("FOLDER", "."))
    async with Memory("memory-legacy", tmp_path / "home", {}).client() as client:
        created = await create(client, "shown", source)
        assert [one for one in created["findings"] if one["rule"] != "no_examples"] == []
        answer = await call(client, "run_workflow", {"name": "shown", "arguments": arguments})
        if reply is not None:
            await call(client, "answer_run", {"run_id": answer["run_id"], "answer": reply})
            answer = await call(client, "get_run", {"run_id": answer["run_id"], "wait_s": 20})
        assert (answer["status"], answer["result"]) == ("completed", result), answer


@pytest.mark.anyio
async def test_the_examples_that_the_guide_shows_hold(tmp_path: Path) -> None:
    asking, frequent = map(json.loads, blocks((DOCS / "guide.md").read_text(), "json"))
    async with Memory("memory-modern", tmp_path, {}).client() as client:
        for number, examples in ((0, frequent), (3, asking)):
            arguments = {"name": f"shown_{number}", "source": shown()[number], "examples": examples}
            created = await call(client, "create_workflow", arguments)
            assert created["status"] == "published", created
            assert created["examples"] == {"passed": len(examples), "failed": 0} and "unused_mock" not in json.dumps(
                created
            )


def loose(schema: Any, place: str = "") -> list[str]:
    """Places where a strict host warns: a list of types, a schema without any word of validation."""
    if isinstance(schema, list):
        return [found for number, one in enumerate(schema) for found in loose(one, f"{place}/{number}")]
    if not isinstance(schema, dict):
        return []
    inner = [*schema.get("properties", {}).items(), ("items", schema.get("items")), ("anyOf", schema.get("anyOf"))]
    own = [place] if isinstance(schema.get("type"), list) or not {"type", "enum", "anyOf"} & set(schema) else []
    return own + [found for name, one in inner for found in loose(one, f"{place}/{name}")]


def test_n26_no_schema_of_ours_is_loose() -> None:
    schemas = [schema for tool in TOOLS.values() for schema in (tool["inputSchema"], tool.get("outputSchema"))]
    assert loose(schemas) == [] and loose({"type": "array", "items": {}}) == ["/items"]


def test_n26_the_inspector_has_nothing_to_say_of_our_tools(tmp_path: Path) -> None:
    need_node()
    with http_server(tmp_path, {}) as url:
        options = ["--protocol-era", "modern", "--transport", "http", "--format", "json", "-q"]
        done = run_node("mcp-inspector", "--cli", *options, f"{url}/mcp", "--method", "tools/list", "--strict")
    assert done.returncode == 0 and {*TOOLS} <= {tool["name"] for tool in json.loads(done.stdout)["result"]["tools"]}
    warned = re.findall(r"^\s*(?:tool )?[`\"']?(\w+)", done.stderr, re.MULTILINE)
    assert {*TOOLS} & {*warned} == set(), done.stderr
