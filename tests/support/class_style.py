"""Class style: storages, a few workflows, a stub agent, and scripts that run in processes of their own; used by tests/classes.

A test file takes a fixture with `db = class_style.db`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire import InMemoryStorage, RunResponse, SqliteStorage, Workflow
from repertoire.classes.stored_sessions import Storage


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage("workflows", db_file=tmp_path / "wf.db")
    yield storage
    storage.close()


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "memory":
        yield InMemoryStorage()
        return
    opened = SqliteStorage("workflows", db_file=tmp_path / "wf.db")
    yield opened
    opened.close()


class Counter(Workflow):
    def run(self) -> RunResponse:
        count = self.session_state["count"] = self.session_state.get("count", 0) + 1
        return RunResponse(content=f"Run #{count}")


class Show(Workflow):
    def run(self, change: dict[Any, Any] | None = None) -> RunResponse:
        self.session_state.update(change or {})
        return RunResponse(content=dict(self.session_state))


class Letters(Workflow):
    """Yields one letter after the other, and the state that it reads."""

    def run(self, text: str) -> Iterator[RunResponse]:
        for letter in text:
            yield RunResponse(content=letter, extra_data=(self.run_id, self.session_id))
            self.session_state["seen"] = self.session_state.get("seen", "") + letter


class AsyncStream(Workflow):
    async def arun(self, topic: str) -> AsyncIterator[RunResponse]:
        for letter in topic:
            await asyncio.sleep(0)
            yield RunResponse(content=letter)
        self.session_state["topic"] = topic


async def collected(given: Any) -> list[RunResponse]:
    return [item async for item in given] if hasattr(given, "__aiter__") else [await given]


class Breaking(Workflow):
    def run(self) -> Iterator[RunResponse]:
        self.session_state["begun"] = True
        yield RunResponse(content="part")
        raise ValueError("boom")

    async def arun(self) -> AsyncIterator[RunResponse]:
        self.session_state["begun"] = True
        yield RunResponse(content="part")
        raise ValueError("boom")


class Endless(Workflow):
    closed: list[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.closed = []

    def run(self) -> Iterator[RunResponse]:
        self.session_state["begun"] = True
        try:
            while True:
                yield RunResponse(content="x")
        except GeneratorExit:
            self.closed.append(f"GeneratorExit in {self.session_id}")
            raise

    async def arun(self) -> RunResponse:
        self.session_state["begun"] = True
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.closed.append(f"CancelledError in {self.session_id}")
            raise
        return RunResponse()


def state(workflow: Workflow, storage: Storage) -> dict[str, Any]:
    """The stored state of the workflow's session, independent of the instance."""
    (found,) = storage.sessions(workflow.workflow_id, session_id=workflow.session_id)
    return found.session_state


class Stub:
    """An agent that repeats its prompt: at once, or in two pieces. Records each prompt and its session."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.run_response: RunResponse | None = None
        self.asked: list[str] = []
        self.sessions: list[str | None] = []

    def run(self, message: str, stream: bool = False) -> Any:
        self.asked.append(message)
        self.sessions.append(self.session_id)
        return self._pieces(message) if stream else self._whole(message)

    async def arun(self, message: str) -> RunResponse:
        self.asked.append(message)
        self.sessions.append(self.session_id)
        return self._whole(message)

    def _whole(self, message: str) -> RunResponse:
        self.run_response = RunResponse(content=message)
        return self.run_response

    def _pieces(self, message: str) -> Iterator[RunResponse]:
        middle = len(message) // 2
        for piece in (message[:middle], message[middle:]):
            yield RunResponse(content=piece, event="RunResponseContent")
        self._whole(message)


COUNTER = """
    import json, sys
    from repertoire import RunResponse, SqliteStorage, Workflow

    class Counter(Workflow):
        def run(self):
            count = self.session_state.get("count", 0) + 1
            self.session_state["count"] = count
            return RunResponse(content=f"Run #{count}")

    state = json.loads(sys.argv[1])
    storage = SqliteStorage(table_name="workflows", db_file="tmp/wf.db")
    print(json.dumps(Counter(session_id="user-42", session_state=state, storage=storage).run().content))
"""


def script(folder: Path, name: str, source: str) -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent, env=dict(os.environ),
    )  # fmt: skip


def answer(process: subprocess.Popen[str]) -> Any:
    """The last line that the script printed, as JSON."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def run(path: Path, *arguments: str) -> Any:
    return answer(start(path, *arguments))
