"""Answers to a model that has only the tools: each unfinished one and each refusal says how to go on, and nothing is null in silence."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from support.hosts import node_problems
from support.mcp_calls import COUNT, ECHO, call, create, eventually, made
from support.outside import need_node
from support.transports import Way, open_way

pytestmark = pytest.mark.anyio

ENVIRON = {"REPERTOIRE_INLINE_DEADLINE_S": "8", "REPERTOIRE_WORKERS": "4", "REPERTOIRE_INLINE_RESULT_CHARS": "100"}
ASKING = '''"""Ask how many, then say it."""
from repertoire import ask

def run(title: str, pages: int = 1) -> str:
    copies = ask(f"How many of {title}?", {"type": "integer", "minimum": 1})
    return f"{copies} of {title}"
'''
TWO = '''"""Ask two things at once."""
import asyncio

from repertoire import ask

async def run() -> list[int]:
    return list(await asyncio.gather(ask("The first?", {"type": "integer"}), ask("The second?", {"type": "integer"})))
'''
NUMBERS = '''"""Give what JSON has no word for."""
from dataclasses import dataclass
from typing import Any

@dataclass
class Point:
    x: float
    y: float | None = None

def run(kind: str) -> Any:
    nan, inf = float("nan"), float("inf")
    return {
        "nan": nan, "deep": {"rows": [1.0, {"mean": -inf}], "none": None}, "point": Point(inf), "many": [nan] * 9, "fine": [None, 1.5],
    }[kind]
'''
SLOW = '''"""Wait, and tell of it."""
import time

def run(seconds: float, steps: int = 4) -> str:
    log.info("begun")
    for step in range(steps):
        progress(step + 1, steps, f"step {step + 1}")
        time.sleep(seconds / steps)
    log.info("done with it")
    return "done"
'''


@pytest.fixture(params=["memory-modern", "memory-legacy"], scope="module")
async def way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Way]:
    async with open_way(request.param, tmp_path_factory.mktemp("envelope") / "home", ENVIRON) as found:
        yield found


async def follow(client: Client, text: str) -> dict[str, Any]:
    """Make the call that `next` says, as a model would."""
    name, _, rest = text.partition("(")
    inside = rest[: rest.index(")")]
    words = dict(word.split("=", 1) for word in inside.split(", ") if word)
    return await call(client, name, {key: json.loads(value) for key, value in words.items() if value != "..."})


async def test_g7_a_wrong_answer_leaves_the_run_waiting_and_says_why(way: Way) -> None:
    async with way.client() as client:
        await create(client, "asking", ASKING)
        asked = await call(client, "asking", {"title": "Faust"})
        assert asked["next"] == f'answer_run(run_id="{asked["run_id"]}", answer=...)'
        wrong = await call(client, "answer_run", {"run_id": asked["run_id"], "answer": "many"})
        assert wrong["is_error"] and wrong["run_id"] == asked["run_id"] and wrong["status"] == "input_required"
        assert wrong["questions"] == asked["questions"] and wrong["next"] == asked["next"]
        assert (
            wrong["error"]["code"] == "invalid_arguments"
            and "'many' is not of type 'integer'" in wrong["error"]["message"]
        )


async def test_g7_a_right_answer_gives_the_result(way: Way) -> None:
    told: list[str | None] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    source = ASKING.replace(
        "    return f", '    import time\n    progress(1, 2, "printing")\n    time.sleep(0.3)\n    return f'
    )
    async with way.client() as client:
        await create(client, "asking_on", source)
        asked = await call(client, "asking_on", {"title": "Faust"})
        right = await call(
            client, "answer_run", {"run_id": asked["run_id"], "answer": 3}, progress_callback=on_progress
        )
        assert (right["status"], right["result"], right["run_id"]) == ("completed", "3 of Faust", asked["run_id"])
        assert "next" not in right and told[-1] == "printing"
        again = await call(client, "answer_run", {"run_id": asked["run_id"], "answer": 3})
        assert again["is_error"] and "asks nothing now" in again["error"]["message"]
        assert (await follow(client, again["next"]))["result"] == "3 of Faust"


async def test_g7_of_two_questions_the_next_call_names_the_first_that_is_open(way: Way) -> None:
    async with way.client() as client:
        await create(client, "two", TWO)
        asked = await call(client, "two")
        first, second = asked["questions"]
        assert first["id"] in asked["next"]
        unclear = await call(client, "answer_run", {"run_id": asked["run_id"], "answer": 1})
        assert unclear["status"] == "input_required" and unclear["is_error"] and first["id"] in unclear["next"]
        given = {"run_id": asked["run_id"], "answer": 1, "question_id": first["id"]}
        left = await call(client, "answer_run", given)
        assert left["status"] == "input_required" and left["questions"] == [second] and not left["is_error"]
        last = await call(client, "answer_run", {"run_id": asked["run_id"], "answer": 2})
        assert last["result"] == [1, 2]


async def test_g8_a_refused_call_is_an_error_alone_with_the_next_call(way: Way) -> None:
    async with way.client() as client:
        await create(client, "echo", ECHO)
        done = (await call(client, "echo", {"number": 1}))["run_id"]
        refused = [
            ("get_run", {"run_id": "workflow:x:1"}, "unknown_run", "list_runs()"),
            ("cancel_run", {"run_id": "workflow:x:1"}, "unknown_run", "list_runs()"),
            ("answer_run", {"run_id": done, "answer": 1}, "invalid_arguments", f'get_run(run_id="{done}")'),
            ("get_run", {"run_id": done, "part": 9}, "invalid_arguments", f'get_run(run_id="{done}")'),
            ("run_workflow", {"name": "ecko"}, "unknown_workflow", 'get_workflow(name="echo")'),
            ("run_workflow", {"name": "order a pizza"}, "unknown_workflow", 'search_workflows(query="order a pizza")'),
            ("run_workflow", {"name": "echo", "arguments": 5}, "invalid_arguments", 'get_workflow(name="echo")'),
            ("run_workflow", {"name": "echo", "session_id": "s_x"}, "unknown_session", 'run_workflow(name="echo", session_id="new")'),
            ("echo", {"number": 1, "session_id": "s_x"}, "unknown_session", 'echo(number=1, session_id="new")'),
            ("list_runs", {"since": "yesterday"}, "invalid_arguments", "list_runs(workflow?, session_id?, status?, since?, until?, limit?)"),
            ("create_workflow", {"name": "echo", "source": ECHO}, "name_taken", 'create_workflow(name="echo", source=..., replace=true)'),
        ]  # fmt: skip
        for tool, arguments, code, then in refused:
            answer = await call(client, tool, arguments)
            assert answer.pop("is_error") and answer["error"]["code"] == code, answer
            assert answer["next"] == then and not {"run_id", "session_id", "status", "result"} & answer.keys(), answer


async def test_g8_what_a_workflow_refuses_is_a_failed_run_and_names_the_schema(way: Way) -> None:
    async with way.client() as client:
        await create(client, "echo", ECHO)
        wrong = await call(client, "echo", {"number": "many"})
        assert wrong["is_error"] and wrong["status"] == "failed" and wrong["run_id"]
        assert (await follow(client, wrong["next"]))["input_schema"]["required"] == ["number"]


async def test_g7_g8_strict_clients_accept_refusals(way: Way) -> None:
    """The TypeScript SDK v1 holds structured content to the output schema even where the call is an error; the Python SDK does not."""
    need_node()
    async with way.client() as client:
        await create(client, "asking", ASKING)
        asked = await call(client, "asking", {"title": "Faust"})
        listed = await client.list_tools(cache_mode="refresh")
        tools = [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in listed.tools]
        calls = [
            ("get_run", {"run_id": "workflow:x:1"}),
            ("run_workflow", {"name": "nobody"}),
            ("asking", {"title": "Faust", "session_id": "s_x"}),
            ("answer_run", {"run_id": asked["run_id"], "answer": "many"}),
            ("answer_run", {"run_id": asked["run_id"], "answer": 1}),
            ("get_run", {"run_id": asked["run_id"]}),
        ]
        answers = [(name, (await client.call_tool(name, arguments)).structured_content) for name, arguments in calls]
        assert node_problems(tools, [(name, dict(content or {})) for name, content in answers]) == []


async def test_g9_a_run_shows_its_arguments_and_who_started_it(way: Way) -> None:
    async with way.client(client_info=types.Implementation(name="watchful", version="2")) as client:
        created = await create(client, "echo", ECHO)
        answer = await call(client, "echo", {"number": 7, "text": "größer"})
        seen = await call(client, "get_run", {"run_id": answer["run_id"]})
        assert seen["arguments"] == {"number": 7, "text": "größer"} and seen["session_id"] == answer["session_id"]
        assert (seen["workflow"], seen["version"], seen["client"]) == ("echo", created["version"], "watchful 2")
        (row,) = (await call(client, "list_runs", {"workflow": "echo", "limit": 1}))["runs"]
        assert row["arguments_preview"] == '{"number": 7, "text": "größer"}' and row["client"] == "watchful 2"
        assert row["arguments_cut"] is False and seen["duration_s"] == row["duration_s"] > 0
        text = (await client.read_resource(f"run:///{answer['run_id']}")).contents[0].text  # type: ignore[union-attr]
        assert json.loads(text)["arguments"] == seen["arguments"]
        long = await call(client, "echo", {"number": 1, "text": "x" * 9_000})
        cut = await call(client, "get_run", {"run_id": long["run_id"]})
        assert cut["arguments"] is None and cut["arguments_preview"].startswith('{"number": 1, "text": "xxx')
        assert len(cut["arguments_preview"]) <= 4_000 and cut["arguments_cut"] is True
        (row,) = (await call(client, "list_runs", {"workflow": "echo", "limit": 1}))["runs"]
        assert len(row["arguments_preview"]) <= 120 and row["arguments_cut"] is True


async def test_g9_the_runs_below_a_run_have_its_client(way: Way) -> None:
    async with way.client(client_info=types.Implementation(name="watchful", version="2")) as client:
        await create(client, "echo", ECHO)
        await made(
            client, "above", '"""A."""\n\ndef run() -> int:\n    return workflows.invoke("echo", number=3)["number"]\n'
        )
        rows = (await call(client, "list_runs", {"limit": 2}))["runs"]
        assert [row["client"] for row in rows] == ["watchful 2"] * 2 and {row["workflow"] for row in rows} == {
            "above",
            "echo",
        }


async def test_g10_a_result_in_parts_says_how_to_get_them(way: Way) -> None:
    async with way.client() as client:
        await create(client, "large", '"""Give much."""\n\ndef run(n: int) -> str:\n    return "x" * n\n')
        answer = await call(client, "large", {"n": 348})
        assert answer["result"] is None and answer["parts"] == 4 and answer["result_preview"].startswith('"xxx')
        assert answer["next"] == f'get_run(run_id="{answer["run_id"]}", part=1) and so on to part=4'
        assert answer["result_chars"] == 350 and "350 characters" in answer["message"]
        found = re.search(r"arguments=(\{.*\})\)", answer["message"])
        assert found is not None and answer["run_id"] in found[1]
        counted = await call(client, "run_code", {"source": "len(found)", "arguments": json.loads(found[1])})
        assert counted["result"] == 348, "the message's call, as it stands"
        text, then = "", answer["next"]
        for part in range(1, 5):
            piece = await follow(client, then)
            assert piece["part"] == part and not {"result_preview", "message", "events"} & piece.keys()
            text += piece["text"]
            then = piece.get("next", "")
        assert json.loads(text) == "x" * 348 and then == ""
        beyond = await call(client, "get_run", {"run_id": answer["run_id"], "part": 5})
        assert beyond["is_error"] and "from 1 to 4" in beyond["error"]["hint"]


@pytest.mark.parametrize(
    ("kind", "remark"),
    [
        ("nan", "result is NaN"),
        ("deep", "result['rows'][1]['mean'] is -Infinity"),
        ("point", "result.x is Infinity"),
        ("many", "result[4] is NaN (and more)"),
        ("fine", None),
    ],
)
async def test_g11_a_number_that_json_lacks_is_named(way: Way, kind: str, remark: str | None) -> None:
    async with way.client() as client:
        await create(client, "numbers", NUMBERS)
        answer = await call(client, "numbers", {"kind": kind})
        assert answer["status"] == "completed"
        seen = await call(client, "get_run", {"run_id": answer["run_id"]})
        for envelope in (answer, seen):
            if remark is None:
                assert "remark" not in envelope
            else:
                assert f"{remark}: JSON has no such number, so it is null." in envelope["remark"]


async def test_g11_the_run_above_is_told_of_a_number_that_became_null(way: Way) -> None:
    async with way.client() as client:
        await create(client, "numbers", NUMBERS)
        above = '"""A."""\n\ndef run() -> bool:\n    return workflows.numbers(kind="nan") is None\n'
        answer = await made(client, "above_numbers", above)
        assert answer["result"] is True and "remark" not in answer
        events = (await call(client, "get_run", {"run_id": answer["run_id"]}))["events"]
        (warning,) = [event["data"] for event in events if event["type"] == "log"]
        assert warning["level"] == "warning" and "numbers: result is NaN: JSON has no such number" in warning["message"]


async def test_g13_a_deleted_workflow_says_who_deleted_it_and_how_to_bring_it_back(way: Way) -> None:
    async with way.client(client_info=types.Implementation(name="tidy", version="1")) as tidy:
        created = await create(tidy, "gone_echo", ECHO)
        gone = await call(tidy, "delete_workflow", {"name": "gone_echo"})
        back = f'publish_workflow(name="gone_echo", version="{created["version"]}")'
        assert (gone["deleted"], gone["deleted_by"], gone["next"]) == (True, "tidy 1", back)
    async with way.client(client_info=types.Implementation(name="other", version="1")) as client:
        answer = await call(client, "run_workflow", {"name": "gone_echo", "arguments": {"number": 1}})
        assert answer["is_error"] and answer["error"]["code"] == "unknown_workflow" and answer["next"] == back
        assert f"was deleted by tidy 1 at {gone['deleted_at']}" in answer["error"]["message"]
        with pytest.raises(MCPError, match=f"deleted by tidy 1.*{created['version']}"):
            await client.call_tool("gone_echo", {"number": 1})
        caller = '"""C."""\n\ndef run(other: str) -> dict:\n    return workflows.invoke(other, number=1)\n'
        inner = await made(client, "calling", caller, other="gone_echo")
        assert inner["status"] == "failed" and "deleted by tidy 1" in inner["error"]["message"], inner
        (row,) = (await call(client, "list_workflows", {"status": "deleted"}))["workflows"]
        assert (row["name"], row["deleted_by"], row["version"]) == ("gone_echo", "tidy 1", created["version"])
        again = await call(client, "delete_workflow", {"name": "gone_echo"})
        assert (again["deleted"], again["deleted_by"], again["next"]) == (False, "tidy 1", back)
        assert await call(client, "delete_workflow", {"name": "never"}) == {"deleted": False, "is_error": False}
        assert not (await follow(client, back))["is_error"]
        assert (await call(client, "gone_echo", {"number": 1}))["result"]["number"] == 1
        assert (await call(client, "list_workflows", {"status": "deleted"}))["workflows"] == []


async def test_g14_workflows_are_listed_by_maker_time_tags_and_status(way: Way) -> None:
    async def names(client: Client, **filters: Any) -> list[str]:
        return [one["name"] for one in (await call(client, "list_workflows", filters))["workflows"]]

    async with way.client(client_info=types.Implementation(name="maker", version="1")) as maker:
        for name, tags in (("one", ["red"]), ("second", ["red", "blue"])):
            await call(maker, "create_workflow", {"name": name, "source": ECHO, "tags": tags, "replace": True})
        titled = ECHO + '\n__workflow__ = {"title": "The third"}\n'
        await create(maker, "three", titled)
    async with way.client(client_info=types.Implementation(name="maker", version="2")) as maker:
        assert await names(maker, created_by="me") == ["one", "second", "three"]
        assert await names(maker, created_by="me", tags=["red"]) == ["one", "second"]
        assert await names(maker, tags=["red", "blue"]) == ["second"]
        await call(maker, "create_workflow", {"name": "unready", "source": ECHO, "publish": False})
    async with way.client(client_info=types.Implementation(name="reader", version="1")) as reader:
        await create(reader, "four", ECHO)
        assert await names(reader, created_by="me") == ["four"]
        assert await names(reader, created_by="Maker") == ["one", "second", "three"]
        assert await names(reader, created_by="maker", status="draft") == ["unready"]
        assert await names(reader, created_by="me", status="draft") == []
        listed = {one["name"]: one for one in (await call(reader, "list_workflows", {"limit": 1000}))["workflows"]}
        assert "title" not in listed["one"] and listed["three"]["title"] == "The third"
        assert listed["four"]["created_by"] == "reader 1" and listed["one"]["created_by"] == "maker 1"
        assert await names(reader, since=listed["four"]["created_at"]) == ["four"]
        await create(reader, "one", ECHO.replace("came", "has come"))
        assert await names(reader, created_by="me") == ["four", "one"], "created or changed: the row says which"
        (one,) = [
            row
            for row in (await call(reader, "list_workflows", {"created_by": "maker", "tags": []}))["workflows"]
            if row["name"] == "one"
        ]
        assert (one["created_by"], one["changed_by"]) == ("maker 1", "reader 1") and one["created_at"] < one[
            "changed_at"
        ]
        await call(reader, "delete_workflow", {"name": "one"})
        await call(reader, "publish_workflow", {"name": "one"})
        assert (await call(reader, "get_workflow", {"name": "one"}))["created_by"] == "reader 1", (
            "that text is the reader's"
        )
        await call(reader, "delete_workflow", {"name": "second"})
        await call(reader, "publish_workflow", {"name": "second"})
        second = await call(reader, "get_workflow", {"name": "second"})
        assert (second["created_by"], second["changed_by"]) == ("maker 1", "reader 1"), (
            "who brings it back has not created it"
        )
        bad = await call(reader, "list_workflows", {"since": "yesterday"})
        assert bad["is_error"] and "`since` must be a time" in bad["error"]["message"]


async def test_g8_g14_drafts_pages_and_refused_sources_name_the_next_call(way: Way) -> None:
    async with way.client() as client:
        draft = await call(client, "create_workflow", {"name": "ready_later", "source": ECHO, "publish": False})
        assert draft["next"] == f'publish_workflow(name="ready_later", version="{draft["version"]}")'
        listed = await call(client, "list_workflows", {"status": "draft", "limit": 1})
        assert listed["next"] == draft["next"]
        assert not (await follow(client, listed["next"]))["is_error"]
        first = await call(client, "list_workflows", {"limit": 1, "created_by": "me"})
        assert first["next"] == f'list_workflows(limit=1, created_by="me", cursor="{first["next_cursor"]}")'
        assert (await follow(client, first["next"]))["workflows"][0]["name"] > first["next_cursor"]
        for name, source, then in (
            ("broken", "def run(:", 'create_workflow(name="broken", source=...)'),
            ("Bad Name", ECHO, "create_workflow(name=..., source=...)"),
        ):
            refused = await call(client, "create_workflow", {"name": name, "source": source})
            assert refused["is_error"] and refused["next"] == then


async def test_g20_a_run_that_waits_for_its_session_says_for_which_run(way: Way) -> None:
    source = COUNT.replace("    session_state", "    import time\n    time.sleep(0.5)\n    session_state", 1)
    told: list[str | None] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with way.client() as client:
        await create(client, "slow_count", source)
        session = (await call(client, "slow_count", {"session_id": "new"}))["session_id"]
        answers: list[dict[str, Any]] = []

        async def count() -> None:
            answers.append(await call(client, "slow_count", {"session_id": session}, progress_callback=on_progress))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(count)
        runs = {f"waiting for {answer['run_id']} (same session)" for answer in answers}
        assert len(runs & set(told)) == 2, told
        working = await call(
            client, "run_workflow", {"name": "slow_count", "arguments": {}, "session_id": session, "wait_s": 0}
        )
        second = await call(
            client, "run_workflow", {"name": "slow_count", "arguments": {}, "session_id": session, "wait_s": 0.2}
        )
        assert second["status"] == "working" and second["message"] == f"waiting for {working['run_id']} (same session)"
        assert (await follow(client, second["next"]))["status"] == "completed"


async def test_g21_an_unfinished_answer_has_the_last_progress_and_the_next_call(way: Way) -> None:
    async with way.client() as client:
        await create(client, "slow", SLOW)
        at_once = await call(client, "run_workflow", {"name": "slow", "arguments": {"seconds": 2}, "wait_s": 0})
        run_id = at_once["run_id"]
        assert at_once["status"] == "working" and at_once["next"] == f'get_run(run_id="{run_id}", wait_s=45)'

        async def second() -> bool:
            seen = await call(client, "get_run", {"run_id": run_id, "wait_s": 0.1})
            return bool(seen.get("progress") == {"done": 2, "total": 4, "message": "step 2"})

        await eventually(second)
        ended = await follow(client, at_once["next"])
        assert ended["result"] == "done" and "next" not in ended and "progress" not in ended
        some = await call(client, "run_workflow", {"name": "slow", "arguments": {"seconds": 1}, "wait_s": 0.4})
        assert some["status"] == "working" and some["progress"]["total"] == 4


async def test_g21_events_are_chosen_and_progress_is_folded(way: Way) -> None:
    async with way.client() as client:
        await create(client, "slow", SLOW)
        run_id = (await call(client, "slow", {"seconds": 0, "steps": 50}))["run_id"]
        none = await call(client, "get_run", {"run_id": run_id, "events": "none"})
        assert "events" not in none and none["result"] == "done"
        everything = (await call(client, "get_run", {"run_id": run_id, "events": "all"}))["events"]
        assert [event["n"] for event in everything] == list(range(1, 55))
        last = await call(client, "get_run", {"run_id": run_id})
        assert [event["type"] for event in last["events"]] == ["run_start", "log", "progress", "log", "run_end"]
        assert last["events"][2]["folded"] == 49 and last["events"][2]["data"]["done"] == 50
        assert (
            last == await call(client, "get_run", {"run_id": run_id, "events": "last"}) and "earlier_events" not in last
        )
        chatty = '"""Talk."""\n\ndef run() -> None:\n    for i in range(60):\n        log.info(f"{i} " + "y" * 1000)\n'
        talk = await call(client, "get_run", {"run_id": (await made(client, "chatty", chatty))["run_id"]})
        assert len(talk["events"]) == 10 and talk["earlier_events"] == 52 and len(json.dumps(talk)) < 10_000
        assert "error" in await call(client, "get_run", {"run_id": run_id, "events": "some"})
