"""Findings of ruff: mistakes in their lines, none about taste, and nothing of ours said twice."""

from __future__ import annotations

import ast
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from repertoire.model.workflow_version import Finding
from repertoire.registry.review import (
    lint,
    merge,
    review,
    ruff,
    ruff_path,
)
from repertoire.registry.review.ruff import GLOBALS
from repertoire.wire import Code
from repertoire.worker.source.loader import LoadedVersions, Version

pytestmark = pytest.mark.anyio


async def test_ruff_finds_mistakes_in_the_lines_where_they_are() -> None:
    found = await lint("import os\n\ndef run(a=[]):\n    é = 1; return undefind\n")
    assert [(one.rule, one.severity, one.line, one.column) for one in found] == [
        ("ruff:F401", "info", 1, 8),
        ("ruff:B006", "warning", 3, 11),
        ("ruff:F841", "info", 4, 5),
        ("ruff:F821", "warning", 4, 19),
    ]
    assert found[0].hint == "Remove unused import: `os`."
    assert str(found[3].hint).startswith("See https://")


async def test_ruff_findings_are_few_and_the_serious_ones_among_them() -> None:
    found = await lint("".join(f"import a{n}\n" for n in range(30)) + "def run(): undefind\n")
    assert len(found) == 20
    assert found[-1].rule == "ruff:F821"


async def test_ruff_knows_the_names_that_are_there_without_an_import() -> None:
    used = "".join(f"    {name}\n" for name in GLOBALS)
    assert await lint(f"def run():\n{used}    nobody_put_this_here\n") == [
        Finding(
            "ruff:F821", "warning", "Undefined name `nobody_put_this_here`", len(GLOBALS) + 2, 5,
            "See https://docs.astral.sh/ruff/rules/undefined-name",
        )
    ]  # fmt: skip


def test_the_names_that_are_there_are_those_that_the_worker_puts_there() -> None:
    finders = sys.meta_path[:]
    try:
        with LoadedVersions().load(Version(Code("h", "seen", "def run(): ...", "seen.py", (), None))) as module:
            names = {name for name in vars(module) if not name.startswith("__")} - {"run"}
    finally:
        sys.meta_path[:] = finders
    assert names == set(GLOBALS)


@pytest.mark.parametrize(
    "quiet",
    [
        "from pydantic import Field\ndef run(text: str = Field('a'), *, timeout=1):\n    for i in 'ab': print(text)\n    assert text\n",
        "from typing import List, Optional\ndef run(a: Optional[int], b: List[int]):\n    return dict(zip(a, b))\n",
        "async def run():\n    with open('a') as f: return f.read()\n",
        "import random, subprocess\ndef run():\n    subprocess.run(['ls'])\n    return random.random()\n",
        "class X:\n    pass\nx = {'a':1 , 'b' : 2}\ndef run():    return x\n",
    ],
)
async def test_ruff_is_not_asked_about_taste(quiet: str) -> None:
    assert await lint(quiet) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("ruff:ASYNC251", "import time\nasync def run():\n    time.sleep(9)\n"),
        ("ruff:S113", "import requests\ndef run():\n    return requests.get('http://a')\n"),
        ("ruff:S506", "import yaml\ndef run(a):\n    return yaml.load(a)\n"),
        ("ruff:B023", "def run():\n    return [lambda: i for i in 'ab']\n"),
        ("ruff:RUF006", "import asyncio\nasync def run():\n    asyncio.create_task(f())\ndef f(): ...\n"),
        ("ruff:RUF013", "def run(a: int = None): return a\n"),
        ("ruff:F632", "def run(a): return a is 'b'\n"),
        ("ruff:PLE1142", "def run():\n    await f()\ndef f(): ...\n"),
        ("ruff:invalid-syntax", "def run(:\n"),
    ],
)
async def test_ruff_is_asked_about_mistakes(rule: str, source: str) -> None:
    assert rule in {one.rule for one in await lint(source)}


async def test_what_our_own_rules_say_ruff_does_not_say_again() -> None:
    source = "def run():\n    try: f()\n    except: pass\n    undefind()\ndef f(): ...\n"
    ruff = await lint(source)
    assert {"ruff:E722", "ruff:S110", "ruff:F821"} <= {one.rule for one in ruff}
    both = merge(review(ast.parse(source), source), ruff)
    assert {one.rule for one in both if one.rule.startswith("ruff:")} == {"ruff:F821"}
    assert "hidden_failure" in {one.rule for one in both}
    assert [one.line for one in both] == sorted(one.line or 0 for one in both)
    assert merge([], ruff) == ruff


async def test_the_source_and_the_surroundings_configure_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruff.toml").write_text("[lint]\nignore = ['F821']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUFF_CONFIG", str(tmp_path / "ruff.toml"))
    assert [one.rule for one in await lint("def run(): undefind\n")] == ["ruff:F821"]
    assert sorted(os.listdir(tmp_path)) == ["ruff.toml"]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts a program of the test's in ruff's place."""

    def put(script: str) -> None:
        program = tmp_path / "ruff"
        program.write_text(f"#!{sys.executable}\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(ruff, "ruff_path", lambda: str(program))

    yield put


@pytest.mark.parametrize(
    "script",
    [
        "import sys; sys.exit(2)",
        "import os, signal; os.kill(os.getpid(), signal.SIGABRT)",
        "import sys; sys.stdin.read(); print('{'); print('[1]'); print('no JSON')",
        "import os; os.close(0)",
    ],
)
async def test_a_ruff_that_fails_says_nothing(script: str, stand_in: Any) -> None:
    stand_in(script)
    assert await lint("undefind\n" * 20_000) == []


async def test_a_ruff_that_hangs_is_ended_and_holds_up_nobody(
    stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    monkeypatch.setattr(ruff, "_TIMEOUT_S", 1.0)
    turns = 0
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:

        async def linted() -> None:
            assert await lint("x = 1\n" * 40_000) == []
            tasks.cancel_scope.cancel()

        tasks.start_soon(linted)
        while time.monotonic() - began < 30:
            await anyio.sleep(0.01)
            turns += 1
    assert turns > 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_ruff_that_does_not_stop_talking_is_cut_short(stand_in: Any) -> None:
    line = {"code": "F821", "message": "no", "location": {"row": 3, "column": 2}, "url": None, "fix": None}
    stand_in(f"import sys\nsys.stdin.read()\nwhile True: print({msgspec.json.encode(line).decode()!r})")
    with anyio.fail_after(4):
        assert await lint("x\n") == [Finding("ruff:F821", "warning", "no", 3, 2)]


async def test_without_ruff_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ruff_path()
    assert found is not None and os.access(found, os.X_OK)
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ruff_path() is None
    assert await lint("undefind\n") == []
    (tmp_path / "ruff").symlink_to(found)
    assert ruff_path() == str(tmp_path / "ruff")
