"""Command-line tools from YAML files: their schemas, their lines, real programs, and programs that misbehave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import ValidationError

from repertoire.upstream.addresses import AddressRules
from repertoire.upstream.command_definition import parse_command
from repertoire.upstream.command_line import command_line
from repertoire.upstream.commands import CommandSource
from repertoire.upstream.definitions import SHIPPED, Definitions, read_definitions, shipped_command
from repertoire.upstream.tool import BadToolArguments, ToolFailed, ToolTimeout, ToolUnavailable
from support.tools import call_tool, tool_of
from support.web import WebServer, web_server

pytestmark = pytest.mark.anyio

PY_CODE_MODE = """
name: curl
description: Make HTTP requests
command: curl
timeout: 60
tags: [http, network]
schema:
  options:
    silent: {type: boolean, short: s, description: Silent mode}
    location: {type: boolean, short: L}
    header: {type: array, short: H}
    max-time: {type: integer, short: m}
  positional:
    - {name: url, type: string, required: true, description: URL to request}
recipes:
  get:
    description: Simple GET request
    preset: {silent: true, location: true}
    params:
      url: {}
  json:
    preset: {silent: true, header: ["Accept: application/json"]}
    params: {url: {}, header: {}}
  all: {preset: {silent: true}}
"""
"""The format's own example, with each of its features."""


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def read(folder: Path, **files: str) -> Definitions:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return read_definitions(folder)


def source_of(folder: Path, text: str, *, environ: dict[str, str] | None = None) -> CommandSource:
    found = read(folder, tool=text)
    assert not found.troubles, found.troubles
    return CommandSource(found.commands[0].definition, AddressRules(), folder=str(folder), environ=environ)


def script(folder: Path, code: str, **more: Any) -> CommandSource:
    """A command that runs this Python code, with an argument `text`."""
    schema = {"positional": [{"name": "text"}]}
    return source_of(
        folder,
        json.dumps({"name": "script", "command": sys.executable, "args": ["-S", "-c", code], "schema": schema} | more),
    )


def shipped(name: str, *reachable: str) -> CommandSource:
    return CommandSource(shipped_command(name), AddressRules(reachable))


async def line(source: CommandSource, name: str, **arguments: Any) -> list[str]:
    tool = await tool_of(source, name)
    return list((await command_line(source._definition, tool, arguments, AddressRules(["127.0.0.1"]))).command)


# py-code-mode's format as it is.


async def test_recipes_and_the_command_itself_are_tools(tmp_path: Path) -> None:
    curl = source_of(tmp_path, PY_CODE_MODE)
    assert [tool.path for tool in await curl.list_tools()] == ["curl.get", "curl.json", "curl.all", "curl"]
    get = await tool_of(curl, "get")
    assert get.description == "Simple GET request Tags: http, network." and get.input_schema["required"] == ["url"]
    assert get.input_schema["properties"] == {"url": {"type": "string", "description": "URL to request"}}
    everything = await tool_of(curl, "all")
    assert list(everything.input_schema["properties"]) == ["silent", "location", "header", "max_time", "url"]


async def test_lines_are_those_of_py_code_mode(tmp_path: Path) -> None:
    curl = source_of(tmp_path, PY_CODE_MODE)
    assert await line(curl, "get", url="http://a") == ["curl", "-s", "-L", "http://a"]
    assert await line(curl, "json", url="u") == ["curl", "-s", "-H", "Accept: application/json", "u"]
    assert await line(curl, "json", url="u", header=["A: 1", "B: 2"]) == ["curl", "-s", "-H", "A: 1", "-H", "B: 2", "u"]
    assert await line(curl, "curl", url="u", silent=False, location=True, max_time=3) == ["curl", "-L", "-m", "3", "u"]
    assert await line(curl, "curl", url="u", header=None) == ["curl", "u"]


async def test_the_seeds_call_works(tmp_path: Path, web: WebServer) -> None:
    url = web.give("/repo", {"stargazers_count": 7})
    curl = source_of(tmp_path, PY_CODE_MODE)
    assert json.loads(await call_tool(curl, "get", url=url)) == {"stargazers_count": 7}
    assert json.loads(await call_tool(curl, "curl", url=url, silent=True)) == {"stargazers_count": 7}
    assert json.loads(await call_tool(shipped("curl", web.host), "get", url=url)) == {"stargazers_count": 7}


async def test_arguments_beyond_the_recipe_are_refused(tmp_path: Path) -> None:
    curl = source_of(tmp_path, PY_CODE_MODE)
    for name, wrong in (
        ("get", {"url": "u", "location": True}),
        ("get", {}),
        ("curl", {"url": 1}),
        ("json", {"url": "u", "header": "x"}),
    ):
        with pytest.raises(ValidationError):
            await call_tool(curl, name, **wrong)


async def test_a_recipe_with_the_commands_name_is_the_command(tmp_path: Path) -> None:
    echo = source_of(
        tmp_path,
        "name: echo\nschema: {positional: [{name: text}]}\nrecipes: {echo: {preset: {text: hi}, params: {text: {}}}}",
    )
    assert [tool.path for tool in await echo.list_tools()] == ["echo"] and await call_tool(echo, "echo") == "hi\n"


def test_an_mcp_server_of_that_format_is_an_entry_of_mcp_json(tmp_path: Path) -> None:
    found = read(
        tmp_path, web="name: web\ntype: mcp\ntransport: stdio\ncommand: uvx\nargs: [mcp-server-fetch]\ndescription: x\n"
    )
    assert found.servers == {"web": {"command": "uvx", "args": ["mcp-server-fetch"]}} and not found.commands


def test_a_broken_file_is_reported_and_the_others_work(tmp_path: Path) -> None:
    found = read(
        tmp_path, good="name: good\ncommand: 'true'\n", syntax="a: [", other="- 1", typo="name: t\nhots: [a]", kind="name: k\ntype: ftp",
        name="name: a b", recipe="name: r\nrecipes: {g: {params: {nope: {}}}}", nothing="name: n\ndirect: false",
        verb="name: search", pattern="name: p\nschema: {options: {o: {pattern: '['}}}", fill="name: f\nargs: ['{x}']", _draft="[",
    )  # fmt: skip
    assert [each.definition.name for each in found.commands] == ["good"]
    assert "unknown field `hots`" in found.troubles["typo.yaml"] and "is not YAML" in found.troubles["syntax.yaml"]
    broken = {"syntax", "other", "typo", "kind", "name", "recipe", "nothing", "pattern", "fill", "verb"}
    assert {name.removesuffix(".yaml") for name in found.troubles} == broken
    assert read_definitions(tmp_path / "none") == ((), (), {}, {}, {})


# Values that a program must not get.


async def test_a_value_that_looks_like_an_option_is_refused(tmp_path: Path) -> None:
    curl = source_of(tmp_path, PY_CODE_MODE)
    for wrong in ({"url": "-K/etc/passwd"}, {"url": "u", "header": ["a: b", "-x"]}, {"url": "u", "max_time": -1}):
        with pytest.raises(BadToolArguments, match="begins with '-'"):
            await call_tool(curl, "curl", **wrong)
    allowed = source_of(tmp_path, "name: say\ncommand: echo\nschema: {positional: [{name: text, leading_dash: true}]}")
    assert await call_tool(allowed, "say", text="-x") == "-x\n"


async def test_nothing_goes_through_a_shell(tmp_path: Path) -> None:
    echo = source_of(tmp_path, "name: echo\nschema: {positional: [{name: text}]}")
    text = "$(touch x); `id` && echo * | cat > y \n'\""
    assert await call_tool(echo, "echo", text=text) == text + "\n"
    assert (await call_tool(echo, "echo", text="a\ud800b")).encode() == "a\ufffdb\n".encode()
    with pytest.raises(BadToolArguments, match="NUL"):
        await call_tool(echo, "echo", text="a\0b")
    with pytest.raises(BadToolArguments, match="Argument list too long"):
        await call_tool(echo, "echo", text="x" * 4_000_000)


async def test_a_command_gets_only_the_variables_that_its_definition_names(tmp_path: Path) -> None:
    secrets: list[tuple[str, str]] = []
    definition = {"name": "env", "env": {"TOKEN": "Bearer ${env:MY_TOKEN}"}, "worker_env": ["LISTED"]}
    environ = {"MY_TOKEN": "s3cret", "OTHER_SECRET": "x", "PATH": os.environ["PATH"]}
    add = lambda value, name: secrets.append((value, name))  # noqa: E731
    env = CommandSource(parse_command(definition), AddressRules(), add, environ=environ)
    of_run = {"LISTED": "1", "UNNAMED": "1", "TZ": "Asia/Tokyo", "TOKEN": "of the run"}
    printed = (await call_tool(env, "env", env=of_run)).splitlines()
    assert {"TOKEN=Bearer s3cret", "LISTED=1", "TZ=Asia/Tokyo"} <= set(printed)
    assert "OTHER_SECRET" not in str(printed) and "UNNAMED" not in str(printed)
    assert secrets == [("s3cret", "MY_TOKEN")] and env.trouble is None
    unset = CommandSource(parse_command(definition), AddressRules(), environ={"PATH": os.environ["PATH"]})
    assert unset.trouble and "MY_TOKEN is not set" in unset.trouble
    with pytest.raises(ToolUnavailable, match="MY_TOKEN is not set"):
        await call_tool(unset, "env")


# Programs that fail, hang, flood and leave children.


async def test_a_failure_has_the_programs_own_words(tmp_path: Path) -> None:
    code = "import sys; print('out'); sys.exit('no such thing')"
    with pytest.raises(ToolFailed, match="script ended with exit code 1: no such thing"):
        await call_tool(script(tmp_path, code), "script")
    with pytest.raises(ToolFailed, match="script was ended by signal 9"):
        await call_tool(script(tmp_path, "import os; os.kill(os.getpid(), 9)"), "script")
    assert await call_tool(script(tmp_path, code, success_codes=[0, 1]), "script") == "out\n"


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = source_of(tmp_path, "name: nothing\ncommand: no-such-program-x")
    assert missing.trouble and "no-such-program-x is not installed" in missing.trouble
    with pytest.raises(ToolUnavailable, match="is not installed"):
        await call_tool(missing, "nothing")


async def test_a_relative_program_is_beside_its_definition(tmp_path: Path) -> None:
    (tmp_path / "hello.sh").write_text("#!/bin/sh\necho hello $1\n")
    (tmp_path / "hello.sh").chmod(0o755)
    hello = source_of(tmp_path, "name: hello\ncommand: ./hello.sh\nschema: {positional: [{name: who}]}")
    assert await call_tool(hello, "hello", who="Ada") == "hello Ada\n"


async def test_a_program_that_waits_for_input_gets_its_end(tmp_path: Path) -> None:
    assert await call_tool(script(tmp_path, "import sys; print(repr(sys.stdin.read()))"), "script") == "''\n"


async def test_a_program_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open(os.environ['PIDS'], 'w').write(f'{{os.getpid()}} {{child}}')
time.sleep(60)
"""
    pids = tmp_path / "pids"
    hangs = script(tmp_path, code, timeout=1.5, env={"PIDS": str(pids)})
    begun = time.monotonic()
    with pytest.raises(ToolTimeout, match=r"longer than 1.5 s"):
        await call_tool(hangs, "script")
    assert time.monotonic() - begun < 10
    for pid in pids.read_text().split():
        await _gone(int(pid))


async def test_a_cancelled_call_ends_its_program(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = "import os, time; open(os.environ['PIDS'], 'w').write(str(os.getpid())); time.sleep(60)"
    hangs = script(tmp_path, code, env={"PIDS": str(pids)})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: call_tool(hangs, "script"))
        with anyio.fail_after(20):
            while not (pids.exists() and pids.read_text()):
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    await _gone(int(pids.read_text()))


async def test_a_gigabyte_of_output_is_stopped_at_the_limit(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(1024): sys.stdout.write('x' * 2**20)"
    begun = time.monotonic()
    with pytest.raises(ToolFailed, match="printed more than 64 KiB and was ended"):
        await call_tool(script(tmp_path, code, max_output_kb=64), "script")
    assert time.monotonic() - begun < 10


async def test_a_flood_on_stderr_is_read_and_its_end_is_kept(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(64): sys.stderr.write('x' * 2**20)\nsys.exit('the end')"
    with pytest.raises(ToolFailed, match="x the end") as caught:
        await call_tool(script(tmp_path, code.replace("'the end'", "' the end'")), "script")
    assert len(str(caught.value)) < 3000


async def test_a_child_in_the_background_does_not_hold_up_the_answer(tmp_path: Path) -> None:
    code = "import os, time\nprint('done', flush=True)\nif os.fork() == 0: time.sleep(60)"
    begun = time.monotonic()
    assert await call_tool(script(tmp_path, code), "script") == "done\n"
    assert time.monotonic() - begun < 10


async def test_bytes_that_are_not_utf_8_are_told(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'a\\xe9b')"
    assert await call_tool(script(tmp_path, code), "script") == "a\\xe9b"


async def _gone(pid: int) -> None:
    """Wait until the process has ended. A zombie, whose parent has not looked yet, has."""
    with anyio.fail_after(10):
        while True:
            state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
            if not state.strip() or state.startswith("Z"):
                return
            await anyio.sleep(0.05)


# curl, git and grep, as they come with Repertoire.


def test_what_comes_with_repertoire_works_here() -> None:
    assert [(shipped(name).name, shipped(name).trouble) for name in SHIPPED] == [(name, None) for name in SHIPPED]


async def test_curl_reaches_only_http_at_public_or_listed_addresses(web: WebServer) -> None:
    curl = shipped("curl")
    for url in (
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://x",
        "http://u:p@example.com/",
        "example.com",
        web.url,
        "http://0x7f.1/",
    ):
        with pytest.raises(BadToolArguments):
            await call_tool(curl, "get", url=url)


async def test_curl_connects_to_the_checked_address(web: WebServer) -> None:
    """The name of the URL does not exist: curl could only fail if it resolved it once more."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    curl = CommandSource(shipped("curl")._definition, AddressRules([web.host], resolve))
    url = f"http://rebinds.invalid:{web.port}/echo?a=[1-3]{{x,y}}"
    answer = json.loads(await call_tool(curl, "get", url=url))
    assert answer["headers"]["host"] == f"rebinds.invalid:{web.port}" and len(answer["query"]["a"]) == 1


async def test_curl_sends_what_it_is_given_and_reads_no_files(web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("X-Secret: s3cret")
    curl = shipped("curl", web.host)
    sent = json.loads(
        await call_tool(curl, "post", url=f"{web.url}/echo", data=f"@{tmp_path}/secret", header=["X-A: 1"])
    )
    assert (sent["method"], sent["body"], sent["headers"]["x-a"]) == ("POST", f"@{tmp_path}/secret", "1")
    sent = json.loads(await call_tool(curl, "send", url=f"{web.url}/echo", method="PATCH", data="-d"))
    assert (sent["method"], sent["body"]) == ("PATCH", "-d")
    for header in (f"@{tmp_path}/secret", "no colon", "A: b\r\nC: d", "A: b\n"):
        with pytest.raises(ValidationError):
            await call_tool(curl, "get", url=f"{web.url}/echo", header=[header])
    with pytest.raises(ToolFailed, match="error: 404"):
        await call_tool(curl, "get", url=f"{web.url}/none")


async def test_curl_follows_no_redirects_and_its_output_is_bounded(web: WebServer) -> None:
    curl = shipped("curl", web.host)
    assert await call_tool(curl, "get", url=f"{web.url}/redirect?to=file:///etc/passwd") == ""
    with pytest.raises(ToolFailed, match="more than 1,024 KiB"):
        await call_tool(curl, "get", url=f"{web.url}/bomb")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    git = [
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.com",
        "-c",
        "init.defaultBranch=main",
    ]
    (folder / "a.txt").write_text("one\n-two\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "First"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    (folder / "a.txt").write_text("one\n-two\nthree\n")
    subprocess.run([*git, "add", "."], check=True)
    return folder


async def test_git_reads_a_repository(repository: Path) -> None:
    git, repo = shipped("git"), str(repository)
    assert (await call_tool(git, "log", repo=repo, max_count=1)).strip().endswith("Ada\tFirst")
    assert "+three" in await call_tool(git, "staged", repo=repo, path="a.txt")
    assert "v1" in await call_tool(git, "tags", repo=repo)
    empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the tree without files
    assert "+-two" in await call_tool(git, "diff", repo=repo, base=empty)
    assert "1 file changed" in await call_tool(git, "diff", repo=repo, base=empty, revision="v1", stat=True)
    assert await call_tool(git, "show", repo=repo, revision="v1:a.txt") == "one\n-two\n"
    assert await call_tool(git, "search", repo=repo, pattern="-two") == "a.txt:2:-two\n"
    assert await call_tool(git, "search", repo=repo, pattern="four") == ""
    assert (
        "main" in await call_tool(git, "branches", repo=repo) and await call_tool(git, "files", repo=repo) == "a.txt\n"
    )
    assert "one" in await call_tool(git, "blame", repo=repo, path="a.txt", lines="1,1", revision="v1")
    assert await call_tool(git, "log", repo=repo, since="2 weeks ago", author="Nobody") == ""


async def test_git_refuses_options_writes_and_other_folders(repository: Path, tmp_path: Path) -> None:
    git = shipped("git")
    with pytest.raises(BadToolArguments, match="begins with '-'"):
        await call_tool(git, "log", repo=str(repository), revision=f"--output={tmp_path}/x")
    with pytest.raises(BadToolArguments, match="no folder"):
        await call_tool(git, "log", repo=str(tmp_path / "none"))
    with pytest.raises(ToolFailed, match="128"):
        await call_tool(git, "log", repo=str(tmp_path))
    assert all(tool.only_reads for tool in await git.list_tools())


async def test_git_runs_no_program_of_the_repositorys_configuration(repository: Path, tmp_path: Path) -> None:
    ran, git, repo = tmp_path / "ran", shipped("git"), tmp_path / "clone"
    shutil.copytree(repository, repo)
    (repo / ".git/info/attributes").write_text("* filter=own diff=own\n")
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\ntouch {ran}\ncat "$@"\n')
    script.chmod(0o755)
    own = ("filter.own.clean", "filter.own.process", "diff.own.textconv", "diff.own.command")
    for key in ("core.fsmonitor", "diff.external", "core.pager", *own):
        subprocess.run(["git", "-C", str(repo), "config", key, str(script)], check=True)
    (repo / "a.txt").touch()
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("diff", {"base": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}),
        ("blame", {"path": "a.txt"}),
        ("search", {"pattern": "one"}),
        ("show", {"revision": "HEAD:a.txt"}),
        *((name, {}) for name in ("staged", "show", "log", "files", "branches", "tags")),
    )
    for name, more in calls:
        assert await call_tool(git, name, repo=str(repo), **more) or name == "branches"
        assert not ran.exists(), name
    for revision in ("^HEAD", "HEAD^@"):
        with pytest.raises(ValidationError):
            await call_tool(git, "blame", repo=str(repo), path="a.txt", revision=revision)
    with pytest.raises(ToolFailed, match="bad revision"):
        await call_tool(git, "diff", repo=str(repo), base="a.txt", revision="a.txt")
    assert not ran.exists()


async def test_git_neither_fetches_nor_reads_a_bare_repository_in_a_clone(repository: Path, tmp_path: Path) -> None:
    ran, git, repo = tmp_path / "ran", shipped("git"), tmp_path / "clone"
    shutil.copytree(repository, repo)
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::touch {ran}",
        "protocol.ext.allow": "always",
    }.items():
        subprocess.run(["git", "-C", str(repo), "config", key, value], check=True)
    with pytest.raises(ToolFailed, match="128"):
        await call_tool(git, "show", repo=str(repo), revision="1" * 40)
    assert not ran.exists()
    shutil.copytree(repo / ".git", repo / "inner")
    with pytest.raises(ToolFailed, match="bare repository"):
        await call_tool(git, "log", repo=str(repo / "inner"))


async def test_grep_finds_lines(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\n-x = a.b\n")
    (tmp_path / "b.txt").write_text("nothing\n")
    grep, path = shipped("grep"), str(tmp_path)
    assert await call_tool(grep, "search", pattern="^import|^-x", path=path, include=["*.py"]) == (
        f"{path}/a.py:1:import os\n{path}/a.py:2:-x = a.b\n"
    )
    assert await call_tool(grep, "text", pattern="a.b", path=f"{path}/a.py") == f"{path}/a.py:2:-x = a.b\n"
    assert await call_tool(grep, "search", pattern="-none", path=path) == ""
    assert await call_tool(grep, "files", pattern="NOTHING", ignore_case=True, path=path) == f"{path}/b.txt\n"
    with pytest.raises(ToolFailed, match="exit code 2"):
        await call_tool(grep, "search", pattern="(", path=path)
