"""A run carries its caller's workflow folders: what it calls by name is looked up there, below it and after a resume as well."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from repertoire.app import App, open_app
from repertoire.errors import Refused, UnknownWorkflow
from repertoire.model.session import Caller
from repertoire.settings import load
from support.mcp_calls import call
from support.publishing import OFF, rules
from support.survivals import opened
from support.transports import way_in

pytestmark = pytest.mark.anyio

DOUBLE = 'def run(n: int) -> int:\n    """Double."""\n    return n * 2\n'
TRIPLE = DOUBLE.replace("n * 2", "n * 3")


def calling(name: str, more: str = "") -> str:
    return f'def run(n: int) -> int:\n    """Call {name}."""\n    return workflows.invoke("{name}", n=n){more}\n'


ASKING = '''
def run(n: int) -> list:
    """Call double, ask, call it again."""
    first = workflows.invoke("double", n=n)
    ask("Go on?", bool)
    return [first, workflows.invoke("double", n=n)]
'''


def folder(path: Path, **files: str) -> Caller:
    path.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        (path / f"{name}.py").write_text(source)
    return Caller(roots=(str(path),))


async def outcome(app: App, caller: Caller, name: str, **arguments: Any) -> dict[str, Any]:
    live = await app.service.runs.start(caller, name, arguments)
    return app.service.runs.envelope(await app.service.runs.wait_for_end(live))


async def result(app: App, caller: Caller, name: str, n: int = 1) -> Any:
    answer = await outcome(app, caller, name, n=n)
    assert answer["status"] == "completed", answer
    return answer["result"]


async def asked(app: App, caller: Caller, name: str) -> str:
    """A run that asks, parked."""
    live = await app.service.runs.start(caller, name, {"n": 1})
    run = await app.service.runs.wait(live, 20)
    assert run.status == "input_required", run
    with anyio.fail_after(20):
        await live.done.wait()
    return run.id


async def answered(app: App, run_id: str) -> Any:
    """By somebody who has no folder at all."""
    await app.service.runs.answer(Caller(), run_id, True)
    with anyio.fail_after(20):
        async for _ in app.service.runs.follow(run_id):
            pass
    answer = await app.service.runs.get(Caller(), run_id)
    assert answer["status"] == "completed", answer
    return answer["result"]


async def test_a_created_workflow_calls_files_of_its_caller_two_deep(tmp_path: Path) -> None:
    caller = folder(tmp_path / "files", double=DOUBLE, middle=calling("double", " + 1"))
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(caller, "top", calling("middle"))
        assert await result(app, caller, "top", 5) == 11
        await app.service.publishing.create(caller, "above", calling("top"))
        assert await result(app, caller, "above", 5) == 11, "and by way of another created one"


async def test_a_file_calls_a_file_of_another_folder_and_the_first_folder_wins(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", top=calling("double"))
    two = folder(tmp_path / "two", double=DOUBLE)
    three = folder(tmp_path / "three", double=TRIPLE)
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        for roots, expected in ((two.roots, 2), (three.roots, 3), (two.roots + three.roots, 2)):
            caller = Caller(roots=one.roots + roots)
            await app.service.library.wait_until_settled(caller, 60)
            assert await result(app, caller, "top") == expected


async def test_two_callers_of_one_server_never_see_each_others_files(tmp_path: Path) -> None:
    mine, theirs = folder(tmp_path / "mine", double=DOUBLE), folder(tmp_path / "theirs", double=TRIPLE, secret=DOUBLE)
    looks = '''
def run(n: int) -> list:
    """What can be seen."""
    names = [one["name"] for one in workflows.list()] + [one["name"] for one in workflows.search("double secret")]
    return [workflows.invoke("double", n=n), "secret" in names, workflows.get("secret") is not None]
'''
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        for caller in (mine, theirs):
            await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(mine, "looks", looks)
        assert await result(app, mine, "looks") == [2, False, False]
        assert await result(app, theirs, "looks") == [3, True, True]
        await app.service.publishing.create(mine, "asks", calling("secret"))
        with pytest.raises(UnknownWorkflow):
            app.service.library.find(mine, "secret")
        error = (await outcome(app, mine, "asks", n=1))["error"]
        assert "no workflow 'secret'" in error["message"] and "theirs" not in str(error)
        assert await result(app, theirs, "asks") == 2
        (tmp_path / "theirs" / "caller.py").write_text(calling("looks"))
        await app.service.library.refresh(theirs)
        assert (await app.service.versions.get(mine, "looks"))["called_by"] == []
        assert (await app.service.versions.get(theirs, "looks"))["called_by"] == ["caller"]


async def test_a_resumed_run_sees_its_callers_folders_though_nobody_has_opened_them_yet(tmp_path: Path) -> None:
    caller = folder(tmp_path / "files", double=DOUBLE, middle=calling("double", " + 1"))
    later = 'def run(n: int) -> int:\n    """L."""\n    ask("Go on?", bool)\n    return workflows.middle(n=n)\n'
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(caller, "later", later)
        await app.service.publishing.create(caller, "top", calling("later"))
        run_id = await asked(app, caller, "top")
    async with opened(tmp_path / "home", untrusted_workflows="*", workers="1") as app:
        assert await answered(app, run_id) == 3


async def test_a_file_that_the_new_server_has_not_read_yet_is_waited_for_without_a_workers_place(
    tmp_path: Path,
) -> None:
    caller = folder(tmp_path / "files")
    source = 'def run(n: int) -> int:\n    """L."""\n    ask("Go on?", bool)\n    return workflows.double(n=n)\n'
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(caller, "later", source, force=True)
        run_id = await asked(app, caller, "later")
    folder(tmp_path / "files", double="import time\ntime.sleep(1)\n" + DOUBLE)
    async with opened(tmp_path / "home", untrusted_workflows="*", workers="1") as app:
        assert await answered(app, run_id) == 2


@pytest.mark.parametrize("change", ["edited", "removed"])
async def test_what_a_run_has_called_once_stays_the_same_after_a_resume(tmp_path: Path, change: str) -> None:
    caller = folder(tmp_path / "files", double=DOUBLE, asking=ASKING)
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        run_id = await asked(app, caller, "asking")
    if change == "edited":
        (tmp_path / "files" / "double.py").write_text(TRIPLE)
    else:
        (tmp_path / "files" / "double.py").unlink()
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        assert await answered(app, run_id) == [2, 2]


async def test_a_call_by_the_files_name_stays_what_it_was_though_its_class_was_renamed(tmp_path: Path) -> None:
    held = (
        'from repertoire import Workflow\nclass {name}(Workflow):\n    """D."""\n'
        "    def run(self, n: int) -> int:\n        return n * {by}\n"
    )
    caller = folder(
        tmp_path / "files", sums=held.format(name="Doubling", by=2), asking=ASKING.replace('"double"', '"sums"')
    )
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        run_id = await asked(app, caller, "asking")
    (tmp_path / "files" / "sums.py").write_text(held.format(name="Tripling", by=3))
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        assert await answered(app, run_id) == [2, 2]


async def test_calls_at_once_of_one_name_run_one_version(tmp_path: Path) -> None:
    caller = folder(tmp_path / "files", double=DOUBLE)
    together = '''
import asyncio
async def run(n: int) -> list:
    """Many."""
    return await asyncio.gather(*[workflows.invoke("double", n=n) for _ in range(4)])
'''
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(caller, "together", together)
        assert await result(app, caller, "together") == [2] * 4
        below = await app.service.runs.list_runs(caller, workflow="double")
        assert len(below) == 4 and len({row["version"] for row in below}) == 1


async def test_a_rerun_sees_the_folders_of_the_run_that_it_repeats(tmp_path: Path) -> None:
    mine, theirs = folder(tmp_path / "mine", double=DOUBLE), folder(tmp_path / "theirs", double=TRIPLE)
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        for caller in (mine, theirs):
            await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(mine, "top", calling("double"))
        first = await outcome(app, mine, "top", n=1)
        (call,) = (await app.service.history.tree(mine, first["run_id"]))["calls"]
        again = await app.service.history.rerun(theirs, first["run_id"], before=call["path"])
        assert app.service.runs.envelope(await app.service.runs.wait_for_end(again))["result"] == 2


async def test_examples_and_what_a_body_creates_see_them_too(tmp_path: Path) -> None:
    reads = '__workflow__ = {"read_only": True}\n' + DOUBLE
    caller = folder(tmp_path / "files", double=reads, maker=f'''
def run(n: int) -> str:
    """Make one, with an example."""
    made = workflows.create(name="made", source={calling("double")!r}, examples=[{{"arguments": {{"n": 4}}, "expect": 8}}])
    return str(made["findings"])
''')  # fmt: skip
    examples = [{"arguments": {"n": 2}, "expect": 4}]
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        answer = await app.service.publishing.create(caller, "top", calling("double"), examples=examples)
        assert answer["examples"]["passed"] == 1 and "unknown_workflow" not in rules(answer)
        assert "unknown_workflow" not in await result(app, caller, "maker")
        assert await result(app, caller, "made", 3) == 6
        with pytest.raises(Refused, match="not done in an example"):  # it is no workflow of theirs that only reads
            await app.service.publishing.create(Caller(), "elsewhere", calling("double"), examples=examples)


async def test_a_run_of_before_folders_were_stored_sees_that_of_its_file(tmp_path: Path) -> None:
    caller = folder(
        tmp_path / "files", asking=ASKING.replace('first = workflows.invoke("double", n=n)', "first = 0"), double=DOUBLE
    )
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        await app.service.library.wait_until_settled(caller, 60)
        run_id = await asked(app, caller, "asking")
    with sqlite3.connect(tmp_path / "home" / "repertoire.db") as db:
        db.execute("UPDATE run SET roots = NULL")
    db.close()
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        assert await answered(app, run_id) == [0, 2]


async def test_http_callers_and_those_of_an_embedded_server_have_the_servers_folders(tmp_path: Path) -> None:
    folder(tmp_path / "files", double=DOUBLE)
    settings = load(
        home=str(tmp_path / "home"),
        roots=(str(tmp_path / "files"),),
        environ={f"REPERTOIRE_{k.upper()}": v for k, v in {**OFF, "untrusted_workflows": "*"}.items()},
    )
    async with open_app(settings) as app:
        caller = Caller(roots=app.service.settings.roots, env=app.service.settings.own_env())
        await app.service.library.wait_until_settled(caller, 60)
        await app.service.publishing.create(caller, "top", calling("double"))
        assert await result(app, caller, "top", 4) == 8


async def test_publishing_tells_of_a_callee_that_its_creator_does_not_see(tmp_path: Path) -> None:
    named = 'from repertoire import Workflow\nclass Doubling(Workflow):\n    """D."""\n    def run(self, n: int) -> int:\n        return n\n'
    caller = folder(tmp_path / "files", double=DOUBLE, sums=named, bad="def run(:\n")
    folder(tmp_path / "theirs", theirs=DOUBLE)
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:  # nobody has waited until the files are read
        for callee, expected in (
            ("double", None), ("sums", None), ("Doubling", None), ("doubel", "Is it `double`"), ("theirs", "Publish that workflow first"),
            ("bad", "list_workflows says under `broken`"),
        ):  # fmt: skip
            force = callee in ("doubel", "theirs")  # nobody has such a workflow: without force it is kept as a draft
            answer = await app.service.publishing.create(caller, "caller", calling(callee), replace=True, force=force)
            hints = [one["hint"] for one in answer["findings"] if one["rule"] == "unknown_workflow"]
            assert len(hints) == (expected is not None), (callee, hints)
            assert not hints or hints[0].startswith(str(expected)), hints
            assert answer["status"] == "published"
        error = (await outcome(app, caller, "caller", n=1))["error"]
        assert "bad.py, line 1: Syntax error" in error["message"], error


async def test_a_call_while_the_folders_are_read_waits_for_its_name(tmp_path: Path) -> None:
    caller = folder(tmp_path / "files", double="import time\ntime.sleep(0.5)\n" + DOUBLE)
    async with opened(tmp_path / "home", untrusted_workflows="*") as app:
        assert await result(app, caller, "double") == 2


async def test_n1_what_a_host_s_workflows_call_is_found_in_that_host_s_folders(tmp_path: Path) -> None:
    """Through the daemon, as a host and as the command line: a created workflow and a file of another folder call a file."""
    home, one, two = tmp_path / "home", tmp_path / "one", tmp_path / "two"
    folder(one, double=DOUBLE)
    folder(two, from_two=calling("double", " + 100"))
    serve = ["-P", "-m", "repertoire", "serve", "--home", str(home)]
    home.mkdir(mode=0o700)
    (home / "repertoire.toml").write_text('untrusted_workflows = ["*"]\n')
    with way_in("stdio", home, {}):
        folders = ["--workflows", str(one), "--workflows", str(two)]
        host = StdioServerParameters(command=sys.executable, args=[*serve, *folders])
        async with Client(stdio_client(host)) as client:
            made = {"name": "created", "source": calling("double", " + 1")}
            published = await call(client, "create_workflow", made)
            assert published["status"] == "published", published
            for name, expected in (("created", 11), ("from_two", 110)):
                assert (await call(client, "run_workflow", {"name": name, "arguments": {"n": 5}}))["result"] == expected
        command = [
            sys.executable,
            "-P",
            "-m",
            "repertoire",
            "run",
            "created",
            "--payload",
            '{"n": 5}',
            "--home",
            str(home),
        ]
        done = await anyio.run_process([*command, *folders, "--json"])
        assert json.loads(done.stdout)["result"] == 11
        async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=serve))) as stranger:
            answer = await call(stranger, "run_workflow", {"name": "created", "arguments": {"n": 5}})
            assert answer["status"] == "failed" and "no workflow 'double'" in answer["error"]["message"]
