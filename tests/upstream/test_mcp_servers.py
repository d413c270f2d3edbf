"""MCP servers as sources of tools: answers, questions, progress, and the faults of servers. All servers are real processes."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from repertoire.upstream.masks import Masks
from repertoire.upstream.mcp_servers import McpServer
from repertoire.upstream.tool import Blob, ToolFailed, ToolTimeout, ToolUnavailable
from support.upstreams import Run, call, find, is_alive, opened, python_server, raw

pytestmark = pytest.mark.anyio
PROTOCOLS = ("auto", "legacy")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_answers_are_python_values(protocol: str) -> None:
    async with opened(python_server("upstream_server.py", protocol=protocol)) as server:
        assert await call(server, "add", a=1, b=2) == {"sum": 3}
        assert await call(server, "wrapped") == [1, 2]
        assert (await find(server, "wrapped")).output_schema == {"type": "array", "items": {"type": "integer"}}
        assert await call(server, "echo", x="é") == "echo {'x': 'é'}"
        assert await call(server, "nothing") is None
        picture = Blob(b"\x89PNG pixel", "image/png")
        assert await call(server, "picture") == picture
        first, resource, sound, link = await call(server, "mixed")
        assert (first, resource, sound) == ("first", "of a resource", Blob(picture.data, "audio/wav"))
        assert link["uri"] == "test://there"
        with pytest.raises(ToolFailed, match=r"^no such issue: 7$"):
            await call(server, "fails")
        with pytest.raises(ToolFailed):
            await call(server, "raises")
        assert (await find(server, "pay")).key_parameter == "idempotency_key"
        run = Run()
        assert await call(server, "sleep", run, seconds=0.01) == "slept"
        assert run.told == [(1, 2, "half")]
        tools = {tool.name: tool for tool in await server.list_tools()}
        assert [name for name, tool in tools.items() if tool.only_reads] == ["add"]
        assert [name for name, tool in tools.items() if tool.is_destructive] == ["delete_all"]
        assert {name: tools[name].original for name in ("get_x", "get_x_2", "class_", "delete_all")} == {
            "get_x": "get_x", "get_x_2": "get-x", "class_": "class", "delete_all": "delete-all",
        }  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_tools_are_listed_again_when_they_change(protocol: str) -> None:
    async with opened(python_server("upstream_server.py", protocol=protocol)) as server:
        echo = await find(server, "echo")
        assert await server.list_tools() is await server.list_tools()
        assert await call(server, "change") == "changed"
        with anyio.fail_after(10):
            while "later" not in {tool.name for tool in await server.list_tools()}:
                await anyio.sleep(0.01)
        assert await call(server, "later") == "later {}"
        with pytest.raises(ToolUnavailable, match="no longer has the tool echo"):
            await server.call(echo, {}, Run().context)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_question_of_the_server_is_asked_of_the_run(protocol: str) -> None:
    """The time limit stands still while somebody is asked."""
    async with opened(python_server("upstream_server.py", protocol=protocol, timeout_s=4)) as server:
        run = Run({"name": "Ada"}, after_s=5)
        assert (await call(server, "ask", run, message="Your name?")).startswith("accept {'name': 'Ada'}")
        assert [message for message, _ in run.asked] == ["Your name?"]
        assert run.asked[0][1]["properties"] == {"name": {"type": "string"}}
        assert (await call(server, "ask", Run(None))).startswith("decline None")
        expired = ToolFailed("nobody answered")
        with pytest.raises(ToolFailed, match="nobody answered"):
            await call(server, "ask", Run(expired))
        assert await call(server, "add", a=1, b=2) == {"sum": 3}


async def test_a_question_is_never_asked_of_another_run() -> None:
    """Over a pipe an older server does not say which call asks. So it is refused once, and then each call has its own connection."""
    async with opened(python_server("upstream_server.py", protocol="legacy")) as server:
        answers: dict[str, object] = {}
        runs = {name: Run({"name": name}) for name in ("Ada", "Bob")}

        async def ask(name: str) -> None:
            try:
                answers[name] = await call(server, "ask", runs[name], message=f"Are you {name}?", after=0.5)
            except ToolFailed as error:
                answers[name] = error

        async def ask_both() -> None:
            async with anyio.create_task_group() as tasks:
                for name in runs:
                    tasks.start_soon(ask, name)

        await ask_both()
        refused = [name for name, answer in answers.items() if "Several calls are open" in str(answer)]
        assert refused
        await ask_both()
        assert answers == {name: f"accept {{'name': '{name}'}}" for name in runs}
        for name, run in runs.items():
            assert {message for message, _ in run.asked} == {f"Are you {name}?"}


async def test_a_server_that_dies_in_a_call_is_started_again() -> None:
    async with opened(raw()) as server:
        first = await call(server, "pid")
        with pytest.raises(ToolUnavailable, match="ended during the call, which may have had its effect"):
            await call(server, "die")
        assert server.trouble is not None
        assert "code 3" in server.trouble
        assert await call(server, "pid") != first
        assert server.trouble is None


async def test_a_server_that_hangs_is_replaced() -> None:
    async with opened(raw(timeout_s=1)) as server:
        first = await call(server, "pid")
        with pytest.raises(ToolTimeout, match="longer than 1 s"):
            await call(server, "hang")
        assert await call(server, "pid") != first
    assert not is_alive(int(first))


async def test_a_flood_of_progress_is_thinned_out() -> None:
    async with opened(raw()) as server:
        await call(server, "pid")
        run, lags = Run(), [0.0]

        async def watch_loop() -> None:
            while True:
                before = time.monotonic()
                await anyio.sleep(0.01)
                lags.append(time.monotonic() - before - 0.01)

        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch_loop)
            await call(server, "flood", run, times=20_000)
            tasks.cancel_scope.cancel()
        took = time.monotonic() - began
        assert 1 <= len(run.told) <= 3 + took / 0.1
        assert run.told[-1][:2] == (20_000, 20_000)
        assert sorted(lags)[len(lags) // 2] < 0.1


async def test_an_answer_that_is_too_large_fails_alone() -> None:
    """Its id may stand before or after the result."""
    async with opened(raw(max_message_mb=1)) as server:
        first = await call(server, "pid")
        with pytest.raises(ToolFailed, match="the limit is 1,048,576"):
            await call(server, "echo", text="x" * 20_000_000)
        with pytest.raises(ToolFailed, match="the limit is 1,048,576"):
            await call(server, "late_id", size=20_000_000)
        assert len(await call(server, "late_id", size=1_000_000)) == 1_000_000
        assert await call(server, "pid") == first


async def test_lines_that_are_no_messages_are_passed_over() -> None:
    async with opened(raw("rubbish")) as server:
        assert [tool.name for tool in await server.list_tools()] == ["pid", "die", "hang", "flood", "late_id", "echo"]
        assert await call(server, "echo", a=1) == '{"a": 1}'


async def test_a_server_may_take_ten_seconds_to_start() -> None:
    async with opened(raw("slow=10.5")) as server:
        assert await call(server, "echo", a=1) == '{"a": 1}'


async def test_a_server_that_only_takes_initialize_is_asked_again_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with opened(raw("strict", f"log={log}")) as server:
        assert await call(server, "echo", a=1) == '{"a": 1}'
        with pytest.raises(ToolUnavailable):
            await call(server, "die")
        assert await call(server, "echo", a=1) == '{"a": 1}'
    assert len(log.read_text().split()) == 3


async def test_calls_that_come_first_share_one_connection(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with opened(raw(f"log={log}")) as server, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call, server, "pid")
    assert len(log.read_text().split()) == 1


async def test_attempts_have_back_off_and_the_reason_is_masked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    masks = Masks()
    masks.add("sk-very-secret", "API_KEY")
    async with opened(raw("exit", f"log={log}", protocol="legacy"), masks) as server:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(ToolUnavailable, match=r"code 7.*bad key: \[secret API_KEY\]"):
                await server.list_tools()
        assert time.monotonic() - began >= 3  # 0 + 1 + 2
        server._next_at = anyio.current_time() + 30
        with pytest.raises(ToolUnavailable, match="next attempt is in 30 s"):
            await server.list_tools()
    assert len(log.read_text().split()) == 3


async def test_a_server_that_cannot_be_started_or_never_answers_says_so() -> None:
    async with opened(raw("silent", connect_timeout_s=1)) as server:
        with pytest.raises(ToolUnavailable, match="did not answer within 1 s"):
            await server.list_tools()
    missing = python_server("none").__class__(name="up", original="up", command="/no/such/program")
    async with opened(missing) as server:
        with pytest.raises(ToolUnavailable, match="'/no/such/program' was not found"):
            await server.list_tools()


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_no_process_is_left_behind(how: str) -> None:
    """Even if the server ignores the end of its input and SIGTERM."""
    config = python_server("upstream_server.py", "deaf", protocol="legacy")
    async with anyio.create_task_group() as tasks:
        server = McpServer(config, tasks, Masks())
        pid = int(await call(server, "pid"))
        assert is_alive(pid)
        if how == "closed":
            await server.aclose()
            assert not is_alive(pid)
        else:
            tasks.cancel_scope.cancel()
    assert not is_alive(pid)


async def test_a_cancelled_call_leaves_the_connection_usable() -> None:
    async with opened(python_server("upstream_server.py")) as server:
        pid = await call(server, "pid")
        with anyio.move_on_after(0.2):
            await call(server, "sleep", seconds=30)
        assert await call(server, "pid") == pid
