from __future__ import annotations

from typing import Any

import anyio.lowlevel
import pytest

from repertoire.upstream.catalog import Catalog
from repertoire.upstream.tool import Tool, ToolContext, ToolUnavailable, UnknownTool

pytestmark = pytest.mark.anyio


class Listed:
    """A source with a list of tools, or with a trouble."""

    def __init__(self, name: str, *tools: str, trouble: str | None = None, close_fails: bool = False) -> None:
        self.name = name
        self.trouble = trouble
        self.is_closed = False
        self._tools = tuple(Tool(source=name, name=tool.replace("-", "_"), original=tool) for tool in tools)
        self._close_fails = close_fails

    async def list_tools(self) -> tuple[Tool, ...]:
        await anyio.lowlevel.checkpoint()
        if self.trouble:
            raise ToolUnavailable(self.trouble)
        return self._tools

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        return tool.path

    async def aclose(self) -> None:
        self.is_closed = True
        if self._close_fails:
            raise OSError("cannot")


async def test_tools_are_found_by_path() -> None:
    github = Listed("github", "create-issue", "close_issue")
    curl = Listed("curl", "curl", "get")
    catalog = Catalog([github, curl])
    source, tool = await catalog.find("github.create_issue")
    assert (source, tool.path) == (github, "github.create_issue")
    assert (await catalog.find("github.create-issue"))[1] == tool
    assert (await catalog.find("curl"))[1].path == "curl"
    assert [tool.path for tool in await catalog.all()] == [
        "github.create_issue",
        "github.close_issue",
        "curl",
        "curl.get",
    ]


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("githab.x", "There is no source of tools 'githab'.", "Did you mean github?"),
        ("nothing_like", "There is no source of tools 'nothing_like'.", "Sources: empty, github."),
        ("github.create_isue", "github has no tool 'create_isue'.", "Did you mean github.create_issue?"),
        ("github", "github has no tool 'github'.", "It has: github.create_issue."),
        ("empty.x", "empty has no tool 'x'.", "There are none."),
    ],
)  # fmt: skip
async def test_an_unknown_path_names_the_closest(path: str, message: str, hint: str) -> None:
    catalog = Catalog([Listed("github", "create_issue"), Listed("empty")])
    with pytest.raises(UnknownTool) as raised:
        await catalog.find(path)
    assert (raised.value.message, raised.value.hint) == (message, hint)


async def test_a_source_that_does_not_work_keeps_nobody() -> None:
    broken, good = Listed("broken", trouble="It is down.", close_fails=True), Listed("good", "x")
    catalog = Catalog([broken, good])
    assert [tool.path for tool in await catalog.all()] == ["good.x"]
    assert catalog.troubles() == {"broken": "It is down."}
    await catalog.aclose()
    assert broken.is_closed
    assert good.is_closed


async def test_a_fault_of_a_source_is_a_trouble_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = Listed("faulty", "y")

    async def fail() -> tuple[Tool, ...]:
        raise AttributeError("odd")

    catalog = Catalog([faulty, Listed("good", "x")])
    with monkeypatch.context() as patch:
        patch.setattr(faulty, "list_tools", fail)
        assert [tool.path for tool in await catalog.all()] == ["good.x"]
    assert "AttributeError" in catalog.troubles()["faulty"]
    assert len(await catalog.all()) == 2 and not catalog.troubles()


async def test_the_second_source_of_a_name_is_refused() -> None:
    first = Listed("x", "a")
    catalog = Catalog([first, Listed("x", "b")])
    assert catalog.sources == (first,)
    assert [tool.name for tool in await catalog.all()] == ["a"]
    assert "Another source has this name too" in catalog.troubles()["x"]
