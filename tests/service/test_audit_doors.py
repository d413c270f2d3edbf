"""The audit log has exactly one line for each change, whichever door it comes through: an MCP tool, the control socket, the command line.

Real processes: a daemon, an MCP client through its front, a control connection, and commands. A random walk changes things, and after each
step the new lines are those of that step. At the end the log, read from its first line, gives what the tables have.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from repertoire.cli.control_client import ControlClient, ControlError, control_client
from repertoire.daemon.greeting import Hello
from repertoire.version import VERSION
from support.mcp_calls import call
from support.shells import Shell
from support.transports import way_in

pytestmark = pytest.mark.anyio

ENVIRON = {
    "REPERTOIRE_READY_WORKFLOWS": "false", "REPERTOIRE_SEARCH_MODEL": "off", "REPERTOIRE_INSPECT_TIMEOUT_S": "60"
}  # fmt: skip
SOURCE = '"""Give back a number."""\n\ndef run(n: int = {number}) -> int:\n    return n // (n - 13)\n'
ASK = '"""Ask."""\n\ndef run() -> bool:\n    return ask("Well?", {"type": "boolean"})\n'
MAKER = (
    '"""Make a workflow."""\n\ndef run(name: str, source: str) -> bool:\n'
    "    workflows.create(name, source, replace=True)\n    return workflows.delete(name)\n"
)
TOOLS, COMMANDS, BODY = "mcp", "repertoire command line", "workflow:maker:"
Expected = list[tuple[str, str, str]]
"""Action, workflow or subject, and the beginning of the client's name."""


class Walk:
    """Each step changes something, and returns the lines that this has to add."""

    def __init__(self, seed: int, client: Client, control: ControlClient, shell: Shell) -> None:
        self.random = random.Random(seed)
        self.client, self.control, self.shell = client, control, shell
        self.published: set[str] = set()
        self.pinned: set[str] = set()
        self.waiting: list[str] = []
        self.count = seed * 1000

    def name(self) -> str:
        return self.random.choice(["one", "two", "three"])

    def source(self) -> str:
        self.count += 1
        return SOURCE.replace("{number}", str(self.count))

    async def verb(self, verb: str, **args: Any) -> Any:
        return await self.control.call(verb, args)

    async def refused(self, verb: str, **args: Any) -> None:
        with pytest.raises(ControlError):
            await self.verb(verb, **args)

    async def create(self) -> Expected:
        name = self.name()
        made = await call(
            self.client, "create_workflow", {"name": name, "source": self.source(), "replace": True, "examples": []}
        )
        assert made.get("status") == "published", made
        self.published.add(name)
        return [("published", name, TOOLS)]

    async def draft(self) -> Expected:
        name = self.name()
        made = await call(
            self.client, "create_workflow", {"name": name, "source": self.source(), "publish": False, "examples": []}
        )
        assert made.get("status") == "draft", made
        await call(self.client, "publish_workflow", {"name": name, "version": made["version"]})
        self.published.add(name)
        return [("draft", name, TOOLS), ("published", name, TOOLS)]

    async def with_an_example(self) -> Expected:
        """Its run is a run too: code was executed."""
        name = self.name()
        given = {"name": name, "source": self.source(), "replace": True, "examples": [{"arguments": {"n": 14}}]}
        made = await call(self.client, "create_workflow", given)
        assert made.get("status") == "published", made
        self.published.add(name)
        return [("started", name, TOOLS), ("ended", name, TOOLS), ("published", name, TOOLS)]

    async def refused_source(self) -> Expected:
        refused = await call(self.client, "create_workflow", {"name": "one", "source": "def run(:", "replace": True})
        assert refused["is_error"]
        return []

    async def run_by_tool(self) -> Expected:
        name = self.name()
        if name not in self.published:
            return []
        number = self.random.choice([1, 13])
        ran = await call(self.client, "run_workflow", {"name": name, "arguments": {"n": number}})
        assert ran.get("status") == ("failed" if number == 13 else "completed"), ran
        return [("started", name, TOOLS), ("ended", name, TOOLS)]

    async def run_by_socket(self) -> Expected:
        name = self.name()
        if name not in self.published:
            await self.refused("run", name=name)
            return []
        await self.verb("run", name=name, arguments={"n": 1})
        return [("started", name, COMMANDS), ("ended", name, COMMANDS)]

    async def run_code(self) -> Expected:
        ran = await call(self.client, "run_code", {"source": f"{self.count} + 1"})
        assert ran.get("status") == "completed", ran
        return [("started", "run_code", TOOLS), ("ended", "run_code", TOOLS)]

    async def body_makes(self) -> Expected:
        arguments = {"name": "made", "source": self.source()}
        ran = await call(self.client, "run_workflow", {"name": "maker", "arguments": arguments})
        assert ran.get("status") == "completed", ran["error"]
        inner: Expected = [("published", "made", BODY), ("deleted", "made", BODY)]
        return [("started", "maker", TOOLS), *inner, ("ended", "maker", TOOLS)]

    async def ask(self) -> Expected:
        self.waiting.append((await self.verb("start", name="asking"))["run_id"])
        run = self.waiting[-1]
        with anyio.fail_after(20):
            while (await self.verb("get", run_id=run))["status"] != "input_required":
                await anyio.sleep(0.01)
        return [("started", "asking", COMMANDS)]

    async def answer(self) -> Expected:
        if not self.waiting:
            return []
        run = self.waiting.pop()
        if self.random.random() < 0.5:
            await call(self.client, "answer_run", {"run_id": run, "answer": True})
            by = TOOLS
        else:
            await self.refused("answer", run_id=run, answer="no boolean")
            await self.verb("answer", run_id=run, answer=True)
            by = COMMANDS
        with anyio.fail_after(20):
            while (await self.verb("get", run_id=run))["status"] != "completed":
                await anyio.sleep(0.01)
        await self.refused("answer", run_id=run, answer=True)
        return [("answered", "asking", by), ("ended", "asking", COMMANDS)]

    async def cancel(self) -> Expected:
        if not self.waiting:
            await self.refused("cancel", run_id="workflow:asking:01ARZ3NDEKTSV4RRFFQ69G5FAV")
            return []
        run = self.waiting.pop(0)
        by_tool = self.random.random() < 0.5
        await (call(self.client, "cancel_run", {"run_id": run}) if by_tool else self.verb("cancel", run_id=run))
        await self.verb("cancel", run_id=run)  # it has ended: nothing changes
        return [("cancelled", "asking", TOOLS if by_tool else COMMANDS)]

    async def delete(self) -> Expected:
        name, by_tool = self.name(), self.random.random() < 0.5
        if by_tool:
            await call(self.client, "delete_workflow", {"name": name})
        else:
            await self.verb("delete", name=name)
        was = name in self.published
        self.published.discard(name)
        return [("deleted", name, TOOLS if by_tool else COMMANDS)] if was else []

    async def approve(self) -> Expected:
        name = self.name()
        if name not in self.published:
            return []
        version = (await self.verb("approval", name=name))["hash"]
        for _ in range(2):
            await self.verb("approve", name=name, version=version)
        assert [(await self.verb("revoke", name=name))["revoked"] for _ in range(2)] == [True, False]
        return [("approved", name, COMMANDS), ("revoked", name, COMMANDS)]

    async def pin(self) -> Expected:
        name = self.name()
        if name not in self.published:
            return []
        changed = name not in self.pinned
        self.pinned ^= {name}
        await self.verb("pin" if changed else "unpin", name=name)
        await self.verb("pin" if changed else "unpin", name=name)  # it is so already
        return [("pinned" if changed else "unpinned", name, COMMANDS)]

    async def artifact(self) -> Expected:
        path = self.shell.home.parent / "a.txt"
        path.write_text("text")
        await self.verb("artifact_save", name="a.txt", kind="text", path=str(path))
        assert (await self.verb("artifact_delete", name="a.txt"))["deleted"]
        assert not (await self.verb("artifact_delete", name="a.txt"))["deleted"]
        return [("artifact_saved", "a.txt", COMMANDS), ("artifact_deleted", "a.txt", COMMANDS)]

    async def session(self) -> Expected:
        await call(self.client, "run_code", {"source": f"{self.count} + 2", "session_id": "new"})
        ids = [row["session_id"] for row in await self.verb("sessions") if row["name"] is None]
        await self.verb("session_rename", session=ids[0], name=f"named {self.count}")
        await self.verb("session_reset", session=ids[0])  # it has no state
        await self.verb("session_delete", session=ids[0])
        changes: Expected = [("session_renamed", ids[0], COMMANDS), ("session_deleted", ids[0], COMMANDS)]
        return [("started", "run_code", TOOLS), ("ended", "run_code", TOOLS), *changes]

    async def file(self) -> Expected:
        """At the command line: a file, its run, its deletion, and its return."""
        self.count += 1
        path = self.shell.home.parent / "file.py"
        path.write_text(self.source())
        command = ["create", "kept_file", str(path)]
        version = (await self.command(*command)).split()[1]
        await self.command("run", "kept_file", "n=1")
        await self.command("delete", "kept_file", "--yes")
        await self.command("publish", "kept_file", version)
        actions = ["created", "started", "ended", "deleted", "restored"]
        return [(action, "kept_file", COMMANDS) for action in actions]

    async def command(self, *words: str) -> str:
        return await anyio.to_thread.run_sync(lambda: self.shell.ok(*words))


def steps_of(walk: Walk, count: int) -> list[Callable[[], Awaitable[Expected]]]:
    """Each step once, and then at random; the slow ones not again."""
    every = [
        walk.create, walk.draft, walk.with_an_example, walk.refused_source, walk.run_by_tool, walk.run_by_socket, walk.run_code,
        walk.body_makes, walk.ask, walk.answer, walk.ask, walk.cancel, walk.approve, walk.delete, walk.pin, walk.artifact, walk.session,
    ]  # fmt: skip
    return [walk.file, *every, *walk.random.choices(every, k=count)]


def lines(home: Path, after: int) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(home / "repertoire.db")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM audit WHERE n > ? ORDER BY n", (after,))]


def shown(found: list[dict[str, Any]], expected: Expected) -> Expected:
    """The lines as they are expected: of the client as much as is expected, since its version varies."""
    clients = [client for _, _, client in expected] + [""] * len(found)
    return [
        (line["action"], line["workflow"] or line["subject"], clients[i] if line["client"].startswith(clients[i]) else line["client"])
        for i, line in enumerate(found)
    ]  # fmt: skip


def check_whole(home: Path) -> None:
    """The log, read from its first line, gives what the tables have."""
    found = lines(home, 0)
    published: dict[str, str] = {}
    pinned: set[str] = set()
    for line in found:
        if line["action"] == "published":
            published[line["workflow"]] = line["version"]
        elif line["action"] == "deleted":
            published.pop(line["workflow"], None)
        elif line["action"] in ("pinned", "unpinned"):
            pinned ^= {line["workflow"]}
    with contextlib.closing(sqlite3.connect(home / "repertoire.db")) as db:
        assert published == dict(db.execute("SELECT name, hash FROM published"))
        assert pinned == {name for (name,) in db.execute("SELECT name FROM pin")}
        began = [line["run_id"] for line in found if line["action"] == "started"]
        assert sorted(began) == sorted(run for (run,) in db.execute("SELECT id FROM run"))
        ends = {line["run_id"]: line["status"] for line in found if line["action"] in ("ended", "cancelled")}
        assert len(ends) == sum(line["action"] in ("ended", "cancelled") for line in found)
        assert ends == dict(db.execute("SELECT id, status FROM run WHERE ended_at IS NOT NULL"))
        answered = [line["subject"] for line in found if line["action"] == "answered"]
        assert sorted(answered) == sorted(
            id for (id,) in db.execute("SELECT id FROM wait WHERE kind = 'ask' AND answer IS NOT NULL")
        )
    assert all(line["principal"] == "local" and len(line["arguments"]) in (0, 64) for line in found)
    assert [line["n"] for line in found] == list(range(1, len(found) + 1))


async def test_each_change_has_exactly_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with way_in("stdio-modern", home, ENVIRON) as way:
        shell = Shell(home)
        shell.environ |= ENVIRON
        async with way.client() as client:
            for name, source in (("asking", ASK), ("maker", MAKER)):
                made = await call(client, "create_workflow", {"name": name, "source": source})
                assert made.get("status") == "published", made
            async with control_client(str(home), Hello(mode="control", version=VERSION)) as control:
                walk = Walk(1, client, control, shell)
                for step in steps_of(walk, 15):
                    last = lines(home, 0)[-1]["n"]
                    expected = await step()
                    found = lines(home, last)
                    assert shown(found, expected) == expected, step.__name__
                check_whole(home)
