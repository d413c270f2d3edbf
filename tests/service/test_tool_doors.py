"""Tools in bodies: calls, errors, who may call what, approvals, questions in mid-call, progress, restarts. The source is in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import Refused
from repertoire.service.tool_descriptions import item
from repertoire.service.tool_doors import _approval_question
from repertoire.upstream.tool import Tool, ToolContext, ToolFailed
from support.publishing import ME, OFF
from support.services import opened, run
from support.tool_sources import Desk

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def house(folder: Path, files: dict[str, str], *sources: Any, **environ: str) -> AsyncIterator[App]:
    """A home whose operator has these workflow files."""
    (folder / "workflows").mkdir(exist_ok=True)
    for name, source in files.items():
        (folder / "workflows" / f"{name}.py").write_text(source)
    async with opened(folder, sources, **OFF, **environ) as app:
        yield app


async def result(app: App, name: str, **arguments: Any) -> Any:
    answer = await run(app, ME, name, **arguments)
    assert answer["status"] == "completed", answer
    return answer["result"]


async def error(app: App, name: str, **arguments: Any) -> Any:
    answer = await run(app, ME, name, **arguments)
    assert answer["status"] == "failed", answer
    return answer["error"]


async def asked(app: App, run_id: str) -> list[Any]:
    """The open questions of a run that is parked on them."""
    with anyio.fail_after(20):
        while True:
            found = await app.service.runs.find(ME, run_id)
            if found.questions and app.runner.live(run_id) is None:
                return [question.question for question in found.questions]
            await anyio.sleep(0.01)


async def events(app: App, run_id: str) -> list[tuple[str, dict[str, Any]]]:
    return [(event.type, event.data) async for event in app.service.runs.follow(run_id, 0)]


async def test_a_call_works_bare_and_awaited_and_several_at_once(tmp_path: Path) -> None:
    source = """
import asyncio
async def run() -> list:
    bare = tools.desk.echo(text="a")
    one = await tools.desk.echo(text="b")
    both = await asyncio.gather(tools.desk.echo(text="c"), tools["desk.echo"](text="d"), getattr(tools.desk, "echo")(text="e"))
    kept = tools.desk.echo
    return [bare, one, *both, kept(text="f")]
"""
    desk = Desk()
    async with house(tmp_path, {"many": source}, desk) as app:
        given = await result(app, "many")
        assert [one["text"] for one in given] == list("abcdef") and given[0]["tool"] == "echo"
        shown = await app.service.versions.get(ME, "many")
        assert shown["calls"]["tools"] == ["desk.echo"]
    assert len({key for _, _, key in desk.calls}) == 6 and desk.closed


async def test_errors_are_exceptions_with_the_text_of_the_tool(tmp_path: Path) -> None:
    source = """
from repertoire import CallError
def run(text: object = "fail") -> list:
    try:
        return tools.desk.file(text=text)
    except CallError as error:
        return [error.code, error.type, error.message, error.hint]
"""
    unknown = "def run():\n    return tools.desk.fold(text='x')\n"
    nowhere = "def run():\n    return tools.shelf.fold(text='x')\n"
    positional = "def run():\n    return tools.desk.file('x')\n"
    desk = Desk()
    async with house(
        tmp_path, {"one": source, "unknown": unknown, "nowhere": nowhere, "placed": positional}, desk
    ) as app:
        assert await result(app, "one") == ["tool_failed", "ToolFailed", "The desk is on fire.", "Call somebody."]
        before = len(desk.calls)
        code, _, message, hint = await result(app, "one", text=1)
        assert code == "bad_tool_arguments" and "`text`: 1 is not of type 'string'" in message
        assert hint == "It is called as tools.desk.file(text: str)." and len(desk.calls) == before, "nothing was sent"
        found = await error(app, "unknown")
        assert found["type"] == "UnknownTool" and "desk.file" in found["hint"], found
        assert (await error(app, "nowhere"))["type"] == "UnknownTool"
        assert "name the arguments" in (await error(app, "placed"))["message"]


async def test_retries_and_a_time_limit_are_options_of_a_call(tmp_path: Path) -> None:
    source = """
from repertoire import CallError
def run() -> list:
    first = tools.desk.echo.with_options(retries=2)(text="a")
    try:
        tools.desk.file.with_options(timeout=0.05)(text="b")
    except CallError as error:
        return [first["text"], error.code]
"""

    async def sleep(arguments: dict[str, Any], context: ToolContext) -> None:
        await anyio.sleep(60)

    desk = Desk()
    desk.failures = [ToolFailed("busy"), ToolFailed("still busy")]
    desk.answers["file"] = sleep
    async with house(tmp_path, {"patient": source}, desk) as app:
        answer = await run(app, ME, "patient")
        assert answer["result"] == ["a", "tool_timeout"], answer
        said = [data["message"] for kind, data in await events(app, answer["run_id"]) if kind == "log"]
        assert said == ["tools.desk.echo is called again: busy", "tools.desk.echo is called again: still busy"]
        assert (await app.service.versions.get(ME, "patient"))["calls"]["tools"] == ["desk.echo", "desk.file"]
    assert len({key for name, _, key in desk.calls if name == "echo"}) == 1, "a repeated call has the same key"


async def test_calls_are_events_and_progress_is_told(tmp_path: Path) -> None:
    async def work(arguments: dict[str, Any], context: ToolContext) -> str:
        for done in range(20_000):
            context.progress(done, 20_000, "filing")
        context.progress(float("nan"), None, None)
        return "filed"

    desk = Desk()
    desk.answers["file"] = work
    async with house(tmp_path, {"files": "def run():\n    return tools.desk.file(text='x')\n"}, desk) as app:
        answer = await run(app, ME, "files")
        found = await events(app, answer["run_id"])
        kinds = [kind for kind, _ in found]
        assert kinds[:2] == ["run_start", "call_start"] and kinds[-2:] == ["call_end", "run_end"]
        assert found[1][1] == {"path": "0", "op": "tool", "name": "desk.file"} | {"path": found[1][1]["path"]}
        progress = [data for kind, data in found if kind == "progress"]
        assert 2 <= len(progress) < 50 and progress[-1] == {"done": 19_999, "total": 20_000, "message": "filing"}


async def test_a_tool_that_takes_a_key_gets_it_and_bytes_become_artifacts(tmp_path: Path) -> None:
    source = "def run():\n    return [tools.desk.book(), tools.desk.book(key='mine'), tools.desk.picture()]\n"
    desk = Desk()
    async with house(tmp_path, {"books": source}, desk) as app:
        first, second, drawn = await result(app, "books")
        assert first["key"].startswith("workflow:books:") and second["key"] == "mine"
        assert drawn["picture"]["mime_type"] == "image/png" and drawn["picture"]["uri"].startswith("artifact:///desk/")
        kept = await app.service.artifacts.find(ME, drawn["picture"]["name"])
        assert await app.service.artifacts.read(kept) == b"\x89PNG"


async def test_an_answer_beyond_the_limit_is_an_error_that_says_so(tmp_path: Path) -> None:
    async def flood(arguments: dict[str, Any], context: ToolContext) -> str:
        return "x" * 20_000

    desk = Desk()
    desk.answers["echo"] = flood
    async with house(
        tmp_path, {"big": "def run():\n    return tools.desk.echo(text='x')\n"}, desk, max_record_bytes="10000"
    ) as app:
        found = await error(app, "big")
        assert found["type"] == "AnswerTooLarge" and "20,002 bytes" in found["message"]


async def test_a_body_lists_searches_and_describes_tools(tmp_path: Path) -> None:
    source = """
def run() -> dict:
    return {
        "all": [one["name"] for one in tools.list()],
        "found": [one["name"] for one in tools.search("burn a paper", limit=1)],
        "tool": tools.desk.burn.describe(),
        "source": tools.desk.describe(),
        "fetch": tools.fetch.describe(),
        "own": tools.desk.list(),
        "of_fetch": tools.fetch.list(),
    }
"""
    async with house(tmp_path, {"looks": source}, Desk(), Desk("fetch", "fetch")) as app:
        found = await result(app, "looks")
        assert found["all"] == [
            "desk.book",
            "desk.burn",
            "desk.echo",
            "desk.file",
            "desk.list",
            "desk.picture",
            "fetch",
        ]
        assert found["found"] == ["desk.burn"]
        assert found["tool"]["signature"] == "tools.desk.burn(text: str)" and found["tool"]["destructive"] is True
        assert len(found["source"]["tools"]) == 6 and found["fetch"]["signature"] == "tools.fetch()"
        assert found["own"] == {"tool": "list"}, "a tool of this name is called"
        assert [one["name"] for one in found["of_fetch"]] == ["fetch"]


async def test_b13_three_workflows_over_a_scripted_tool_give_one_summary(tmp_path: Path) -> None:
    """The workflows of py-code-mode's page, created by a client."""
    fetch_json = """
def run(url: str, headers: dict = None) -> dict:
    import json
    try:
        response = tools.curl.get(url=url)
        return json.loads(response)
    except json.JSONDecodeError as e:
        raise RuntimeError(f"Invalid JSON from {url}: {e}") from e
"""
    get_repo_metadata = """
def run(owner: str, repo: str) -> dict:
    data = workflows.invoke("fetch_json", url=f"https://api.github.com/repos/{owner}/{repo}")
    return {"name": data["name"], "stars": data["stargazers_count"], "language": data["language"]}
"""
    analyze_multiple_repos = """
def run(repos: list) -> dict:
    summaries = []
    for repo in repos:
        owner, name = repo.split('/')
        summaries.append(workflows.invoke("get_repo_metadata", owner=owner, repo=name))
    total_stars = sum(r["stars"] for r in summaries)
    languages = list(set(r["language"] for r in summaries if r["language"]))
    return {"total_repos": len(summaries), "total_stars": total_stars, "languages": languages, "repos": summaries}
"""

    async def get(arguments: dict[str, Any], context: ToolContext) -> str:
        name = arguments["url"].rpartition("/")[2]
        return json.dumps({"name": name, "stargazers_count": len(name), "language": "Python"})

    curl = Desk("curl", "get")
    curl.answers["get"] = get
    async with house(tmp_path, {}, curl, untrusted_tools="curl.get") as app:
        for name, source in {
            "fetch_json": fetch_json,
            "get_repo_metadata": get_repo_metadata,
            "analyze_multiple_repos": analyze_multiple_repos,
        }.items():
            await app.service.publishing.create(ME, name, source)
        found = await result(app, "analyze_multiple_repos", repos=["a/bb", "c/dddd"])
        assert (found["total_repos"], found["total_stars"], found["languages"]) == (2, 6, ["Python"])
        assert [one["name"] for one in found["repos"]] == ["bb", "dddd"]


# Which tools a workflow may use.


async def test_a_name_that_is_built_at_run_time_has_to_be_declared(tmp_path: Path) -> None:
    body = "def run(verb: str):\n    return getattr(tools.desk, verb)(text='x')['tool']\n"
    declared = '__workflow__ = {"tools": ["desk.echo"]}\n' + body
    whole = '__workflow__ = {"tools": ["desk.*"]}\n' + body
    handed = """
def run(verb: str):
    return use(tools.desk, verb)
def use(source, verb):
    return getattr(source, verb)(text='x')['tool']
"""
    async with house(tmp_path, {"bare": body, "declared": declared, "whole": whole, "handed": handed}, Desk()) as app:
        found = await error(app, "bare", verb="echo")
        assert found["type"] == "ToolNotAllowed" and '"tools": ["desk.echo"]' in found["hint"]
        assert await result(app, "declared", verb="echo") == "echo"
        assert (await error(app, "declared", verb="file"))["type"] == "ToolNotAllowed"
        assert await result(app, "whole", verb="file") == "file"
        assert await result(app, "handed", verb="file") == "file"
        assert (await app.service.versions.get(ME, "handed"))["calls"]["tools"] == ["desk.*"]


async def test_tools_of_modules_beside_the_file_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "_beside.py").write_text(
        "from repertoire import tools\ndef say():\n    return tools.desk.echo(text='x')\n"
    )
    async with house(
        tmp_path, {"main": "import _beside\ndef run():\n    return _beside.say()['text']\n"}, Desk()
    ) as app:
        assert await result(app, "main") == "x"


async def test_created_code_reaches_only_what_the_operator_lists(tmp_path: Path) -> None:
    fetch = "def run():\n    return tools.fetch(text='x')['text']\n"
    echo = "def run():\n    return tools.desk.echo(text='x')['text']\n"
    through = "def run():\n    return workflows.trusted()\n"
    async with house(tmp_path, {"trusted": echo}, Desk(), Desk("fetch", "fetch"), untrusted_workflows="trusted") as app:
        create = app.service.publishing.create
        made = await create(ME, "fetches", fetch)
        assert made["tools"] == ["fetch"] and await result(app, "fetches") == "x"
        made = await create(ME, "echoes", echo)
        assert made["tools"] == ["desk.echo"]
        warned = [one["message"] for one in made["findings"] if one["rule"] == "tool_not_allowed"]
        assert warned == ["tools.desk.echo is not among the tools that created workflows may use here: fetch."]
        found = await error(app, "echoes")
        assert found["type"] == "ToolNotAllowed" and "untrusted_tools" in found["hint"]
        await create(ME, "through", through)
        assert await result(app, "through") == "x", "the operator's own workflow may"
    async with house(tmp_path, {}, Desk(), Desk("fetch", "fetch"), untrusted_tools="desk.*") as app:
        assert await result(app, "echoes") == "x"
        assert (await error(app, "fetches"))["type"] == "ToolNotAllowed"


async def test_a_bad_entry_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path, {}) as app:
        with pytest.raises(Refused, match="names no tool") as caught:
            await app.service.publishing.create(ME, "odd", '__workflow__ = {"tools": ["a.b.c"]}\ndef run(): pass\n')
        assert caught.value.reason == "bad_options"


# Approval, and questions in the middle of a call.

BURN = """
from repertoire import CallError
def run(papers: list[str]) -> list:
    gone = []
    for paper in papers:
        try:
            gone.append(tools.desk.burn(text=paper)["text"])
        except CallError as error:
            gone.append(error.code)
    return gone
"""


async def test_a_destructive_call_is_asked_about_with_the_exact_call(tmp_path: Path) -> None:
    desk = Desk()
    async with house(tmp_path, {"burns": BURN}, desk) as app:
        live = await app.service.runs.start(ME, "burns", {"papers": ["a\u202e", "b", "c"]}, None)
        questions = await asked(app, live.run.id)
        assert questions == [
            r"May this workflow call tools.desk.burn(text='a\u202e')? It may change or delete something."
        ]
        assert desk.calls == []
        await app.service.runs.answer(ME, live.run.id, "once")
        assert "text='b'" in (await asked(app, live.run.id))[0]
        await app.service.runs.answer(ME, live.run.id, "refuse")
        assert "text='c'" in (await asked(app, live.run.id))[0]
        await app.service.runs.answer(ME, live.run.id, "once")
        answer = await app.service.runs.get(ME, live.run.id, wait_s=20)
        assert answer["result"] == ["a\u202e", "tool_refused", "c"]
        assert [arguments["text"] for _, arguments, _ in desk.calls] == ["a\u202e", "c"]


async def test_approval_for_a_run_holds_for_that_tool_until_its_end(tmp_path: Path) -> None:
    desk = Desk()
    async with house(tmp_path, {"burns": BURN}, desk) as app:
        live = await app.service.runs.start(ME, "burns", {"papers": ["a", "b"]}, None)
        await asked(app, live.run.id)
    async with house(tmp_path, {}, desk) as app:  # a restart while it waits
        await app.service.runs.answer(ME, live.run.id, "approve for this run")
        answer = await app.service.runs.get(ME, live.run.id, wait_s=20)
        assert answer["result"] == ["a", "b"]
        other = await app.service.runs.start(ME, "burns", {"papers": ["z"]}, None)
        assert len(await asked(app, other.run.id)) == 1, "another run asks again"
        await app.service.runs.cancel(ME, other.run.id)
    async with house(tmp_path, {}, desk, tool_approval="off") as app:
        assert await result(app, "burns", papers=["y"]) == ["y"]


async def test_a_tool_asks_in_the_middle_of_its_call(tmp_path: Path) -> None:
    desk, begun = Desk(), 0

    async def ask(arguments: dict[str, Any], context: ToolContext) -> str:
        nonlocal begun
        begun += 1
        return f"filed under {await context.ask('Under which letter?', {'type': 'string'})}"

    desk.answers["file"] = ask
    files = {"files": "def run():\n    return tools.desk.file(text='x')\n"}
    async with house(tmp_path, files, desk) as app:
        live = await app.service.runs.start(ME, "files", {}, None)
        with anyio.fail_after(20):
            while not live.run.questions:
                await anyio.sleep(0.01)
        assert app.runner.live(live.run.id) is live, "it is not parked: the call would be lost"
    async with house(tmp_path, {}, desk) as app:
        await app.service.runs.answer(ME, live.run.id, "Q")
        assert (await app.service.runs.get(ME, live.run.id, wait_s=20))["result"] == "filed under Q"
        assert begun == 2 and len({key for _, _, key in desk.calls}) == 1, "made again with the same key"


async def test_a_question_that_the_tool_no_longer_waits_for_is_closed(tmp_path: Path) -> None:
    async def ask(arguments: dict[str, Any], context: ToolContext) -> str:
        with anyio.move_on_after(0.3):
            await context.ask("Still there?", {"type": "string"})
        return "went on"

    desk = Desk()
    desk.answers["file"] = ask
    source = "def run():\n    tools.desk.file(text='x')\n    return ask('And now?')\n"
    async with house(tmp_path, {"files": source}, desk) as app:
        live = await app.service.runs.start(ME, "files", {}, None)
        assert await asked(app, live.run.id) == ["And now?"]


# Restarts, and mocks.


async def test_a_recorded_call_is_not_made_again_and_needs_no_tool(tmp_path: Path) -> None:
    desk = Desk()
    files = {"asks": "def run():\n    first = tools.desk.echo(text='x')\n    return [first['text'], ask('And?')]\n"}
    async with house(tmp_path, files, desk) as app:
        live = await app.service.runs.start(ME, "asks", {}, None)
        await asked(app, live.run.id)
    async with house(tmp_path, {}) as app:  # the source is gone
        await app.service.runs.answer(ME, live.run.id, "yes")
        assert (await app.service.runs.get(ME, live.run.id, wait_s=20))["result"] == ["x", "yes"]
    assert len(desk.calls) == 1


async def test_examples_have_mocks_of_tools_and_a_run_gives_them(tmp_path: Path) -> None:
    source = "def run() -> str:\n    return tools.fetch(text='x')['text'].upper()\n"
    fetch = Desk("fetch", "fetch")
    async with house(tmp_path, {}, fetch) as app:
        create = app.service.publishing.create
        with pytest.raises(Refused, match=r'"call": "tools.fetch", "result"'):
            await create(ME, "shouts", source, examples=[{"expect": "Y"}])
        mock = {"call": "tools.fetch", "arguments": {"text": "x"}, "result": {"text": "y"}}
        await create(ME, "shouts", source, examples=[{"expect": "Y", "mocks": [mock]}])
        assert fetch.calls == []
        answer = await run(app, ME, "shouts")
        await create(ME, "shouts", source, replace=True, from_run=answer["run_id"])
        shown = (await app.service.versions.get(ME, "shouts"))["examples"][-1]
        assert list(shown["mocks"]) == [{"call": "tools.fetch", "result": {"tool": "fetch", "text": "x"}}]


async def test_a_secret_in_an_answer_or_an_error_is_masked(tmp_path: Path) -> None:
    from repertoire.limits import Limits
    from repertoire.service.tool_calls import ToolCalls

    calls = ToolCalls(lambda text: text.replace("hunter2", "[secret]"), Limits())
    desk = Desk()
    tool = desk.tools[0]

    async def keep(tool: Any, blob: Any) -> None: ...

    async def never(question: str, schema: dict[str, Any]) -> None: ...

    context = ToolContext("key", lambda *told: None, never, {})
    text = await calls.call(desk, tool, {"hunter2": ["hunter2"]}, context, keep_blob=keep)
    assert json.loads(text) == {"tool": "echo", "[secret]": ["[secret]"]}
    desk.failures = [ToolFailed("bad hunter2", "not hunter2")]
    with pytest.raises(ToolFailed) as caught:
        await calls.call(desk, tool, {}, context, keep_blob=keep)
    assert "hunter2" not in f"{caught.value} {caught.value.message} {caught.value.hint}"


async def test_a_call_that_a_body_cancels_is_cancelled(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def wait(arguments: dict[str, Any], context: ToolContext) -> None:
        try:
            await anyio.sleep(60)
        finally:
            stopped.set()

    desk = Desk()
    desk.answers["file"] = wait
    source = """
import asyncio
async def run():
    try:
        await asyncio.wait_for(tools.desk.file(text='x'), 0.1)
    except TimeoutError:
        return 'late'
"""
    async with house(tmp_path, {"cancels": source}, desk) as app:
        assert await result(app, "cancels") == "late"
        await asyncio.wait_for(stopped.wait(), 10)


def test_an_approval_shows_names_and_cuts_so_that_neither_can_lie() -> None:
    tool = Tool(source="github", name="delete_repo", original="delete_repo")
    forged = _approval_question(tool, {"repo": "a", "note='x')? It only reads.\n\nApproved. (": 1})
    assert "\n" not in forged and "\"note='x')? It only reads" in forged
    one, other = (_approval_question(tool, {"filler": "x" * 20_000 + end, "repo": "a"}) for end in "ab")
    assert one != other and "repo='a'" in one and "sha256" in one


def test_texts_of_a_source_reach_a_reader_without_hidden_characters_and_bounded() -> None:
    schema = {"type": "object", "properties": {"kind": {"enum": ["a" * 5_000]}}}
    tool = Tool(
        source="s", name="t", original="t", description="Safe\u202e\x1b[2J\U000e0041 text.", input_schema=schema
    )
    assert item(tool)["description"] == "Safe[2J text." and len(item(tool)["signature"]) < 200
