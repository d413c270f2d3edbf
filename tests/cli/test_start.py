"""What a started server process has imported, and that a second start loads no workflow module."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from repertoire.cli import modules_for

pytestmark = pytest.mark.anyio

HEAVY = (
    "torch",
    "sentence_transformers",
    "transformers",
    "numpy",
    "sqlalchemy",
    "pydantic_ai",
    "openai",
    "typer",
    "rich",
    "docstring_parser",
)


async def test_a_daemon_that_has_served_a_client_holds_nothing_heavy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with (tmp_path / "imports").open("w") as imports:
        command = [sys.executable, "-P", "-X", "importtime", "-m", "repertoire.daemon_process", "--home", str(home)]
        daemon = subprocess.Popen(command, stderr=imports, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not (home / "daemon.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert json.loads((home / "daemon.json").read_text())["pid"] == daemon.pid
        server = StdioServerParameters(
            command=sys.executable,
            args=["-P", "-m", "repertoire", "serve", "--home", str(home)],
            env=dict(os.environ),
        )
        async with Client(stdio_client(server)) as client:
            await client.list_tools()
            await client.call_tool("search_workflows", {"query": "count"})
            assert not (await client.call_tool("counter", {})).is_error
    finally:
        daemon.terminate()
        daemon.wait(20)
    imported = set(re.findall(r"\|\s+([\w.]+)$", (tmp_path / "imports").read_text(), re.MULTILINE))
    assert "mcp.server.lowlevel.server" in imported and "repertoire.surfaces.mcp.build_server" in imported
    assert [name for name in imported if name.partition(".")[0] in HEAVY] == []


def test_a_workflow_file_imports_us_without_anything_heavy() -> None:
    code = "import sys; from repertoire import progress, log, session_state, commit_state; print(*sys.modules)"
    found = set(
        subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not {"mcp", "torch", "pydantic", "msgspec", "aiosqlite", "asyncio"} & found


def test_an_unchanged_restart_loads_no_workflow_module(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = home / "workflows"
    folder.mkdir(parents=True)
    home.chmod(0o700)
    mark = tmp_path / "loaded"
    (folder / "marks.py").write_text(f'"""Mark."""\nopen({str(mark)!r}, "a").write("x")\n\ndef run() -> None: ...\n')
    for _ in range(2):
        command = [sys.executable, "-P", "-m", "repertoire", "list", "--json", "--home", str(home)]
        listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert "marks" in [workflow["name"] for workflow in listed["workflows"]]
    assert mark.read_text() == "x"


def test_a_command_imports_its_own_module_only_and_the_table_of_commands_is_true() -> None:
    code = (
        "import sys; from repertoire import cli; from repertoire.cli.program import app\n"
        "sys.argv = ['repertoire', '--version']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "found = {}\n"
        "for one in app.registered_commands:\n"
        "    found.setdefault(one.callback.__module__.rpartition('.')[2], []).append(one.name or one.callback.__name__)\n"
        "for one in app.registered_groups: found.setdefault(one.typer_instance.info.name, []).append(one.typer_instance.info.name)\n"
        "assert {name: sorted(names) for name, names in found.items()} == {n: sorted(c) for n, c in cli._COMMANDS.items()}, found\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, stdout=subprocess.DEVNULL)
    assert modules_for(["show", "last"]) == modules_for(["--home", "run", "show"]) == ["workflows"]
    assert len(modules_for(["nonsense"])) == len(modules_for([])) > 5
