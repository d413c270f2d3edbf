"""run_code as clients see it, over every transport."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.mcp_calls import call, create
from support.pages import blocks
from support.transports import Way

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "run-code.md").read_text()
COUNT = '''def run(text: str) -> dict[str, int]:
    """Count the words of a text."""
    return {"words": len(text.split())}
'''

DOUBLE = '''def run(n: int) -> int:
    """Double a number."""
    return n * 2
'''


async def test_an_agent_combines_workflows_in_one_call(way: Way) -> None:
    async with way.client() as client:
        await create(client, "double", DOUBLE)
        source = (
            "import asyncio\n\nfound = await asyncio.gather(*(workflows.double(n=n) for n in numbers))\nsum(found)\n"
        )
        done = await call(client, "run_code", {"source": source, "arguments": {"numbers": [1, 2, 3]}})
        assert (done["status"], done["result"], done["is_error"]) == ("completed", 12, False)
        listed = await call(client, "list_runs", {"workflow": "run_code"})
        assert [one["run_id"] for one in listed["runs"]] == [done["run_id"]]
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert "run_code" in tools and not tools & {"search", "run_code_1"}


async def test_an_agent_is_told_what_to_correct(way: Way) -> None:
    async with way.client() as client:
        wrong = await call(client, "run_code", {"source": "n = 1\njson.dumps(n)\n"})
        assert wrong["is_error"] and wrong["error"]["code"] == "cannot_work" and wrong["error"]["line"] == 2
        assert wrong["error"]["hint"] == "Add at the top: import json" and wrong["next"].startswith("run_code(source")
        misnamed = await call(client, "run_code", {"source": DOUBLE, "arguments": {"m": 1}})
        assert misnamed["error"]["code"] == "invalid_arguments"
        assert misnamed["next"] == "run_code(source=..., arguments=...)"
        assert (await call(client, "run_code", {}))["is_error"]


async def test_code_that_asks_is_answered(way: Way) -> None:
    async with way.client() as client:
        asked = await call(client, "run_code", {"source": 'answer = await ask("Which?", str)\nanswer.upper()'})
        assert asked["status"] == "input_required"
        done = await call(client, "answer_run", {"run_id": asked["run_id"], "answer": "this"})
        assert (done["status"], done["result"]) == ("completed", "THIS")


async def test_code_that_takes_long_is_fetched_and_cancelled(way: Way) -> None:
    async with way.client() as client:
        works = await call(client, "run_code", {"source": "sleep(600)\n1", "wait_s": 0})
        assert works["status"] == "working" and works["next"].startswith("get_run(")
        gone = await call(client, "cancel_run", {"run_id": works["run_id"]})
        assert gone["status"] == "cancelled"


async def test_the_page_s_example_gives_what_it_says(way: Way) -> None:
    said = re.search(r"`arguments=(.*?)` the run's result is `(.*?)`", PAGE)
    assert said is not None
    async with way.client() as client:
        await create(client, "word_count", COUNT)
        done = await call(client, "run_code", {"source": blocks(PAGE, "py")[0], "arguments": json.loads(said[1])})
        assert done["result"] == json.loads(said[2])


async def test_a_result_goes_on_without_being_repeated(way: Way) -> None:
    async with way.client() as client:
        await create(client, "word_count", COUNT)
        made = await call(client, "run_code", {"source": '"word " * n', "arguments": {"n": 50_000}})
        assert made["parts"] > 1
        text = {"$ref": f"run:///{made['run_id']}#/result"}
        for name, arguments in (
            ("word_count", {"text": text}),
            ("run_workflow", {"name": "word_count", "arguments": {"text": text}}),
            ("run_code", {"source": "await workflows.word_count(text=text)", "arguments": {"text": text}}),
        ):
            assert (await call(client, name, arguments))["result"] == {"words": 50_000}
        wrong = await call(client, "word_count", {"text": {"$ref": "run:///nothing"}})
        assert wrong["is_error"] and "there is no such run" in wrong["error"]["message"] and "run_id" not in wrong
