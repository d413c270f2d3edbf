"""Files of other frameworks: what is said about a file without `run`, which files are helpers, and where descriptions come from."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.errors import Refused
from repertoire.model.session import Caller
from repertoire.model.workflow_version import BrokenFile
from repertoire.registry.class_finder import class_workflows
from repertoire.registry.source import analyse
from support.services import opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with opened(tmp_path / "home", ready_workflows="false", workers="1") as app:
        yield app


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("x = 1", "There is no run(...) in the source.", "Define `def run(...)`"),
        ("def main(path, n=1): ...", "It has main(path, n).", "Write `run = main` at its end, or: define"),
        (
            "@tool\ndef find(q): ...\n@tool(name='x')\ndef other(q): ...",
            "It has tools: find, other.",
            "Write `run = find`",
        ),
        (
            "mcp = FastMCP('x')\n@mcp.tool()\ndef add(a: int): ...",
            "It has an MCP server: add.",
            "Add the file to mcp.json as a server",
        ),
        ("@flow(retries=2)\nasync def etl(url): ...", "It has flows of another framework: etl.", "Write `run = etl`"),
        ("def _own(): ...\ndef count(text): ...", "It has functions: count.", "Write `run = count`"),
    ],
)
def test_a_file_without_run_is_told_what_it_has(source: str, message: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        analyse(source, max_bytes=10_000)
    assert refused.value.reason == "no_run" and refused.value.message.endswith(message)
    assert str(refused.value.hint).startswith(hint)


def test_the_hint_of_a_flow_makes_it_a_workflow() -> None:
    assert analyse("def etl(url: str): ...\nrun = etl\n", max_bytes=10_000).classes == ()


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ('description = "A."\n    "Doc."', "A."),
        ('description: str = dedent("""\\\n    One\n    two.\n    """)', "One two."),
        ('description = textwrap.dedent(" Three. ").strip()', "Three."),
        ('"""Doc.\n    Args:\n        x: not this.\n    """', "Doc."),
        ("pass", "Of run."),
    ],
)
def test_the_description_of_a_class(body: str, description: str) -> None:
    source = f'class W(Workflow):\n    {body}\n    def run(self):\n        """Of run.\n        Returns:\n            no.\n        """\n'
    (one,) = class_workflows(ast.parse(source))
    assert one.description == description


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def entries(app: App, caller: Caller) -> dict[str, Any]:
    view = app.service.library.view(caller)
    return {**{Path(one.path).name: one for one in view.broken}, **{one.name: one for one in view.names.values()}}


async def test_modules_that_another_file_imports_are_helpers_and_no_failures(app: App, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    write(
        folder,
        flow="from lib.words import count\n\n\ndef run() -> int:\n    return count('a')\n",
        lib__words="from lib import more\n\n\ndef count(text):\n    return len(text)\n",
        lib__more="X = 1\n",
        page="import shown\n\nprint(shown.Y)\n",
        shown="Y = 1\n",
        named="from repertoire import Workflow\n\n\nclass PostWriter(Workflow):\n    def run(self) -> str:\n        return 'x'\n",
    )
    caller = Caller(roots=(str(folder),))
    await app.service.library.refresh(caller)
    found = entries(app, caller)
    assert set(found) == {"page.py", "flow", "post_writer"}, "only the file that nobody imports is a failure"
    assert isinstance(found["page.py"], BrokenFile) and found["post_writer"].description == "Post writer"
    (folder / "flow.py").unlink()
    await app.service.library.refresh(caller)
    assert {"words.py", "page.py"} <= set(entries(app, caller)), "nobody imports it any more"


async def test_the_former_name_of_workflows_in_py_code_mode(app: App, tmp_path: Path) -> None:
    write(
        tmp_path / "flows",
        inner="def run(x: int) -> int:\n    return x + 1\n",
        outer="def run() -> int:\n    return skills.invoke('inner', x=1)\n",
    )
    caller = Caller(roots=(str(tmp_path / "flows"),))
    await app.service.library.refresh(caller)
    live = await app.service.runs.start(caller, "outer", {})
    answer = app.service.runs.envelope(await app.service.runs.wait_for_end(live))
    assert (answer["status"], answer["result"]) == ("completed", 2)
