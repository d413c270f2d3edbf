"""The function style in the service: files as they are written for other systems become tools, and stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from repertoire.errors import Refused, UnknownWorkflow
from repertoire.model.session import Caller
from repertoire.surfaces.mcp import build_server
from support.mcp_calls import call, create
from support.services import opened, run
from support.transports import Memory
from support.workers import pooled

ASK = '''
{define} run(url: str, headers: dict = None) -> dict:
    """Ask an address and read its answer.

    Args:
        url: Whom to ask.
        headers: What to say of oneself.
    """
    import json

    answer = tools.curl.get(url=url) if url.startswith("http") else "<html>"
    try:
        return json.loads(answer)
    except json.JSONDecodeError as error:
        raise RuntimeError(f"No JSON from {{url}}: {{error}}") from error
'''

GREET = 'def run(name: str = "World") -> str:\n    """Greet."""\n    return f"Hello, {name}!"\n'


@pytest.fixture
def home(tmp_path: Path) -> Memory:
    (tmp_path / "workflows").mkdir()
    tmp_path.chmod(0o700)
    return Memory("memory-modern", tmp_path, {})


@pytest.mark.anyio
async def test_b1_b2_sync_and_async_files_that_mention_tools_are_published_alike(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        made = [
            await app.service.publishing.create(Caller(), name, ASK.format(define=define))
            for name, define in (("ask_it", "def"), ("ask_it_later", "async def"))
        ]
        assert made[0]["input_schema"] == made[1]["input_schema"]
        assert made[0]["input_schema"]["properties"] == {
            "url": {"type": "string", "description": "Whom to ask."},
            "headers": {
                "type": "object",
                "additionalProperties": True,
                "default": None,
                "description": "What to say of oneself.",
            },
        }
        assert made[0]["input_schema"]["required"] == ["url"]
        for name in ("ask_it", "ask_it_later"):
            assert (await app.service.versions.get(Caller(), name))[
                "description"
            ] == "Ask an address and read its answer."
            answer = await run(app, Caller(), name, url="http://nowhere")
            assert answer["error"]["type"] == "ToolNotAllowed" and "curl" in answer["error"]["message"], answer
            assert answer["error"]["line"] == 11


@pytest.mark.anyio
async def test_b18_what_a_body_raises_from_something_else_is_told_with_its_line(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await app.service.publishing.create(Caller(), "ask_it", ASK.format(define="def"))
        answer = await run(app, Caller(), "ask_it", url="file", headers=None)
        assert answer["status"] == "failed" and answer["run_id"].startswith("workflow:ask_it:")
        assert answer["error"]["type"] == "RuntimeError" and answer["error"]["line"] == 15
        assert answer["error"]["message"].startswith("No JSON from file: Expecting value")


@pytest.mark.anyio
async def test_b3_b9_a_given_description_stays_over_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await app.service.publishing.create(Caller(), "greet", GREET, "Say hello to somebody")
    async with opened(tmp_path) as app:
        known = await app.service.versions.get(Caller(), "greet")
        assert (known["description"], known["source"]) == ("Say hello to somebody", GREET)
        assert list(known["input_schema"]["properties"]) == ["name"]
        items = (await app.service.library.list_workflows(Caller()))["workflows"]
        found = (await app.service.library.search(Caller(), "hello somebody"))["matches"]
        for rows in (items, found):
            row = next(row for row in rows if row["name"] == "greet")
            assert row["description"] == "Say hello to somebody"
        with pytest.raises(UnknownWorkflow, match="greet_you") as caught:
            await app.service.versions.get(Caller(), "greet_you")
        assert "greet" in (caught.value.hint or "")


@pytest.mark.anyio
async def test_b5_a_bad_name_leaves_no_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with opened(home) as app:
        before = sorted(path for path in tmp_path.rglob("*") if path.suffix == ".py")
        for name in ("a-b", "1x", "", "../../x", "list", "search", "get", "invoke", "create", "delete", "class"):
            with pytest.raises(Refused) as caught:
                await app.service.publishing.create(Caller(), name, GREET)
            assert caught.value.reason == "bad_name"
            assert ("reserved" in caught.value.message) == name.isalpha() * (name != "class")
        assert sorted(path for path in tmp_path.rglob("*") if path.suffix == ".py") == before


@pytest.mark.anyio
async def test_b7_deleting_and_creating_again_makes_a_version(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        first = await app.service.publishing.create(Caller(), "greet", GREET)
        with pytest.raises(Refused, match="greet"):
            await app.service.publishing.create(Caller(), "greet", GREET.replace("Hello", "Hi"))
        assert (await run(app, Caller(), "greet"))["result"] == "Hello, World!"
        assert await app.service.publishing.delete(Caller(), "greet")
        second = await app.service.publishing.create(Caller(), "greet", GREET.replace("Hello", "Hi"))
        assert second["version"] != first["version"]
        assert (await run(app, Caller(), "greet"))["result"] == "Hi, World!"


@pytest.mark.anyio
async def test_b8_a_deleted_tool_disappears_and_listeners_hear_of_it(home: Memory) -> None:
    async with home.client() as client:
        await create(client, "greet", GREET)
        async with client.listen(tools_list_changed=True) as changes:
            assert (await call(client, "delete_workflow", {"name": "greet"}))["deleted"] is True
            with anyio.fail_after(5):
                async for _ in changes:
                    break
        assert "greet" not in [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]
        assert (await call(client, "delete_workflow", {"name": "greet"}))["deleted"] is False


@pytest.mark.anyio
async def test_b15_a_parameter_called_name_is_an_ordinary_one(home: Memory) -> None:
    async with home.client() as client:
        await create(client, "greet", GREET)
        assert (await call(client, "greet"))["result"] == "Hello, World!"
        answer = await call(client, "run_workflow", {"name": "greet", "arguments": {"name": "Ada"}})
        assert answer["result"] == "Hello, Ada!"


def test_b19_one_body_cannot_rebind_what_another_is_given() -> None:
    bend = """
    import repertoire
    tools = None
    def run():
        global tools, workflows
        tools = workflows = "mine"
        repertoire.tools = repertoire.Context = "mine"
        return tools
    """
    look = """
    import repertoire
    from repertoire import tools as imported
    def run(ctx):
        ctx.log.info("said")
        return [repr(tools), repr(workflows), repr(imported), isinstance(ctx, repertoire.Context)]
    """
    with pooled() as (worker, _):
        for _ in range(2):
            tools = "<tools>"
            assert worker.result(look) == [tools, "<workflows>", tools, True]
            assert worker.messages == ["said"]
            worker.run(bend)
        for bent in ("tools.curl", "log.info"):
            assert worker.fault(f"def run():\n    {bent} = 1").type == "AttributeError"


@pytest.mark.anyio
async def test_b38_a_hundred_stored_workflows_cost_neither_start_nor_calls(tmp_path: Path) -> None:
    source = 'def run(n: int = 1) -> int:\n    """Give a number back."""\n    return n\n'
    async with opened(tmp_path) as app:
        for number in range(100):
            await app.service.publishing.create(Caller(), f"gives_{number:02}", source)
    async with opened(tmp_path) as app:
        server = build_server(app.service, app.settings.limits, app.changes, lambda ctx: Caller())
        async with Client(server) as client:
            listed: list[Any] = list((await client.list_tools()).tools)
            assert len(listed) == 40
            for number in range(12):  # how long it takes is `python -m benchmarks start call`
                assert (await call(client, "gives_07", {"n": number}))["result"] == number
