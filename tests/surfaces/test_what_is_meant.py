"""What a model gets that has only the tools: an answer that says what to write instead, once and in short."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from support.mcp_calls import ECHO, call, create, made
from support.transports import Memory

pytestmark = pytest.mark.anyio

DOUBLE = '''"""Double a number."""

def run(number: int) -> int:
    """Double a number.

    Args:
        number: Any.
    """
    return number * 2
'''


def server(home: Path) -> Any:
    return Memory("memory-modern", home, {}).client()


def source_of(body: str) -> str:
    return f'"""Try it."""\n\ndef run() -> object:\n    {body}\n'


async def findings(client: Client, source: str, rule: str = "") -> list[dict[str, Any]]:
    answer = await call(client, "create_workflow", {"name": "tried", "source": source, "replace": True})
    found: list[dict[str, Any]] = answer["findings"]
    return [one for one in found if not rule or one["rule"] == rule]


async def test_g1_g2_a_stored_workflow_is_recognised_wherever_it_is_named(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        await create(client, "double", DOUBLE)
        (called,) = await findings(client, source_of("return double(number=2)"), "ruff:F821")
        (imported,) = await findings(
            client, source_of("from double import run as again; return again(2)"), "unknown_import"
        )
        top = "from double import run as again\n\n" + source_of("return again(2)")
        refused = await call(client, "create_workflow", {"name": "top", "source": top})
        alone = await call(
            client, "create_workflow", {"name": "alone", "source": "import workflows\n" + source_of("pass")}
        )
    for told in (called["hint"], imported["hint"], refused["error"]["hint"]):
        assert "workflows.double(number=...)" in told, told
    assert refused["is_error"] and refused["error"]["code"] == "import_failed" and refused["error"]["line"] == 1
    assert "is a workflow" in refused["error"]["message"] and "without an import" in alone["error"]["message"]
    assert "pip" not in json.dumps([called, imported, refused, alone])


async def test_g3_g17_imports_that_fail_say_what_there_is(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        lacks = await call(
            client,
            "create_workflow",
            {"name": "lacks", "source": "from repertoire import durable_step\n" + source_of("pass")},
        )
        assert lacks["error"]["code"] == "import_failed" and "Is it `step`?" in lacks["error"]["hint"], lacks
        (inside,) = await findings(client, source_of("import no_such_package"), "missing_package")
        assert "the person who runs this server" in inside["hint"] and "Importable are" in inside["hint"]
        top = await call(
            client, "create_workflow", {"name": "top", "source": "import no_such_package\n" + source_of("pass")}
        )
        assert top["error"]["message"] == inside["message"] and "Importable are" in top["error"]["hint"]


async def test_g18_questions_at_a_terminal_and_of_a_wrong_form_are_answered_with_the_right_one(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        typed = await made(client, "typed", source_of("return input('Name?')"))
        chosen = await made(client, "chosen", source_of("return ask('Which?', choices=['a', 'b'])"))
    assert "no terminal" in typed["error"]["message"] and "`ask(question)`" in typed["error"]["message"]
    assert chosen["error"]["message"] == "ask() got an unexpected keyword argument 'choices'"
    assert 'Literal["a", "b"]' in chosen["error"]["hint"] and "expires_s" in chosen["error"]["hint"]


async def test_g18_a_source_and_arguments_as_models_wrap_them_are_understood(tmp_path: Path) -> None:
    wrapped = f"Here it is:\n```python\n{DOUBLE.replace('Args:', 'Args')}```\n"
    async with server(tmp_path) as client:
        created = await create(client, "double", wrapped)
        assert created["input_schema"]["properties"]["number"]["description"] == "Any."
        assert [one for one in created["findings"] if one["rule"] == "undescribed_parameter"] == []
        plain = json.dumps({"number": 4})
        for arguments in (plain, json.dumps(plain), f"```json\n{plain}\n```", '{"number": "4"}'):
            answer = await call(client, "run_workflow", {"name": "double", "arguments": arguments})
            assert answer["result"] == 8, answer


async def test_g22_a_creation_says_each_finding_once_and_in_short(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        found = await findings(client, DOUBLE)
        assert max(Counter(one["rule"] for one in found).values()) == 1
        failed = await call(
            client,
            "create_workflow",
            {"name": "wrong", "source": DOUBLE, "examples": [{"arguments": {"number": 2}, "expect": 5}]},
        )
        assert failed["error"]["code"] == "examples_failed"
        assert json.dumps(failed).count("expected 5") == 1, failed
        twice = [{"arguments": {"number": 2}, "expect": 5}, {"arguments": {"number": 2}, "expect": 6}]
        both = await call(client, "create_workflow", {"name": "wrong", "source": DOUBLE, "examples": twice})
        assert [json.dumps(both).count(f"expected {n}") for n in (5, 6)] == [1, 1]


async def test_g23_a_misspelt_argument_gets_one_line_that_names_the_right_one(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        await create(client, "echo_it", ECHO)
        answer = await call(client, "run_workflow", {"name": "echo_it", "arguments": {"numbr": 1}})
        assert answer["error"]["message"] == "`numbr`: unknown argument; did you mean `number`?"
        own = await call(client, "echo_it", {"Number": 1, "txt": "a"})
        assert own["error"]["message"] == (
            "`Number`: unknown argument; did you mean `number`?; `txt`: unknown argument; did you mean `text`?"
        )
        fixed = await call(client, "get_run", {"run": "x"})
        assert fixed["error"]["message"] == "`run`: unknown argument; did you mean `run_id`?"
        strange = await call(client, "run_workflow", {"name": "echo_it", "arguments": {"number": 1, "q": 1, "zz": 2}})
        assert strange["error"]["message"] == "`q`, `zz`: unknown arguments; this workflow takes number, text"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_tool", "search_workflows and list_workflows show what there is."),
        ("post", "Did you mean post_to_social?"),
        ("search_workflow", "Did you mean search_workflows"),
        ("create", "Did you mean create_workflow"),
        ("runworkflow", "Did you mean run_workflow"),
        ("cancel_runs", "Did you mean cancel_run or cancel_rums?"),
    ],
)
async def test_g24_an_unknown_tool_is_answered_with_near_names_fixed_tools_first(
    tmp_path: Path, name: str, said: str
) -> None:
    async with server(tmp_path) as client:
        for other in ("post_to_social", "cancel_rums"):
            await create(client, other, ECHO)
        with pytest.raises(MCPError, match=re.escape(f"Unknown tool: {name}. {said}")):
            await client.call_tool(name, {})
