"""Ready workflows that reach further than their own code: other workflows, an MCP server, the web. Each runs in a real home."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.outside import NODE, need_node_servers
from support.services import opened, run
from support.web import WebServer, web_server

pytestmark = pytest.mark.anyio
PAGE = b"""<!doctype html><html><head><title>On  Rivers</title><style>p {}</style></head><body>
<h1>Rivers <i>and</i> seas</h1><script>hidden()</script><p>A river
flows.<p>The <a href="/sea">sea</a> is &amp; stays.<ul><li>one<li>two</ul><svg><title>no</title></svg>
<h2></h2><h3>Deltas</h3><a href="mailto:a@b.c">mail</a><a href="http://[">broken</a></body></html>"""


@asynccontextmanager
async def home(folder: Path, mcp: dict[str, Any] | None = None, **settings: str) -> AsyncIterator[App]:
    folder.mkdir(exist_ok=True)
    if mcp is not None:
        (folder / "mcp.json").write_text(json.dumps({"mcpServers": mcp}))
    async with opened(folder, ready_workflows="true", search_model="off", **settings) as app:
        yield app


async def result(app: App, name: str, **arguments: Any) -> Any:
    answer = await run(app, Caller(), name, **arguments)
    assert answer["status"] == "completed", answer
    return answer["result"]


async def failure(app: App, name: str, **arguments: Any) -> dict[str, Any]:
    answer = await run(app, Caller(), name, **arguments)
    assert answer["status"] == "failed", answer
    error: dict[str, Any] = answer["error"]
    return error


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    """A home as it comes; one worker, which workflows that call others share with those."""
    async with home(tmp_path_factory.mktemp("plain") / "home", workers="1") as app:
        yield app


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


async def test_project_overview_is_made_by_three_other_workflows(tmp_path: Path, plain: App) -> None:
    project, empty = tmp_path / "project", tmp_path / "empty"
    project.mkdir()
    empty.mkdir()
    (project / "README.md").write_text("# Tide\n\nWords.\n\n## Use\n\n### Deeper\n")
    (project / "tide.py").write_text("import json\n\n\ndef high() -> int:\n    return 1\n")
    for name in ("one.bin", "two.bin"):
        (project / name).write_bytes(b"x" * 5000)
    done = await run(plain, Caller(), "project_overview", folder=str(project))
    found = done["result"]
    assert (found["readme"], found["headings"]) == ("README.md", ["Tide", "Use"]), done
    assert found["python"] == {"files": 1, "code_lines": 3, "functions": 1, "classes": 0, "imports": ["json"]}
    assert found["duplicates"] == [
        {"paths": [str(project / "one.bin"), str(project / "two.bin")], "wasted_bytes": 5000}
    ]
    assert (found["wasted_bytes"], found["remarks"]) == (5000, [])
    began = [
        event.data["name"] async for event in plain.service.runs.follow(done["run_id"], 0) if event.type == "call_start"
    ]
    assert sorted(began) == ["find_duplicates", "outline", "source_report"]
    bare = await result(plain, "project_overview", folder=str(empty))
    assert (bare["readme"], bare["python"], bare["duplicates"]) == (None, None, [])
    assert "There is no README." in bare["remarks"] and "no .py files" in " ".join(bare["remarks"])
    gone = await failure(plain, "project_overview", folder=str(tmp_path / "gone"))
    assert gone["type"] == "NotADirectoryError" and "absolute path" in gone["message"]


async def test_open_tasks_come_from_an_mcp_server(tmp_path: Path) -> None:
    need_node_servers()
    notes = tmp_path / "notes"
    (notes / "week").mkdir(parents=True)
    (notes / "a.md").write_text("# A\n- [ ] call Ada\n- [x] done\n* [ ]  water the plants\nTODO: write\n")
    (notes / "week" / "b.md").write_text("1. [ ] plan the week\nnothing\n")
    (notes / "c.txt").write_text("- [ ] not a note\n")
    programs = NODE / "node_modules" / ".bin"
    server = {
        "command": str(programs / "mcp-server-filesystem"),
        "args": [str(notes)],
        "env": {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
    }
    async with home(tmp_path / "home", {"files": server}) as app:
        found = await result(app, "open_tasks")
        assert [(Path(task["file"]).name, task["line"], task["text"]) for task in found["tasks"]] == [
            ("a.md", 2, "call Ada"),
            ("a.md", 4, "water the plants"),
            ("a.md", 5, "write"),
            ("b.md", 1, "plan the week"),
        ]
        assert (found["files"], found["unread"], found["more_files"]) == (2, [], False)
        few = await result(app, "open_tasks", folder=str(notes), pattern="*.md", word="ADA")
        assert [task["text"] for task in few["tasks"]] == ["call Ada"]
        assert "denied" in (await failure(app, "open_tasks", folder="/etc"))["message"].lower()


async def test_open_tasks_says_what_to_configure(tmp_path: Path, plain: App) -> None:
    error = await failure(plain, "open_tasks")
    assert error["type"] == "NotConfigured" and "`files`, which is not configured" in error["message"]
    written = error["message"].partition("home (`repertoire config` shows the file): ")[2].partition(" Then `")[0]
    assert "files" in json.loads(written.rstrip("."))["mcpServers"], "it can be copied as it is"
    async with home(tmp_path / "broken", {"files": {"command": str(tmp_path / "no-such-program")}}) as app:
        error = await failure(app, "open_tasks", folder=str(tmp_path))
    assert error["type"] == "NotConfigured" and "no-such-program" in error["message"]


async def test_read_page_reads_pages_json_and_plain_text(tmp_path: Path, plain: App, web: WebServer) -> None:
    page = web.give("/rivers", PAGE, Content_Type="text/html; charset=utf-8")
    value = web.give("/data", {"items": [{"na/me": "Elbe"}]})
    text = web.give("/plain", b"only words", Content_Type="text/plain")
    async with home(tmp_path / "home", fetch_private_hosts=web.host) as app:
        found = await result(app, "read_page", url=f"{web.url}/redirect?to=/rivers")
        assert (found["url"], found["kind"], found["title"]) == (page, "html", "On Rivers")
        assert found["headings"] == ["# Rivers and seas", "### Deltas"]
        assert found["text"].startswith(
            "Rivers and seas\n\nA river flows.\n\nThe sea is & stays.\n\none\ntwo\n\nDeltas\n\nmail"
        )
        assert found["links"] == [{"text": "sea", "url": f"{web.url}/sea"}]
        short = await result(app, "read_page", url=page, most_characters=6)
        assert (short["text"], short["text_cut"]) == ("Rivers", True)
        assert (await result(app, "read_page", url=value))["value"] == {"items": [{"na/me": "Elbe"}]}
        part = await result(app, "read_page", url=value, pointer="/items/0/na~1me")
        assert (part["kind"], part["value"]) == ("json", "Elbe")
        words = await result(app, "read_page", url=text)
        assert (words["kind"], words["text"], words["text_cut"]) == ("text", "only words", False)
        for arguments, said in (
            ({"url": value, "pointer": "/items/1"}, "leads nowhere at '1'"),
            ({"url": value, "pointer": "/other"}, "there is only items"),
            ({"url": text, "pointer": "/a"}, "is not JSON"),
            ({"url": f"{web.url}/none"}, "status 404"),
        ):
            assert said in (await failure(app, "read_page", **arguments))["message"]
    assert "is not a public address" in (await failure(plain, "read_page", url=page))["message"]
