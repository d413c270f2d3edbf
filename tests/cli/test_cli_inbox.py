"""`inbox` lists what waits for a person, and its commands answer it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import Refused
from repertoire.model.session import Caller
from support import shells
from support.services import opened, run
from support.shells import Shell

shell = shells.shell

ASK = '"""Ask."""\n\ndef run() -> bool:\n    return ask("Publish it?", {"type": "boolean"})\n'
ASK_TWO = '''"""Ask twice."""
import asyncio

async def run() -> list:
    return await asyncio.gather(ask("One?"), ask("Two?", {"enum": ["it's", "b"]}))
'''
FAIL = '"""Fail."""\n\ndef run() -> None:\n    raise ValueError("no luck")\n'
GOOD = '"""Give two."""\n\ndef run() -> int:\n    return 2\n'
EXAMPLE = [{"arguments": {}, "expect": 3}]


async def fill(app: App) -> None:
    me, publishing = Caller(), app.service.publishing
    for name in ("ask_it", "ask_two"):
        live = await app.service.runs.start(me, name, {})
        await app.service.runs.wait_for_news(me, live.run.id)
    await run(app, me, "fail_it")
    for name in ("draft_it", "mended"):
        with pytest.raises(Refused):
            await publishing.create(me, name, GOOD, examples=EXAMPLE)
    await publishing.create(me, "mended", GOOD)


def test_n20_the_inbox_lists_what_waits_and_its_commands_answer_it(shell: Shell) -> None:
    folder = shell.home / "workflows"
    for name, source in {"ask_it": ASK, "ask_two": ASK_TWO, "fail_it": FAIL, "broken": "def run(:\n"}.items():
        (folder / f"{name}.py").write_text(source)

    async def main() -> None:
        async with opened(shell.home) as app:
            await fill(app)

    anyio.run(main)
    try:
        told = shell.json("inbox")
        assert {kind: len(rows) for kind, rows in told.items()} == {
            "questions": 3, "approvals": 0, "drafts": 1, "decisions": 0, "failures": 1, "broken": 1,
        }, json.dumps(told, indent=1)  # fmt: skip
        assert told["failures"][0]["text"] == "ValueError: no luck" and told["drafts"][0]["about"] == "draft_it"
        assert told["broken"][0]["about"] == f"{folder / 'broken.py'}:1"
        text = shell.ok("inbox")
        assert "Questions: 3" in text and "Publish it?" in text and told["drafts"][0]["command"] in text
        by_text = {row["text"]: row["command"] for row in told["questions"]}
        for question in ("Publish it?", "Two?"):
            assert shell.ok(*shlex.split(by_text[question])[1:]) == "answered\n"
        assert "no luck" in shell(*shlex.split(told["failures"][0]["command"])[1:]).stdout
        assert shell.ok(*shlex.split(told["drafts"][0]["look"])[1:])
        assert [row["text"] for row in shell.json("inbox")["questions"]] == ["One?"]
    finally:
        shell("stop")


def test_n20_a_version_that_waits_for_approval_is_there_until_it_is_published(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path / "home", publish_requires="approval") as app:
            me, service = Caller(), app.service
            assert not any((await service.inbox.contents(me)).values())
            with pytest.raises(Refused):
                await service.publishing.create(me, "two", GOOD)
            (row,) = (await service.inbox.contents(me))["approvals"]
            _, _, name, version = shlex.split(row["command"])
            assert row["text"] == "Give two." and row["at"]
            await service.approvals.approve(me, name, version)
            assert not any((await service.inbox.contents(me)).values())

    anyio.run(main)
