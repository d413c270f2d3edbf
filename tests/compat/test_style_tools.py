"""What the styles promise of streams, agents and sessions, as calls of one real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.mcp_calls import call, eventually
from support.transports import Http, http_server, runs_of

pytestmark = pytest.mark.anyio

STYLES = ["function", "context", "class"]

TELL = '''"""Tell words, one at a time; the last only when a file is there."""

import os
import time

from repertoire import RunResponse, Workflow


{head}(text: str, gate: str = ""):
{indent}{state}["told"] = {state}.get("told", 0) + 1
{indent}for word in text.split():
{indent}    yield RunResponse(content=word + " ")
{indent}while gate and not os.path.exists(gate):
{indent}    time.sleep(0.01)
{indent}yield RunResponse(content=str({state}["told"]))
'''

HEADS = {
    "function": ("def run", "    ", "session_state"),
    "context": ("def run", "    ", "ctx.session_state"),
    "class": ("class TellClass(Workflow):\n    def run", "        ", "self.session_state"),
}

FIRST = {"function": "(", "context": "(ctx, ", "class": "(self, "}


def tell(style: str) -> str:
    head, indent, state = HEADS[style]
    return TELL.format(head=head, indent=indent, state=state).replace("run(", "run" + FIRST[style])


AGENTS = '''
from agno.agent import Agent
from agno.run.response import RunResponse
from agno.team import Team
from agno.workflow import Workflow


class Says(Agent):
    """An agent of somebody's own, which needs no model."""

    def run(self, message=None, **options):
        return RunResponse(content=self.session_id)


class Crew(Team):
    def run(self, message=None, **options):
        return RunResponse(content=self.session_id)


class _Base(Workflow):
    inherited = Says(name="inherited")


class ManyAgents(_Base):
    """Ask each agent which session it is in."""

    own = Says(name="own")
    crew = Crew(members=[own])

    def __init__(self, **options):
        super().__init__(**options)
        self.made = Says(name="made")

    def run(self) -> RunResponse:
        everyone = [self.inherited, self.own, self.crew, self.made]
        return RunResponse(content={"mine": self.session_id, "theirs": [one.run().content for one in everyone]})
'''

BOTH = '''
from repertoire import RunResponse, Workflow


class Both(Workflow):
    """Written twice: called by a script as one or the other, by a tool as `run`."""

    def run(self, text: str = "x") -> RunResponse:
        return RunResponse(content=f"run {text}")

    async def arun(self, text: str = "x", more: int = 1) -> RunResponse:
        return RunResponse(content=f"arun {text} {more}")
'''

DEFAULTS = '''
from repertoire import RunResponse, Workflow, session_state


class Keeps(Workflow):
    """Begins with defaults; gives what any name shows of the state, and drops one of them."""

    session_state = {"count": 0, "once": True}

    def run(self, fail: bool = False, commit: bool = False) -> RunResponse:
        self.session_state["count"] += 1
        self.session_state.pop("once", None)
        if commit:
            self.commit_state()
        if fail:
            raise ValueError("as asked")
        return RunResponse(content=[dict(self.session_state), dict(session_state)])
'''

SHOWS = {
    "function": "def run():\n    return dict(session_state)\n",
    "context": "def run(ctx):\n    return dict(ctx.session_state)\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    home = tmp_path_factory.mktemp("tools") / "home"
    folder = home / "workflows"
    folder.mkdir(parents=True)
    home.chmod(0o700)
    for style in STYLES:
        (folder / f"tell_{style}.py").write_text(tell(style))
    for name, source in {"agents": AGENTS, "both": BOTH}.items():
        (folder / f"{name}.py").write_text(source)
    with http_server(home, {"REPERTOIRE_READY_WORKFLOWS": "false"}) as url:
        yield Http("http-modern", home, url)


async def test_a34_every_agent_of_a_tool_is_in_the_session_of_its_call(server: Http) -> None:
    async with server.client() as client:
        first, second = [await call(client, "many_agents", {"session_id": "new"}) for _ in range(2)]
        assert first["session_id"] != second["session_id"]
        again = await call(client, "many_agents", {"session_id": first["session_id"]})
        for answer in (first, second, again):
            session = answer["session_id"]
            assert answer["result"] == {"mine": session, "theirs": [session] * 4}


async def test_a16_of_a_class_with_both_bodies_a_tool_is_its_run(server: Http) -> None:
    async with server.client() as client:
        described = await call(client, "get_workflow", {"name": "both"})
        assert list(described["input_schema"]["properties"]) == ["text"]
        assert (await call(client, "both", {"text": "y"}))["result"] == "run y"


@pytest.mark.parametrize("style", STYLES)
async def test_a_stream_is_told_while_it_goes_on_and_added_up(server: Http, style: str, tmp_path: Path) -> None:
    """By progress notifications and by `logs --follow`, before the run's end; the result is the whole text."""
    gate, seen = tmp_path / "gate", list[str]()
    answers: list[dict[str, Any]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message or "")

    async with server.client() as client, anyio.create_task_group() as tasks:
        session = (await call(client, f"tell_{style}", {"text": "x", "session_id": "new"}))["session_id"]

        async def told() -> None:
            arguments = {"text": "to be", "gate": str(gate), "session_id": session}
            answers.append(await call(client, f"tell_{style}", arguments, progress_callback=on_progress))

        tasks.start_soon(told)

        async def heard() -> bool:
            return "to be " in seen

        await eventually(heard)
        assert not answers
        (live,) = await runs_of(server.home, "--status", "working")
        command = [
            sys.executable,
            "-P",
            "-m",
            "repertoire",
            "logs",
            live["run_id"],
            "--follow",
            "--home",
            str(server.home),
        ]
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as following:
            assert following.stdout is not None
            log = ""
            with anyio.fail_after(30):
                while "be " not in log:
                    log += (await following.stdout.receive()).decode()
                assert not answers
                gate.touch()
                async for piece in following.stdout:
                    log += piece.decode()
        assert following.returncode == 0 and "completed" in log
    assert answers[0]["result"] == "to be 2"


@pytest.mark.parametrize("style", STYLES)
async def test_a21_a_cancelled_stream_leaves_a_cancelled_record_with_what_it_gave(
    server: Http, style: str, tmp_path: Path
) -> None:
    answers: list[dict[str, Any]] = []
    seen: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message or "")

    async with server.client() as client:
        session = (await call(client, f"tell_{style}", {"text": "x", "session_id": "new"}))["session_id"]
        async with anyio.create_task_group() as tasks:

            async def told() -> None:
                arguments = {"text": "not to be", "gate": str(tmp_path / "never"), "session_id": session}
                answers.append(await call(client, f"tell_{style}", arguments, progress_callback=on_progress))

            tasks.start_soon(told)

            async def heard() -> bool:
                return "not to be " in seen

            await eventually(heard)
            (live,) = await runs_of(server.home, "--status", "working")
            assert (await call(client, "cancel_run", {"run_id": live["run_id"]}))["status"] == "cancelled"
        assert answers[0]["is_error"] and answers[0]["status"] == "cancelled"
        record = await call(client, "get_run", {"run_id": live["run_id"]})
        assert record["status"] == "cancelled" and record["result"] is None
        assert [event["data"]["text"] for event in record["events"] if event["type"] == "text"] == [
            "not ",
            "to ",
            "be ",
        ]
        assert record["events"][-1]["type"] == "run_end"
        after = await call(client, f"tell_{style}", {"text": "y", "session_id": session})
        assert after["result"] == "y 2", "the state of the cancelled one is gone, and its session free"


async def test_nobody_sees_which_defaults_a_state_was_given(server: Http) -> None:
    """They are kept beside it, for a class only: not in its own state, and not in that of what has its name afterwards."""
    async with server.client() as client:
        made = {"name": "keeps", "source": DEFAULTS}
        assert not (await call(client, "create_workflow", made))["is_error"]
        session = (await call(client, "keeps", {"session_id": "new"}))["session_id"]
        second = await call(client, "keeps", {"session_id": session})
        assert second["result"] == [{"count": 2}, {"count": 2}], "what was deleted stays so, and nothing else is in it"
        failed = await call(client, "keeps", {"session_id": session, "fail": True, "commit": True})
        assert failed["is_error"]
        assert (await call(client, "keeps", {"session_id": session}))["result"] == [{"count": 4}, {"count": 4}]
        for source in SHOWS.values():
            replaced = await call(client, "create_workflow", {"name": "keeps", "source": source, "replace": True})
            assert not replaced["is_error"], replaced
            assert (await call(client, "keeps", {"session_id": session}))["result"] == {"count": 4}
    command = [sys.executable, "-P", "-m", "repertoire", "sessions", "--json", "--home", str(server.home)]
    listed = await anyio.run_process(command)
    assert session in listed.stdout.decode() and "defaults__" not in listed.stdout.decode()


ASYNC = '''
import asyncio

from repertoire import RunResponse, Workflow


class GeneratorArun(Workflow):
    """A plain generator, called arun."""

    def arun(self):
        yield RunResponse(content="a")
        yield RunResponse(content="b")


class Leaves(Workflow):
    """Gives its answer while a job of the default executor still goes on, and another one that it has given up never ends."""

    async def arun(self) -> RunResponse:
        import time

        done = []
        asyncio.ensure_future(asyncio.to_thread(lambda: time.sleep(0.5) or done.append("job")))
        try:
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 60), 0.01)
        except TimeoutError:
            pass
        return RunResponse(content=[self.session_id, self.run_id, done])
'''


async def test_an_async_class_is_run_on_the_loop_of_every_async_body(server: Http) -> None:
    """At its end the loop waits for jobs of the default executor, as asyncio.run does, but not for a job that the body has given up."""
    async with server.client() as client:
        for name in ("generator_arun", "leaves"):
            made = await call(client, "create_workflow", {"name": name, "source": ASYNC})
            assert not made["is_error"], made
        assert (await call(client, "generator_arun"))["result"] == "ab"
        with anyio.fail_after(30):
            answer = await call(client, "leaves")
        assert answer["result"] == [answer["session_id"], answer["run_id"], ["job"]]
