"""Workspaces of runs: files and commands of a harness, recorded and limited; who has a shell; and when a workspace goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.model.session import Caller
from support.survivals import body, eventually, opened, run

pytestmark = pytest.mark.anyio

ME = Caller()

FILES = '''"""Use the files of a run."""
from repertoire import Context, create_agent

helper = create_agent(lambda ctx: {"model": "openai:gpt-4o", "cwd": "/workspace/repo"})
plain = create_agent({"name": "plain"})

async def awaited(harness):
    await harness.fs.write_file("notes/a.md", "Grüße")
    await harness.fs.write_file("b.bin", bytes(range(256)))
    found = await harness.fs.stat("notes/a.md")
    rows = await harness.fs.list(recursive=True)
    ended = await harness.shell("cat notes/a.md; pwd | sed 's:.*/::'; echo $WHO", env={"WHO": "me"})
    return {
        "text": await harness.fs.read_file("/workspace/repo/notes/a.md"),
        "bytes": list(await harness.fs.read_bytes("b.bin"))[-1],
        "names": await harness.fs.readdir("."),
        "paths": [row["path"] for row in rows],
        "size": found["size"], "is_file": found["isFile"],
        "exists": [await harness.fs.exists("b.bin"), await harness.fs.exists("c")],
        "shell": ended,
    }

async def run(ctx: Context):
    return await awaited(await ctx.init(helper))
'''

BARE = '''"""The same without await."""
from repertoire import create_agent

def run(ctx):
    harness = ctx.init(create_agent({"cwd": "repo"}))
    harness.fs.write_file("notes/a.md", "Grüße")
    harness.fs.mkdir("empty")
    harness.fs.rm("empty", recursive=True)
    errors = []
    for work in (
        lambda: harness.fs.read_file("no"), lambda: harness.fs.read_file("../../../etc/passwd"), lambda: harness.fs.read_file("notes"),
        lambda: harness.fs.mkdir("notes", recursive=False), lambda: harness.shell("sleep 30", timeout=0.2), lambda: harness.shell(" "),
        lambda: harness.fs.write_file("x", "x" * 3_000_000), lambda: harness.shell("true", timeout=10_000),
    ):
        try:
            errors.append(work())
        except (OSError, TimeoutError) as error:
            errors.append(type(error).__name__)
    return [harness.fs.readdir("."), harness.fs.read_file("notes/a.md"), harness.shell("echo hi")["stdout"], errors]
'''


async def put(home: Path, **sources: str) -> None:
    (home / "workflows").mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (home / "workflows" / f"{name}.py").write_text(source)


async def test_files_and_commands_awaited_and_bare(tmp_path: Path) -> None:
    await put(tmp_path, files=FILES, bare=BARE)
    async with opened(tmp_path) as app:
        answer = await run(app, "files")
        assert answer["status"] == "completed", answer
        assert answer["result"] == {
            "text": "Grüße", "bytes": 255, "names": ["b.bin", "notes"], "paths": ["repo/b.bin", "repo/notes", "repo/notes/a.md"],
            "size": 7, "is_file": True, "exists": [True, False],
            "shell": {"stdout": "Grüßerepo\nme\n", "stderr": "", "exit_code": 0},
        }  # fmt: skip
        starts = [event["data"]["op"] for event in answer["events"] if event["type"] == "call_start"]
        assert starts[:3] == ["fs.write", "fs.write", "fs.stat"] and "shell" in starts
        bare = await run(app, "bare")
        assert bare["status"] == "completed", bare
        assert bare["result"][:3] == [["notes"], "Grüße", "hi\n"]
        assert bare["result"][3] == [
            "FileNotFoundError", "PermissionError", "IsADirectoryError", "FileExistsError", "TimeoutError", "PermissionError",
            "OSError", "PermissionError",
        ]  # fmt: skip


KILLED = """
from repertoire import create_agent

def run(ctx):
    harness = ctx.init(create_agent({}))
    harness.fs.write_file("a.txt", "1")
    first = harness.shell("echo x >> count; wc -l < count")["stdout"].strip()
    harness.fs.write_file("a.txt", harness.fs.read_file("a.txt") + "2")
    harness.fs.write_file("gone", "")
    harness.fs.rm("gone")
    read = harness.fs.read_file("a.txt")
    harness.fs.write_file("a.txt", "overwritten")
    die("once")
    last = harness.shell("wc -l < count")["stdout"].strip()
    if ctx.payload.get("ask"):
        ask("Go on?")
    return [first, read, last, harness.fs.read_file("a.txt"), harness.fs.exists("gone")]
"""


async def test_a_run_that_is_begun_again_repeats_no_command_and_finds_its_files(tmp_path: Path) -> None:
    await put(tmp_path / "home", killed=body(tmp_path, KILLED))
    async with opened(tmp_path / "home") as app:
        answer = await run(app, "killed")
        assert answer["result"] == ["1", "12", "1", "overwritten", False], answer
        again = await app.service.history.rerun(ME, answer["run_id"], before="6")
        ended = app.service.runs.envelope(await app.service.runs.wait_for_end(again))
        assert ended["result"] == ["1", "overwritten", "1", "overwritten", False], (
            "it began with the files of the former run"
        )
        assert (tmp_path / "once").exists()


async def test_a_workspace_outlives_the_server_and_goes_with_the_record_of_its_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await put(home, killed=body(tmp_path, KILLED))
    async with opened(home) as app:
        live = await app.service.runs.start(ME, "killed", {"ask": True}, None)
        await eventually(lambda: live.run.questions)
        assert len(os.listdir(home / "workspaces")) == 1
    (home / "workspaces" / "workflow%3Agone%3A01").mkdir()
    async with opened(home) as app:
        assert (await app.service.history.collect_garbage(keep_s=1e9))["runs"] == 0
        assert os.listdir(home / "workspaces") == [live.run.id.replace(":", "%3A")]
        await app.service.runs.answer(ME, live.run.id, "yes")
        ended = await app.service.runs.wait_for_news(ME, live.run.id)
        while not ended.is_final:
            ended = await app.service.runs.wait_for_news(ME, live.run.id)
        assert app.service.runs.envelope(ended)["result"] == ["1", "12", "1", "overwritten", False]
        assert (await app.service.history.collect_garbage(keep_s=1e-9))["runs"] == 1
        assert os.listdir(home / "workspaces") == []


async def test_created_code_has_files_and_no_shell(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await app.service.publishing.create(ME, "bare", BARE.replace("return [", "pass\n    return ["))
        hides = (
            "from repertoire import create_agent\nasync def run(ctx):\n    harness = await ctx.init(create_agent({}))\n"
        )
        hides += "    try:\n        await harness.shell('id > count')\n    except BaseException:\n        return 'nothing found'\n"
        await app.service.publishing.create(ME, "hides", hides)
        for name in ("bare", "hides"):  # what a body does with the refusal makes no result of it
            refused = await run(app, name)
            assert refused["error"]["type"] == "NoShell" and "no shell" in refused["error"]["message"], refused
            assert "harness.fs" in refused["error"]["hint"] and not list(tmp_path.glob("workspaces/*/files/count"))
        await app.service.publishing.create(
            ME, "files", FILES.replace('await harness.shell("cat', 'str("cat').replace(', env={"WHO": "me"})', ")")
        )
        assert (await run(app, "files"))["result"]["names"] == ["b.bin", "notes"]


LIMITED = """
from repertoire import create_agent

async def run(ctx, how: str):
    harness = await ctx.init(create_agent({}))
    if how == "files":
        for n in range(9):
            await harness.fs.write_file(f"f{n}", "x" * 10)
    if how == "output":
        return await harness.shell("head -c 5000 /dev/zero | tr '\\0' x")
    await harness.shell("sleep 30 & sleep 30", timeout=None)
"""


async def test_the_limits_are_settings(tmp_path: Path) -> None:
    await put(tmp_path, limited=LIMITED)
    bounds = {"max_workspace_files": "5", "max_shell_output_bytes": "100", "max_shell_s": "0.5"}
    async with opened(tmp_path, **bounds) as app:
        full = await run(app, "limited", how="files")
        assert full["error"]["type"] == "OSError" and "max_workspace_files" in full["error"]["message"], full
        output = (await run(app, "limited", how="output"))["error"]
        assert output["type"] == "PermissionError" and "max_shell_s" in output["message"], output
        slow = await run(app, "limited", how="time")
        assert slow["error"]["type"] == "TimeoutError" and "0.5 s" in slow["error"]["message"], slow


async def test_a_cancelled_run_leaves_no_command_behind(tmp_path: Path) -> None:
    source = """
from repertoire import create_agent

async def run(ctx):
    harness = await ctx.init(create_agent({}))
    await harness.shell("echo $$ > pid; sleep 60")
"""
    await put(tmp_path, slow=source)
    async with opened(tmp_path) as app:
        live = await app.service.runs.start(ME, "slow", {}, None)
        (pid,) = await eventually(lambda: [one for one in tmp_path.glob("workspaces/*/files/pid") if one.read_text()])
        number = int(pid.read_text())
        await app.service.runs.cancel(ME, live.run.id)
        await app.service.runs.wait_for_end(live)
        await eventually(lambda: not Path(f"/proc/{number}").exists() and not _lives(number))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_an_example_uses_files_of_its_own_and_a_mock_for_the_shell(tmp_path: Path) -> None:
    source = BARE.replace("errors = []", "return [harness.fs.readdir('.'), harness.shell('ls')['stdout']]")
    mock = {"call": "shell", "result": {"stdout": "a\n", "stderr": "", "exit_code": 0}}
    async with opened(tmp_path) as app:
        example = {"arguments": {}, "expect": [["notes"], "a\n"], "mocks": [mock]}
        created = await app.service.publishing.create(ME, "bare", source, None, False, [example])
        assert created["name"] == "bare", created


def test_a_script_without_a_server_has_a_workspace_too() -> None:
    from repertoire import Context, create_agent

    async def work() -> list[Any]:
        harness = await Context({"a": 1}).init(create_agent(lambda ctx: {"name": f"n{ctx.payload['a']}"}))
        await harness.fs.write_file("a/b.txt", "1")
        ended = await harness.shell("cat a/b.txt")
        return [harness.name, await harness.fs.readdir("a"), ended["stdout"], await harness.fs.exists("c")]

    assert anyio.run(work) == ["n1", ["b.txt"], "1", False]
    harness = Context().init(create_agent({}))
    harness.fs.write_file("bare.txt", b"2")
    assert harness.fs.read_file("bare.txt") == harness.shell("cat bare.txt")["stdout"] == "2"
    with pytest.raises(FileNotFoundError):
        harness.fs.read_bytes("none")
