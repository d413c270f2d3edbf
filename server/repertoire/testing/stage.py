"""Stage: the pytest fixture for workflows. The imported names work as in a run; the test answers what would need a server.

1. `import refund; refund.run(...)`: the functions of a file are called as they are.
2. `stage.run(file, arguments)`: the file is loaded as a worker loads it, in this process. Arguments and result are checked.
3. `stage.survive(file, arguments)`: it runs in real workers, which are killed at its calls (`crashes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

from ..authoring import ambient
from ..authoring.doors import EventType
from ..authoring.local_doors import LocalCall, LocalDoors
from ..values.records import CallError
from .answers import Answers
from .crashes import Survival, survive

T = TypeVar("T")
Workflow = str | Path | ModuleType
"""A file by its path, or its imported module."""


class Stage:
    """Gives answers and mocks to a workflow under test, and shows what it did."""

    def __init__(self) -> None:
        self._answers = Answers()
        self.events: list[tuple[EventType, dict[str, Any]]] = []
        """`log`, `progress` and yielded items, in order."""
        self._doors = LocalDoors(self._answers.perform, self._note_event)

    @property
    def state(self) -> dict[str, Any]:
        """The session's state: change it in place before the run, and look at it after."""
        return ambient.session_state

    @property
    def calls(self) -> list[LocalCall]:
        """The calls that bodies have made: steps, questions, sleeps, workflows."""
        return self._doors.calls

    @property
    def logs(self) -> list[str]:
        return [str(data["message"]) for type, data in self.events if type == "log"]

    def answer(self, question: str, *answers: Any) -> None:
        """Answer questions that contain this text. Several answers are given one after the other, the last one again and again."""
        if not answers:
            raise TypeError("stage.answer(question, answer): give at least one answer")
        self._answers.add_answers(question, answers)

    def expire(self, question: str) -> None:
        """Nobody answers questions that contain this text: `ask` raises CallError with the code `expired`."""
        self._answers.add_answers(
            question, (CallError(f"Nobody answered {question!r}.", code="expired", type="Expired"),)
        )

    def mock(self, name: str, result: Any = None, *, error: str | Exception | None = None) -> None:
        """Answer calls of a workflow (`lookup`), of the registry (`workflows.search`) or of a tool (`tools.github.create_issue`).

        `result` is a value, or a function that is called with the arguments by name. With `error` the call fails.
        """
        self._answers.add_mock(name, result, error)

    def run(self, workflow: Workflow, arguments: Mapping[str, Any] | None = None, *, name: str | None = None) -> Any:
        """Run a file in this process, loaded as in a run. Returns its result as JSON values. Raises as its body does.

        `name`: which class, in a file with several. A failed run leaves the state as it was.
        """
        from ..worker.foreground import Foreground
        from .files import read_code

        code = read_code(path_of(workflow), name)
        before = dict(ambient.session_state)
        body = Foreground(code, self._doors, self._doors.skip, f"workflow:{code.name}:test")
        kept = before
        try:
            result = outside_of_loops(lambda: body.run(arguments or {}, before, {}))
            kept = body.state
        finally:
            ambient.begin(self._doors)
            ambient.session_state.update(kept)
        return result

    def survive(
        self,
        workflow: Workflow,
        arguments: Mapping[str, Any] | None = None,
        *,
        at: int | None = None,
        name: str | None = None,
    ) -> Survival:
        """Run a file in real workers and kill them: once after its call number `at`, or by default once after each call.

        Fails the test if a resumed run does not end as one without a crash. Two runs without a crash tell if the result can be compared.
        """
        given = dict(arguments or {}), dict(ambient.session_state)
        path = path_of(workflow)
        return outside_of_loops(lambda: survive(path, name, *given, self._answers, at))

    def _note_event(self, type: EventType, data: dict[str, Any]) -> None:
        self.events.append((type, data))
        ambient.write(type, data)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The names of `repertoire` work as in a run, with a state of the test's own. See docs/test-a-workflow.md."""
    made = Stage()
    ambient.begin(made._doors)
    try:
        yield made
    finally:
        ambient.end()


def path_of(workflow: Workflow) -> Path:
    found = workflow.__file__ if isinstance(workflow, ModuleType) else workflow
    if found is None or not Path(found).is_file():
        raise FileNotFoundError(f"there is no file {found}: give the path of a workflow file, or its module")
    return Path(found).resolve()


def outside_of_loops(work: Callable[[], T]) -> T:
    """Call `work` where no event loop runs: an async test has one in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()
