"""What the tests of the class style share: a stub agent, and scripts that run in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repertoire import RunResponse, Workflow
from repertoire.authoring.sessions import Storage


class Counter(Workflow):
    def run(self) -> RunResponse:
        count = self.session_state["count"] = self.session_state.get("count", 0) + 1
        return RunResponse(content=f"Run #{count}")


class Show(Workflow):
    def run(self, change: dict[Any, Any] | None = None) -> RunResponse:
        self.session_state.update(change or {})
        return RunResponse(content=dict(self.session_state))


def state(workflow: Workflow, storage: Storage) -> dict[str, Any]:
    """What is stored of the workflow's session, beside whatever the instance shows."""
    (found,) = storage.sessions(workflow.workflow_id, session_id=workflow.session_id)
    return found.session_state


class Stub:
    """An agent that says back what it is told: at once, or in two pieces. Keeps what it was asked, and in which session."""

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
    """What the script printed last, as JSON."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def run(path: Path, *arguments: str) -> Any:
    return answer(start(path, *arguments))
