"""A model that has only the tools is led on: by drafts, wrong examples, changed callees, long lists; each `next` is made as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from repertoire.model.brief_events import fold_events
from repertoire.model.run import RunEvent
from repertoire.model.workflow_version import FIXED_TOOLS
from support.mcp_calls import ECHO, call, create, made
from support.transports import Memory, Way, way_in

pytestmark = pytest.mark.anyio

ENVIRON = {
    "REPERTOIRE_WORKERS": "4",
    "REPERTOIRE_READY_WORKFLOWS": "false",
    "REPERTOIRE_MAX_LISTED_TOOLS": str(len(FIXED_TOOLS) + 3),
}
DOUBLE = '"""Double."""\n\ndef run(n: int) -> int:\n    """Double.\n\n    Args:\n        n: Any.\n    """\n    return n * 2\n'
RENAMED = DOUBLE.replace("n: int", "number: int").replace("n: Any", "number: Any").replace("n * 2", "number * 2")
CALLER = '"""Call."""\n\ndef run() -> int:\n    """Call."""\n    return workflows.double(n=4)\n'
WRONG, RIGHT = [{"arguments": {"n": 2}, "expect": 5}], [{"arguments": {"n": 2}, "expect": 4}]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with way_in("memory-modern", tmp_path_factory.mktemp("next") / "home", ENVIRON) as found:
        yield found


async def follow(client: Client, text: str, **filled: Any) -> dict[str, Any]:
    """Make the first call of `next`, with what a model fills in for its dots."""
    name, inside = re.findall(r"(\w+)\(([^)]*)\)", text)[0]
    words = dict(word.split("=", 1) for word in inside.split(", "))
    return await call(
        client, name, {key: filled[key] if value == "..." else json.loads(value) for key, value in words.items()}
    )


async def test_a_name_with_only_a_draft_says_why_and_the_next_call_publishes_it(way: Way) -> None:
    async with way.client() as client:
        refused = await call(client, "create_workflow", {"name": "later", "source": DOUBLE, "examples": WRONG})
        then = 'create_workflow(name="later", examples=...) if an example is wrong, create_workflow(name="later", source=...) if the source is'
        assert refused["next"] == then
        unknown = await call(client, "run_workflow", {"name": "later", "arguments": {"n": 1}})
        assert unknown["error"]["code"] == "unknown_workflow" and unknown["next"] == then
        assert f"has only a draft, {refused['version']}: its examples failed" in unknown["error"]["message"]
        assert "expected 5, got 4" in unknown["error"]["message"]
        with pytest.raises(MCPError, match="has only a draft"):
            await client.call_tool("later", {"n": 1})
        published = await follow(client, unknown["next"], examples=RIGHT)
        assert published["status"] == "published" and published["version"] == refused["version"]

        kept = await call(client, "create_workflow", {"name": "kept", "source": DOUBLE, "publish": False})
        unknown = await call(client, "run_workflow", {"name": "kept", "arguments": {"n": 1, "_meta": 1}})
        assert unknown["next"] == f'publish_workflow(name="kept", version="{kept["version"]}")'
        inner = await made(client, "calls_kept", CALLER.replace("double(n=4)", 'invoke("ke" + "pt", n=4)'))
        assert "has only a draft" in inner["error"]["message"], "inside of a run too"
        assert (await follow(client, unknown["next"]))["status"] == "published"


async def test_replace_is_asked_for_only_where_it_is_needed(way: Way) -> None:
    async with way.client() as client:
        await create(client, "there", DOUBLE)
        refused = await call(
            client, "create_workflow", {"name": "there", "source": DOUBLE + "#", "examples": WRONG, "replace": True}
        )
        assert refused["next"].startswith('create_workflow(name="there", examples=..., replace=true)')
        assert (await follow(client, refused["next"], examples=RIGHT))["status"] == "published"
        broken = await call(client, "create_workflow", {"name": "there", "source": "def run(", "replace": True})
        assert broken["next"] == 'create_workflow(name="there", source=..., replace=true)'
        refused = await call(
            client, "create_workflow", {"name": "new_one", "source": DOUBLE, "examples": WRONG, "publish": False}
        )
        published = await call(client, "publish_workflow", {"name": "new_one"})
        assert published["is_error"] and published["next"].startswith('create_workflow(name="new_one", examples=...')
        assert (await follow(client, published["next"], examples=RIGHT))["status"] == "published"


async def test_publish_without_a_version_takes_what_is_clear(way: Way) -> None:
    async with way.client() as client:
        first = await create(client, "clear", DOUBLE)
        nothing = await call(client, "publish_workflow", {"name": "clear"})
        assert (
            nothing["is_error"] and f"it runs {first['version']}, and no draft is newer" in nothing["error"]["message"]
        )
        second = await call(client, "create_workflow", {"name": "clear", "source": DOUBLE + "#", "publish": False})
        assert (await call(client, "publish_workflow", {"name": "clear"}))["version"] == second["version"]
        await call(client, "delete_workflow", {"name": "clear"})
        assert (await call(client, "publish_workflow", {"name": "clear"}))["version"] == second["version"]
        for source in (DOUBLE, DOUBLE + "#"):
            await call(client, "create_workflow", {"name": "unclear", "source": source, "publish": False})
        await call(client, "delete_workflow", {"name": "unclear"})
        several = await call(client, "publish_workflow", {"name": "unclear"})
        assert several["is_error"] and "2 versions were deleted" in several["error"]["message"]
        unknown = await call(client, "publish_workflow", {"name": "nobody_at_all"})
        assert unknown["error"]["code"] == "unknown_workflow"


async def test_a_changed_callee_leads_to_its_caller_and_back(way: Way) -> None:
    async with way.client() as client:
        await create(client, "double", DOUBLE)
        await create(client, "calls_double", CALLER)
        refused = await call(client, "create_workflow", {"name": "double", "source": RENAMED, "replace": True})
        assert refused["error"]["code"] == "in_use" and refused["called_by"] == ["calls_double"]
        change, publish = refused["next"].split(", then ")
        changed = await follow(client, change, source=CALLER.replace("n=4", "number=4"))
        assert changed["status"] == "published"
        (told,) = [one for one in changed["findings"] if one["rule"] == "unknown_argument"]
        assert told["severity"] == "warning" and f"The draft {refused['version']} of `double` takes it" in told["hint"]
        assert f"publish_workflow('double', '{refused['version']}')" in told["hint"]
        published = await follow(client, publish)
        assert published["status"] == "published" and published["callers_checked"] == ["calls_double"]
        assert "arguments of their calls were compared with the new parameters" in published["message"]
        assert (await call(client, "run_workflow", {"name": "calls_double", "arguments": {}}))["result"] == 8
        again = await call(client, "delete_workflow", {"name": "double"})
        assert again["is_error"] and again["next"] == 'get_workflow(name="calls_double")'


async def test_a_draft_that_does_not_take_the_call_or_is_older_excuses_nothing(way: Way) -> None:
    async with way.client() as client:
        await call(client, "create_workflow", {"name": "aged", "source": RENAMED, "publish": False})
        await create(client, "aged", DOUBLE)
        source = CALLER.replace("double(n=4)", "aged(number=4)")
        refused = await call(client, "create_workflow", {"name": "calls_aged", "source": source})
        assert refused["error"]["code"] == "cannot_work", "the draft is older than what is published"


async def test_a_stopped_run_says_how_far_it_was_and_sleeps_are_no_events(way: Way) -> None:
    loop = '    for i in range(90):\n        progress(i, 90, f"at {i}")\n        sleep(0.01 if i < 40 else 60)\n'
    source = f'"""Wait."""\n\ndef run() -> None:\n{loop}'
    async with way.client() as client:
        await create(client, "waiting", source)
        working = await call(client, "run_workflow", {"name": "waiting", "arguments": {}, "wait_s": 4})
        assert working["status"] == "working" and working["progress"]["done"] == 40, working
        seen = await call(client, "get_run", {"run_id": working["run_id"]})
        assert [one["type"] for one in seen["events"]] == ["run_start", "progress", "call_start"]
        assert seen["events"][1]["folded"] >= 40 and "earlier_events" not in seen
        stopped = await call(client, "cancel_run", {"run_id": working["run_id"]})
        assert stopped["status"] == "cancelled" and stopped["progress"] == {"done": 40, "total": 90, "message": "at 40"}
        assert stopped["events"][-1]["type"] == "run_end"


def test_calls_are_folded_into_their_ends_and_sleeps_into_what_follows() -> None:
    def event(n: int, type: Any, op: str = "", path: str = "", **more: Any) -> RunEvent:
        return RunEvent(n, type, 0.0, {"op": op, "path": path, **more} if op else more)

    events = [
        event(1, "run_start"), event(2, "progress", done=1), event(3, "call_start", "sleep", "1"), event(4, "call_end", "sleep", "1"),
        event(5, "progress", done=2), event(6, "call_start", "workflow", "2"), event(7, "call_end", "workflow", "2"),
        event(8, "call_start", "sleep", "3"), event(9, "call_end", "sleep", "3", error={"type": "Expired"}), event(10, "log"),
        event(11, "call_start", "sleep", "4"),
    ]  # fmt: skip
    shown = [(one.n, stands_for) for one, stands_for in fold_events(events)]
    assert shown == [(1, 1), (5, 4), (7, 2), (9, 2), (10, 1), (11, 1)]


async def test_the_tool_list_says_if_a_search_is_needed(tmp_path: Path) -> None:
    async def text(client: Client) -> str:
        tools = (await client.list_tools(cache_mode="refresh")).tools
        return next(tool.description or "" for tool in tools if tool.name == "search_workflows")

    way = Memory("memory-modern", tmp_path, ENVIRON)
    async with way.client() as client:
        for number in range(3):
            await create(client, f"echo_{number}", ECHO)
        assert "all workflows are in it" in await text(client)
        for number in range(3, 5):
            await create(client, f"echo_{number}", ECHO)
        assert "2 workflows are not in the tool list" in await text(client)


async def test_nothing_found_may_be_told_to_the_user(way: Way) -> None:
    async with way.client() as client:
        nothing = await call(client, "search_workflows", {"query": "send an SMS to my sister"})
        assert nothing["matches"] == [] and "tell the user that there is none" in nothing["hint"]
        assert "again" not in nothing.get("note", "")
