"""The main job over every transport and both eras, with the SDK's own client."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from support.mcp_calls import COUNT, ECHO, call, create, eventually, made
from support.transports import Way, runs_of

pytestmark = pytest.mark.anyio

ENVIRON = {"REPERTOIRE_INLINE_DEADLINE_S": "3", "REPERTOIRE_WORKER_MEMORY_MB": "512", "REPERTOIRE_WORKERS": "4"}


async def test_a_file_becomes_a_typed_tool(way: Way) -> None:
    (way.home / "workflows" / "echo_file.py").write_text(ECHO)
    async with way.client() as client:

        async def listed() -> bool:
            return "echo_file" in [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]

        await eventually(listed)
        tools = (await client.list_tools(cache_mode="refresh")).tools
        assert [tool.name for tool in tools[:3]] == ["search_workflows", "list_workflows", "get_workflow"]
        tool = next(tool for tool in tools if tool.name == "echo_file")
        assert tool.description == "Give back what came." and tool.title == "Echo file"
        assert tool.input_schema["properties"]["number"] == {"type": "integer", "description": "Any whole number."}
        assert tool.input_schema["required"] == ["number"] and "session_id" in tool.input_schema["properties"]
        assert tool.output_schema is not None and tool.output_schema["properties"].keys() == {
            "run_id",
            "session_id",
            "status",
            "result",
        }
        answer = await call(client, "echo_file", {"number": "5"})
        assert answer["status"] == "completed" and answer["result"] == {"number": 5, "text": "x"}
        assert answer["run_id"].startswith("workflow:echo_file:")


async def test_a_created_workflow_is_usable_in_the_same_turn_and_then_listed(way: Way) -> None:
    async with way.client() as client:
        created = await create(client, "made_now", ECHO)
        assert created["input_schema"]["required"] == ["number"] and len(created["version"]) == 12
        assert created["isolation"].startswith(("sandboxed: ", "none: ", "interpreted: "))
        assert "isolation" not in [one["rule"] for one in created["findings"]]
        answer = await call(client, "run_workflow", {"name": "made_now", "arguments": {"number": 1}})
        assert answer["result"] == {"number": 1, "text": "x"}
        assert "made_now" in [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]
        assert (await call(client, "made_now", {"number": 2}))["result"]["number"] == 2
        found = await call(client, "search_workflows", {"query": "give back what came"})
        assert "made_now" in [match["name"] for match in found["matches"]] and found["ranking"] == "lexical"
        again = await call(client, "create_workflow", {"name": "made_now", "source": ECHO})
        assert again["is_error"] and again["error"]["code"] == "name_taken"
        assert (await call(client, "delete_workflow", {"name": "made_now"}))["deleted"] is True
        assert (await call(client, "delete_workflow", {"name": "made_now"}))["deleted"] is False
        assert (await call(client, "get_run", {"run_id": answer["run_id"]}))["result"] == answer["result"]
        nothing = await call(client, "search_workflows", {"query": "xyzzy plugh"})
        assert nothing["matches"] == [] and "create_workflow" in nothing["hint"]


async def test_clients_hear_that_the_list_has_changed(way: Way) -> None:
    heard = anyio.Event()

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            heard.set()

    if way.name.endswith("legacy"):
        async with way.client(message_handler=on_message) as client:
            await create(client, f"news_{len(way.name)}", ECHO)
            with anyio.fail_after(5):
                await heard.wait()
        return
    async with way.client() as client, client.listen(tools_list_changed=True) as changes:
        await create(client, "news", ECHO)
        with anyio.fail_after(5):
            async for _ in changes:
                break


async def test_state_persists_per_client_and_over_reconnects(way: Way) -> None:
    stateless = way.name == "http-modern"
    async with way.client() as client:
        await create(client, "count", COUNT)
        first = await call(client, "count", {"session_id": "new"})
        assert first["result"] == 1
        mine = {"session_id": first["session_id"]}
        assert (await call(client, "count", {**mine, "by": 4}))["result"] == 5
        default = await call(client, "count")
        assert default["session_id"] != first["session_id"]
        second = await call(client, "count")
        assert (second["session_id"] == default["session_id"]) != stateless
        assert second["result"] == (1 if stateless else default["result"] + 1)
        for bad in ("s_nobody", ""):
            refused = await call(client, "count", {"session_id": bad})
            assert refused["is_error"] and refused["error"]["code"] == "unknown_session"
    async with way.client() as client:
        assert (await call(client, "count", mine))["result"] == 6
        if way.name.startswith(("memory", "stdio")):
            assert (await call(client, "count"))["result"] == second["result"] + 1


async def test_eight_parallel_increments_give_eight(way: Way) -> None:
    async with way.client() as client:
        await create(client, "count", COUNT)
        session = (await call(client, "count", {"session_id": "new", "by": 0}))["session_id"]
        answers = await asyncio.gather(*(call(client, "count", {"session_id": session}) for _ in range(8)))
        assert sorted(answer["result"] for answer in answers) == list(range(1, 9))


async def test_progress_increases_and_prints_become_log_events(way: Way) -> None:
    source = '''"""Work in steps."""
import time

def run() -> str:
    for i in range(5):
        progress(i + 1, 5, f"step {i + 1}")
        time.sleep(0.05)
    print("done, says print")
    log.warning("careful", reason="a test")
    return "ok"
'''
    seen: list[tuple[float, float | None, str | None]] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total, message))

    async with way.client() as client:
        await create(client, "steps", source)
        answer = await call(client, "steps", {}, progress_callback=on_progress)
        values = [done for done, _, _ in seen]
        assert values == sorted(set(values)) and len(values) >= 3
        # a client may drop what reaches it together with the answer: on a busy machine that is the last of them
        assert values[-1] >= 5 and seen[-1][1:] in ((None, "careful"), (None, "done, says print"))
        assert all(total is None or done <= total == 5 for done, total, _ in seen)
        events = (await call(client, "get_run", {"run_id": answer["run_id"], "events": "all"}))["events"]
        assert [event["n"] for event in events] == list(range(1, len(events) + 1))
        assert [event["type"] for event in events] == ["run_start", *["progress"] * 5, "log", "log", "run_end"]
        assert [event["data"].get("message") for event in events if event["type"] == "log"] == [
            "done, says print",
            "careful",
        ]
        rest = (await call(client, "get_run", {"run_id": answer["run_id"], "after_event": 7}))["events"]
        assert [event["n"] for event in rest] == [8, 9]


async def test_yielded_items_stream_and_are_the_result(way: Way) -> None:
    source = '"""Yield squares."""\nfrom collections.abc import AsyncIterator\n\nasync def run(n: int) -> AsyncIterator[int]:\n'
    source += "    for i in range(n):\n        yield i * i\n"
    async with way.client() as client:
        answer = await made(client, "squares", source, n=4)
        assert answer["result"] == [0, 1, 4, 9]
        events = (await call(client, "get_run", {"run_id": answer["run_id"]}))["events"]
        assert [event["data"]["value"] for event in events if event["type"] == "item"] == [0, 1, 4, 9]


async def test_a_long_call_answers_working_and_goes_on(way: Way) -> None:
    source = (
        '"""Be slow."""\nimport time\n\ndef run(seconds: float) -> str:\n    time.sleep(seconds)\n    return "late"\n'
    )
    async with way.client() as client:
        answer = await made(client, "slow", source, seconds=3.6)
        assert answer["status"] == "working" and answer["result"] is None and not answer["is_error"]
        later = await call(client, "get_run", {"run_id": answer["run_id"], "wait_s": 10})
        assert (later["status"], later["result"]) == ("completed", "late")


async def test_a_run_can_be_cancelled(way: Way) -> None:
    async with way.client() as client:
        await create(
            client, "spin", '"""Spin."""\n\ndef run() -> None:\n    print("spinning")\n    while True:\n        pass\n'
        )
        answers: list[dict[str, Any]] = []

        async def spin() -> None:
            answers.append(await call(client, "spin", {"session_id": "new"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spin)
            run_id = ""

            async def started() -> bool:
                nonlocal run_id
                rows = (await call(client, "list_runs", {"status": "working"}))["runs"]
                run_id = rows[0]["run_id"] if rows else ""
                return bool(rows)

            if way.name.startswith("stdio"):
                await eventually(started)
                assert (await call(client, "cancel_run", {"run_id": run_id}))["status"] == "cancelled"
        if not way.name.startswith("stdio"):
            run_id = answers[0]["run_id"]
            assert answers[0]["status"] == "working"
            assert (await call(client, "cancel_run", {"run_id": run_id}))["status"] == "cancelled"
        else:
            assert answers[0]["status"] == "cancelled" and answers[0]["is_error"]
        again = await call(client, "cancel_run", {"run_id": run_id})
        assert again["status"] == "cancelled"
        assert (await made(client, "after", ECHO, number=1))["status"] == "completed"


async def test_a_client_that_times_out_leaves_its_run_going(way: Way) -> None:
    if way.name == "http-modern":
        await a_closed_stream_cancels(way)
        return
    source = '"""Be slow."""\nimport time\n\ndef run() -> str:\n    time.sleep(1.5)\n    session_state["ran"] = True\n    return "kept"\n'
    probe = '"""Look."""\n\ndef run() -> None: ...\n'
    async with way.client() as client:
        await create(client, "kept", source)
        await create(client, "probe", probe)
        session = (await call(client, "probe", {"session_id": "new"}))["session_id"]
        with pytest.raises(MCPError):
            await client.call_tool("kept", {"session_id": session}, read_timeout_seconds=0.5)

        async def finished() -> bool:
            return (await _statuses(way, "kept"))[:1] == ["completed"]

        await eventually(finished)


async def a_closed_stream_cancels(way: Way) -> None:
    """On 2026-07-28 HTTP the client's time-out closes the stream, which the protocol defines as cancelling."""
    async with way.client() as client:
        await create(client, "spin_on", '"""Spin."""\n\ndef run() -> None:\n    while True:\n        pass\n')
        with pytest.raises(MCPError):
            await client.call_tool("spin_on", {}, read_timeout_seconds=0.7)

        async def cancelled() -> bool:
            return await _statuses(way, "spin_on") == ["cancelled"]

        await eventually(cancelled)


async def _statuses(way: Way, workflow: str) -> list[str]:
    """Newest first. In memory the test's own process owns the home, so no command could ask it."""
    if way.name.startswith("memory"):
        with sqlite3.connect(way.home / "repertoire.db") as db:
            query = "SELECT status FROM run WHERE workflow = ? ORDER BY created_at DESC"
            return [status for (status,) in db.execute(query, (workflow,))]
    return [row["status"] for row in await runs_of(way.home, "--workflow", workflow)]


async def test_resources_and_the_prompt(way: Way) -> None:
    async with way.client() as client:
        answer = await made(client, "readable", ECHO, number=3)
        source = await client.read_resource("workflow:///readable")
        assert source.contents[0].text == ECHO  # type: ignore[union-attr]
        quoted = answer["run_id"].replace(":", "%3A")
        run = await client.read_resource(f"run:///{quoted}")
        assert json.loads(run.contents[0].text)["result"]["number"] == 3  # type: ignore[union-attr]
        templates = {template.uri_template for template in (await client.list_resource_templates()).resource_templates}
        assert templates == {"workflow:///{name}", "run:///{run_id}", "artifact:///{+name}"}
        assert "workflow:///readable" in [str(resource.uri) for resource in (await client.list_resources()).resources]
        with pytest.raises(MCPError, match="Unknown resource"):
            await client.read_resource("workflow:///nobody")
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["write_workflow"]
        prompt = await client.get_prompt("write_workflow", {"task": "count words"})
        assert "count words" in prompt.messages[0].content.text  # type: ignore[union-attr]
