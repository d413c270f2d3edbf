"""Definitions of tools that change while the server runs: used at once, without a restart, and without harm where they are broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.service import tool_files
from support.services import opened
from support.upstreams import HERE

pytestmark = pytest.mark.anyio

HELLO = (
    "name: hello\ncommand: echo\ndescription: Say hello.\nschema:\n  positional:\n    - {name: whom, type: string}\n"
)
OFF = {"search_model": "off", "ready_workflows": "false"}


def home_with(folder: Path, **files: str) -> Path:
    (folder / "tools").mkdir(parents=True)
    for name, text in files.items():
        (folder / "tools" / f"{name}.yaml").write_text(text)
    return folder


async def names(app: App) -> set[str]:
    """The sources of the home's own definitions."""
    await app.service.tools.refresh()
    return {source.name for source in app.service.tools.catalog.sources} - {"fetch", "curl", "git", "grep"}


async def troubles(app: App) -> dict[str, str]:
    return {row["source"]: row["trouble"] for row in await app.service.tools.examine() if row["trouble"]}


async def test_files_that_come_change_and_go_are_followed(tmp_path: Path) -> None:
    home = home_with(tmp_path / "home", hello=HELLO)
    async with opened(home, **OFF) as app:
        hello = app.service.tools.catalog.sources[1]
        assert await names(app) == {"hello"}
        (home / "tools" / "bye.yaml").write_text(HELLO.replace("hello", "bye"))
        (home / "tools" / "shop.py").write_text('def greet() -> str:\n    """Greet."""\n    return "hi"\n')
        assert await names(app) == {"hello", "bye", "shop"} and hello in app.service.tools.catalog.sources
        assert json.loads(await call(app, "shop.greet")) == "hi"
        (home / "tools" / "hello.yaml").write_text(HELLO.replace("Say hello.", "Say it twice."))
        (home / "tools" / "bye.yaml").unlink()
        assert await names(app) == {"hello", "shop"} and hello not in app.service.tools.catalog.sources
        assert (await app.service.tools.describe("hello"))["description"] == "Say it twice."
        (home / "tools" / "curl.yaml").write_text(HELLO.replace("name: hello", "name: curl"))
        await app.service.tools.refresh()
        assert (await app.service.tools.describe("curl"))["description"] == "Say hello."
        (home / "tools" / "curl.yaml").unlink()
        await app.service.tools.refresh()
        assert "curl.get" in [tool.path for tool in await app.service.tools.catalog.all()], (
            "what comes with Repertoire is back"
        )


async def call(app: App, path: str, **arguments: Any) -> str:
    from repertoire.model.session import Caller

    return await app.service.tools.call(Caller(), path, arguments, lambda progress: None)


async def test_a_broken_file_leaves_its_tools_as_they_were_and_doctor_says_so(tmp_path: Path) -> None:
    home = home_with(tmp_path / "home", hello=HELLO)
    shop = home / "tools" / "shop.py"
    shop.write_text('def greet() -> str:\n    """Greet."""\n    return "hi"\n')
    async with opened(home, **OFF) as app:
        assert json.loads(await call(app, "shop.greet")) == "hi"
        (home / "tools" / "hello.yaml").write_text("command: [")
        shop.write_text("def greet(")
        assert await names(app) == {"hello", "shop"}
        assert "hello Ada" in f"hello {json.loads(await call(app, 'hello', whom='Ada'))}"
        assert json.loads(await call(app, "shop.greet")) == "hi"
        told = await troubles(app)
        assert "is not YAML" in told[str(home / "tools" / "hello.yaml")] and "shop.py" in told["shop"]
        (home / "tools" / "hello.yaml").write_text(HELLO.replace("Say hello.", "Mended."))
        shop.write_text('def greet() -> str:\n    """Greet."""\n    return "mended"\n')
        assert (await names(app)) == {"hello", "shop"}
        assert (await app.service.tools.describe("hello"))["description"] == "Mended."
        assert json.loads(await call(app, "shop.greet")) == "mended" and await troubles(app) == {}


async def test_servers_whose_entries_are_the_same_keep_their_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_files, "_LEFT_S", 0.01)
    entry = {"command": sys.executable, "args": ["-P", str(HERE / "upstream_server.py")]}
    home = home_with(tmp_path / "home")
    (home / "mcp.json").write_text(json.dumps({"mcpServers": {"one": entry}}))
    async with opened(home, **OFF) as app:
        (one,) = [source for source in app.service.tools.catalog.sources if source.name == "one"]
        assert await one.list_tools()
        (home / "mcp.json").write_text(json.dumps({"mcpServers": {"one": entry, "two": {**entry, "env": {"A": "b"}}}}))
        assert await names(app) == {"one", "two"} and one in app.service.tools.catalog.sources
        assert one.trouble is None and getattr(one, "_connection", None) is not None
        (home / "mcp.json").write_text("{")
        assert await names(app) == {"one", "two"} and "is not JSON" in (await troubles(app))[str(home / "mcp.json")]
        bad = {"mcpServers": {"one": {"command": "x", "args": "no list"}, "two": {**entry, "env": {"A": "b"}}}}
        (home / "mcp.json").write_text(json.dumps(bad))
        assert await names(app) == {"one", "two"} and one in app.service.tools.catalog.sources
        assert "stays as it was" in app.service.tools.catalog.troubles()["one"]
        (home / "mcp.json").write_text(json.dumps({"mcpServers": {}}))
        assert await names(app) == set()
        with anyio.fail_after(20):
            while not getattr(one, "_is_closed", False):
                await anyio.sleep(0.01)


async def test_the_server_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_files, "_LOOK_S", 0.02)
    home = home_with(tmp_path / "home")
    async with opened(home, **OFF) as app:
        (home / "tools" / "hello.yaml").write_text(HELLO)
        with anyio.fail_after(20):
            while "hello" not in {source.name for source in app.service.tools.catalog.sources}:
                await anyio.sleep(0.02)
