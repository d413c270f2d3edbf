"""The seam between a class workflow and whoever runs it: a host gives ids and state, and hears everything once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from repertoire import RunResponse, SqliteStorage, Workflow, WorkflowCompletedEvent
from repertoire.classes import Opened, Opening, RunDoors, RunEnd, serving
from support import class_style
from support.class_style import Breaking, Counter, Endless

db = class_style.db


class Recorder:
    """Doors of a host: what the class style's runs do to it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def for_any(self, workflow: Any, parent: Any) -> RunDoors:
        return self

    def start(self, opening: Opening, /) -> Opened | None:
        self.said.append(("start", (opening.workflow_id, opening.input)))
        return Opened("run-1", "session-1", "hosted", {"count": 41})

    def emit(self, type: str, data: dict[str, Any], /) -> None:
        self.said.append((type, data))

    def commit(self, state: dict[str, Any], /) -> None:
        self.said.append(("commit", dict(state)))

    def finish(self, end: RunEnd, /) -> None:
        self.said.append(("finish", end))


def test_a_host_gives_ids_and_state_and_hears_everything_once(db: SqliteStorage) -> None:
    class Talking(Workflow):
        def run(self, topic: str) -> Iterator[Any]:
            self.session_state["count"] += 1
            self.commit_state()
            yield RunResponse(content="a")
            yield RunResponse(content={"n": 1})
            yield 5
            yield WorkflowCompletedEvent(content="a")
            Counter().run()

    recorder = Recorder()
    with serving(lambda workflow, parent: recorder if parent is None else None):
        workflow = Talking(storage=db)
        items = list(workflow.run(topic="t"))
    assert items[0].run_id == "run-1" and items[0].session_id == "session-1" and items[0].workflow_id == "hosted"
    kinds = [kind for kind, _ in recorder.said]
    assert kinds == ["start", "commit", "text", "item", "log", "item", "finish"]
    assert recorder.said[0][1] == ("talking", {"topic": "t"}) and recorder.said[1][1] == {"count": 42}
    assert recorder.said[4][1]["level"] == "warning"
    end = recorder.said[-1][1]
    assert (end.status, end.content, end.state, end.error) == ("completed", "a", {"count": 42}, None)
    assert db.sessions() == [], "the storage is the host's affair"


def test_a_host_hears_of_failures_and_cancellations() -> None:
    ends = []
    for workflow, read in ((Breaking(), 9), (Endless(), 1)):
        recorder = Recorder()
        with serving(recorder.for_any):
            stream: Any = workflow.run()
            try:
                for _ in range(read):
                    next(stream)
            except ValueError:
                pass
            stream.close()
        ends.append(recorder.said[-1][1])
    assert [(end.status, end.content, end.state) for end in ends] == [
        ("failed", "part", None),
        ("cancelled", "x", None),
    ]
    assert str(ends[0].error) == "boom" and ends[1].error is None
