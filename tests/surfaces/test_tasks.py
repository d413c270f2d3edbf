"""The tasks extension of 2026-07-28, with the SDK's own client; and the tools for runs beside it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from repertoire.app import open_app
from repertoire.model.session import Caller
from repertoire.settings import load
from repertoire.surfaces.mcp import build_server
from support.mcp_calls import call, create, eventually, made
from support.tasks_client import EXTENSION, Task, Tasks, begin, cancel, listening, task_of, until, update
from support.transports import Http, Way, open_way, way_in

pytestmark = pytest.mark.anyio

ENVIRON = {"REPERTOIRE_INLINE_DEADLINE_S": "3", "REPERTOIRE_WORKERS": "4"}
MODERN = ["memory-modern", "stdio-modern", "http-modern"]

SLOW = '''"""Take some time."""
import time

def run(seconds: float, fail: bool = False) -> str:
    progress(1, 4, "warming up")
    time.sleep(seconds)
    if fail:
        raise ValueError("it did not work")
    return "done"
'''


@pytest.fixture(params=MODERN, scope="module")
async def modern(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Way]:
    async with open_way(request.param, tmp_path_factory.mktemp("modern") / "home", ENVIRON) as found:
        yield found


async def begun(client: Client, **arguments: Any) -> Task:
    await create(client, "slow", SLOW)
    task = await begin(client, "slow", arguments)
    assert isinstance(task, Task), task
    return task


async def test_the_extension_is_promised(modern: Way) -> None:
    async with modern.client() as client:
        can = client.server_capabilities
        assert can.extensions is not None and can.extensions[EXTENSION] == {}
        assert can.model_dump(exclude_none=True).get("tasks") is None


async def test_a_run_that_takes_longer_than_a_moment_is_a_task(modern: Way) -> None:
    told: list[Any] = []

    async def on_progress(*progress: Any) -> None:
        told.append(progress)

    async with modern.client(extensions=[Tasks()]) as client:
        await create(client, "slow", SLOW)
        arguments = {"name": "slow", "arguments": {"seconds": 1.2}}
        task = await begin(client, "run_workflow", arguments, progress_callback=on_progress)
        assert set(task.wire) == {
            "taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs",
        }  # fmt: skip
        assert task["status"] == "working" and task["taskId"].startswith("workflow:slow:")
        assert task["ttlMs"] is None and 500 <= task["pollIntervalMs"] <= 5000
        assert task["statusMessage"] == "warming up (1 of 4)"
        done = await until(client, task["taskId"], "completed")
        run = await call(client, "get_run", {"run_id": task["taskId"]})
        assert done["result"]["isError"] is False and done["createdAt"] == task["createdAt"]
        envelope = done["result"]["structuredContent"]
        assert envelope == {key: run[key] for key in ("run_id", "session_id", "status", "result")}
        assert envelope["run_id"] == task["taskId"] and envelope["result"] == "done"
        assert json.loads(done["result"]["content"][0]["text"]) == envelope
        assert done["lastUpdatedAt"] > task["createdAt"] and "pollIntervalMs" not in done
        assert "resultType" not in done["result"]
        assert told == []


async def test_a_short_run_is_answered_at_once(modern: Way) -> None:
    async with modern.client(extensions=[Tasks()]) as client:
        await create(client, "slow", SLOW)
        answer = await begin(client, "slow", {"seconds": 0})
        assert isinstance(answer, types.CallToolResult) and answer.structured_content["result"] == "done"


async def test_who_does_not_declare_the_extension_never_meets_a_task(modern: Way) -> None:
    async with modern.client() as client:
        await create(client, "slow", SLOW)
        answer = await begin(client, "slow", {"seconds": 1})
        assert isinstance(answer, types.CallToolResult) and answer.structured_content["status"] == "completed"
        run_id = answer.structured_content["run_id"]
        for request in (task_of, update, cancel):
            with pytest.raises(MCPError) as refused:
                await request(client, run_id)
            assert refused.value.code == -32021
            assert refused.value.data == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


async def test_a_run_that_fails_is_a_completed_task_whose_result_is_an_error(modern: Way) -> None:
    async with modern.client(extensions=[Tasks()]) as client:
        task = await begun(client, seconds=1, fail=True)
        done = await until(client, task["taskId"], "completed")
        assert done["result"]["isError"] is True and done["statusMessage"] == "it did not work"
        assert done["result"]["structuredContent"]["status"] == "failed"
        assert done["result"]["structuredContent"]["error"]["message"] == "it did not work"


async def test_a_task_can_be_cancelled_more_than_once(modern: Way) -> None:
    async with modern.client(extensions=[Tasks()]) as client:
        task = await begun(client, seconds=60)
        for _ in range(2):
            ack = await cancel(client, task["taskId"])
            assert set(ack) <= {"resultType", "_meta"} and ack["resultType"] == "complete"
        done = await until(client, task["taskId"], "cancelled")
        assert "result" not in done and "error" not in done and done["statusMessage"] == "The run was cancelled."
        assert (await call(client, "get_run", {"run_id": task["taskId"]}))["status"] == "cancelled"


async def test_answers_that_nobody_asked_for_are_passed_over(modern: Way) -> None:
    async with modern.client(extensions=[Tasks()]) as client:
        task = await begun(client, seconds=1)
        response = {"action": "accept", "content": {"x": 1}}
        ack = await update(client, task["taskId"], nobody=response, nothing={"ignored": True})
        assert set(ack) <= {"resultType", "_meta"}
        assert (await until(client, task["taskId"], "completed"))["result"]["isError"] is False


async def test_an_unknown_task_is_refused(modern: Way) -> None:
    async with modern.client(extensions=[Tasks()]) as client:
        for unknown in ("nothing", "workflow:slow:01ARZ3NDEKTSV4RRFFQ69G5FAV"):
            for request in (task_of, update, cancel):
                with pytest.raises(MCPError, match="Unknown task") as refused:
                    await request(client, unknown)
                assert refused.value.code == -32602


async def test_somebody_elses_task_is_refused_in_the_words_of_an_unknown_one(tmp_path: Path) -> None:
    async with open_app(load(home=str(tmp_path), environ=ENVIRON)) as app:
        owner, other = (
            build_server(app.service, app.settings.limits, app.changes, lambda ctx, who=who: Caller(principal=who))  # type: ignore[misc]  # bound now
            for who in ("owner", "other")
        )
        async with Client(owner, extensions=[Tasks()]) as mine, Client(other, extensions=[Tasks()]) as theirs:
            task = await begun(mine, seconds=30)
            for request in (task_of, update, cancel):
                with pytest.raises(MCPError) as refused:
                    await request(theirs, task["taskId"])
                with pytest.raises(MCPError) as unknown:
                    await request(theirs, "workflow:slow:01ARZ3NDEKTSV4RRFFQ69G5FAV")
                said = refused.value.error.message.replace(task["taskId"], "ID")
                assert said == unknown.value.error.message.replace("workflow:slow:01ARZ3NDEKTSV4RRFFQ69G5FAV", "ID")
            assert (await task_of(mine, task["taskId"]))["status"] == "working"
            await cancel(mine, task["taskId"])


async def test_a_task_is_stored_before_it_is_answered_and_outlives_its_client(modern: Way) -> None:
    # promise: host-gone
    async with modern.client(extensions=[Tasks()]) as client:
        task = await begun(client, seconds=1.5)
        with sqlite3.connect(modern.home / "repertoire.db") as db:
            assert db.execute("SELECT status FROM run WHERE id = ?", (task["taskId"],)).fetchone() == ("working",)
    if modern.name.startswith("memory"):
        return  # there the client's end is the server's
    async with modern.client(extensions=[Tasks()]) as client:
        done = await until(client, task["taskId"], "completed")
        assert done["result"]["structuredContent"]["result"] == "done"


async def test_a_listener_hears_how_a_task_goes(modern: Way) -> None:
    sleep = "    time.sleep(seconds)\n"
    source = SLOW.replace(sleep, f"{sleep}    progress(2, 4, 'half way')\n{sleep}")
    tasks = Tasks()
    async with modern.client(extensions=[tasks]) as client:
        await create(client, "two_steps", source)
        task = await begin(client, "two_steps", {"seconds": 1})
        async with listening(client, task["taskId"], "workflow:slow:01ARZ3NDEKTSV4RRFFQ69G5FAV"):

            async def ended() -> bool:
                return bool(tasks.heard) and tasks.heard[-1]["status"] == "completed"

            await eventually(ended)
        assert {heard["taskId"] for heard in tasks.heard} == {task["taskId"]}
        assert [(heard["status"], heard.get("statusMessage")) for heard in tasks.heard] == [
            ("working", "warming up (1 of 4)"),
            ("working", "half way (2 of 4)"),
            ("completed", None),
        ]
        got = await task_of(client, task["taskId"])
        assert {**tasks.heard[-1], "_meta": None} == {**got, "_meta": None}


async def test_who_does_not_declare_the_extension_cannot_listen_to_a_task(modern: Way) -> None:
    async with modern.client() as client:
        filter_ = types.SubscriptionFilter.model_validate({"taskIds": ["any"]})
        request = types.SubscriptionsListenRequest(params=types.SubscriptionsListenRequestParams(notifications=filter_))
        with pytest.raises(MCPError) as refused:
            await client.session.send_request(request, types.SubscriptionsListenResult)
        assert refused.value.code == -32021


async def test_the_acknowledgement_names_the_tasks_that_are_told_of(tmp_path: Path) -> None:
    with way_in("http-modern", tmp_path / "home", ENVIRON) as way:
        assert isinstance(way, Http)
        async with way.client(extensions=[Tasks()]) as client, httpx2.AsyncClient() as http:
            task = await begun(client, seconds=1)
            wanted = {"taskIds": [task["taskId"], "workflow:slow:01ARZ3NDEKTSV4RRFFQ69G5FAV"], "toolsListChanged": True}
            body = request_body("subscriptions/listen", {"notifications": wanted})
            sent: dict[str, Any] = {"json": body, "headers": headers("subscriptions/listen")}
            async with http.stream("POST", f"{way.url}/mcp", **sent) as stream:
                frames = [json.loads(line[6:]) async for line in first(stream.aiter_lines(), 2)]
        assert frames[0]["method"] == "notifications/subscriptions/acknowledged"
        assert frames[0]["params"]["notifications"] == {"taskIds": [task["taskId"]], "toolsListChanged": True}
        assert frames[1]["method"] == "notifications/tasks" and frames[1]["params"]["taskId"] == task["taskId"]
        assert [frame["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for frame in frames] == [1, 1]


async def test_the_routing_header_must_be_the_tasks_id(tmp_path: Path) -> None:
    with way_in("http-modern", tmp_path / "home", ENVIRON) as way:
        assert isinstance(way, Http)
        async with way.client(extensions=[Tasks()]) as client, httpx2.AsyncClient() as http:
            task = await begun(client, seconds=30)
            params: dict[str, Any] = {"taskId": task["taskId"]}
            for method in ("tasks/get", "tasks/update", "tasks/cancel"):
                body = request_body(method, params | ({"inputResponses": {}} if method == "tasks/update" else {}))
                for wrong in ({"Mcp-Name": "another"}, {}):
                    answer = await http.post(f"{way.url}/mcp", json=body, headers=headers(method) | wrong)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
                right = {"Mcp-Name": task["taskId"]}
                answer = await http.post(f"{way.url}/mcp", json=body, headers=headers(method) | right)
                assert answer.status_code == 200 and answer.json()["result"]["resultType"] == "complete"


async def test_earlier_revisions_have_no_tasks(tmp_path: Path) -> None:
    with way_in("memory-legacy", tmp_path / "home", ENVIRON) as way:
        async with way.client(extensions=[Tasks()]) as client:
            answer = await made(client, "slow", SLOW, seconds=1)
            assert answer["status"] == "completed"
            with pytest.raises(MCPError) as refused:
                await task_of(client, answer["run_id"])
            assert refused.value.code == -32601


async def test_runs_are_listed_newest_first_and_filtered(modern: Way) -> None:
    async with modern.client() as client:
        await create(client, "listed", SLOW)
        ok = await call(client, "listed", {"seconds": 0})
        bad = await call(client, "listed", {"seconds": 0, "fail": True, "session_id": "new"})

        async def found(**filters: Any) -> list[str]:
            answer = await call(client, "list_runs", {"workflow": "listed", **filters})
            return [run["run_id"] for run in answer["runs"]]

        assert await found() == [bad["run_id"], ok["run_id"]]
        for filters in ({"limit": 1}, {"status": "failed"}, {"session_id": bad["session_id"]}):
            assert await found(**filters) == [bad["run_id"]]
        (row,) = (await call(client, "list_runs", {"workflow": "listed", "status": "completed"}))["runs"]
        assert await found(until=row["created_at"]) == [] and ok["run_id"] in await found(since=row["created_at"])
        assert await found(since="2100-01-01T00:00:00+01:00") == []
        for wrong in ({"since": "yesterday"}, {"status": "done"}, {"limit": 0}):
            refused = await call(client, "list_runs", wrong)
            assert refused["is_error"] and refused["error"]["code"] == "invalid_arguments", refused


def request_body(method: str, params: dict[str, Any]) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


def headers(method: str) -> dict[str, str]:
    accept = "application/json, text/event-stream"
    return {"Accept": accept, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}


async def first(lines: Any, count: int) -> Any:
    """The first events' data lines of a stream."""
    with anyio.fail_after(10):
        async for line in lines:
            if line.startswith("data: "):
                yield line
                count -= 1
                if count == 0:
                    return
