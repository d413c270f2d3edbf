"""A stored state is read when a body first looks at it, and written only where it has changed; whoever looks sees what is stored."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from repertoire import RunResponse, SqliteStorage, Workflow
from repertoire.values.refusals import StateError
from support.class_style import Counter, Show, run, script, state


class Idle(Workflow):
    workflow_id = "shown"

    def run(self, look: bool = False) -> RunResponse:
        return RunResponse(content=dict(self.session_state) if look else "idle")


class Put(Workflow):
    workflow_id = "shown"

    def run(self, value: Any) -> RunResponse:
        self.session_state["value"] = value
        return RunResponse(content="put")


class Point(BaseModel):
    x: int


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage("t", db_file=tmp_path / "t.db")
    yield storage
    storage.close()


def stored(tmp_path: Path) -> tuple[int, str]:
    with sqlite3.connect(tmp_path / "t.db") as db:
        found: tuple[int, str] = db.execute("SELECT version, state FROM t_states").fetchone()
    db.close()
    return found


def test_a_run_that_does_not_look_reads_nothing_and_one_that_does_is_told(db: SqliteStorage, tmp_path: Path) -> None:
    Put(session_id="s", storage=db).run(value=1)
    with sqlite3.connect(tmp_path / "t.db") as damaged:
        damaged.execute("UPDATE t_states SET state = '[1, 2]'")
    damaged.close()
    workflow = Idle(session_id="s", storage=db)
    assert workflow.run().content == "idle", "unreadable, but nobody reads it"
    with pytest.raises(StateError, match="the stored state is not a dict"):
        workflow.run(look=True)
    assert [one.status for one in workflow.list_runs()] == ["failed", "completed", "completed"]
    assert stored(tmp_path) == (1, "[1, 2]"), "and nobody writes over it"


def test_what_a_run_left_alone_is_shown_after_it(db: SqliteStorage) -> None:
    Put(session_id="s", storage=db).run(value=[1])
    workflow = Idle(session_id="s", storage=db)
    workflow.run()
    assert workflow.session_state == {"value": [1]}
    workflow.session_state["value"].append(2)
    assert workflow.run(look=True).content == {"value": [1, 2]}, "a change between runs counts"
    assert state(workflow, db) == {"value": [1, 2]}


def test_defaults_changes_and_overwriting_reach_a_state_that_was_left_alone(db: SqliteStorage) -> None:
    Put(session_id="s", storage=db).run(value=1)
    assert Idle(session_id="s", storage=db, session_state={"value": 2, "new": 3}).run().content == "idle"
    assert state(Idle(session_id="s"), db) == {"value": 1, "new": 3}
    Idle(session_id="s", storage=db, session_state={"value": 2}, overwrite_session_state=True).run()
    assert state(Idle(session_id="s"), db) == {"value": 2, "new": 3}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True), (1, 1.0), (0.0, -0.0), ([1], (1,)), ((1,), [1]), ("1", 1), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "x"}, {"1": "x"}), ({1}, frozenset({1})), (None, False), (Point(x=1), Point(x=2)), (Point(x=1), {"x": 1}), (b"a", "a"),
    ],
)  # fmt: skip
def test_the_smallest_change_is_stored(before: Any, after: Any, db: SqliteStorage, tmp_path: Path) -> None:
    Put(session_id="s", storage=db).run(value=before)
    assert stored(tmp_path)[0] == 1
    for _ in range(2):
        Put(session_id="s", storage=db).run(value=after)
        assert stored(tmp_path)[0] == 2, "once, and not again"
    seen = Idle(session_id="s", storage=db).run(look=True).content["value"]
    assert repr(seen) == repr(after) and type(seen) is type(after)


def test_what_a_caller_does_to_an_earlier_state_is_not_the_next_runs(db: SqliteStorage) -> None:
    """The last state is remembered to be read faster: as it was stored, and never as an object that others hold."""
    given: list[int] = [1]
    Put(session_id="s", storage=db).run(value=given)
    given.append(2)
    first = Idle(session_id="s", storage=db)
    first.run(look=True).content["value"].append(3)
    assert Idle(session_id="s", storage=db).run(look=True).content == {"value": [1]}
    assert first.run(look=True).content == {"value": [1]}


def test_what_another_process_stored_is_seen_at_once(db: SqliteStorage, tmp_path: Path) -> None:
    other = script(
        tmp_path, "other.py",
        """
        import json, sys
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Counter(Workflow):
            def run(self):
                self.session_state["count"] += 1
                return RunResponse(content=self.session_state["count"])

        print(json.dumps(Counter(session_id="s", storage=SqliteStorage("t", db_file=sys.argv[1])).run().content))
        """,
    )  # fmt: skip
    mine = Counter(session_id="s", storage=db)
    assert mine.run().content == "Run #1"
    assert run(other, str(tmp_path / "t.db")) == 2
    assert mine.run().content == "Run #3"
    assert run(other, str(tmp_path / "t.db")) == 4


def test_threads_of_a_body_that_look_first_at_once_see_one_dict(db: SqliteStorage) -> None:
    class Looking(Workflow):
        workflow_id = "shown"

        def run(self) -> RunResponse:
            ready, seen = threading.Barrier(8), list[int]()

            def look() -> None:
                ready.wait()
                state = self.session_state
                state[f"by {threading.get_ident()}"] = True
                seen.append(id(state))

            threads = [threading.Thread(target=look) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return RunResponse(content=len(set(seen)))

    Put(session_id="s", storage=db).run(value=list(range(1000)))
    assert Looking(session_id="s", storage=db).run().content == 1
    assert len(state(Looking(session_id="s"), db)) == 9


def test_runs_that_share_a_session_share_a_state_that_only_the_inner_one_looks_at(db: SqliteStorage) -> None:
    class Outer(Workflow):
        def run(self) -> RunResponse:
            return Show(session_id="s", workflow_id="outer", storage=db).run(change={"inner": 1})

    Show(session_id="s", workflow_id="outer", storage=db).run(change={"before": 0})
    Outer(session_id="s", storage=db).run()
    assert state(Outer(session_id="s"), db) == {"before": 0, "inner": 1}


def test_looking_at_models_as_dicts_leaves_them_models(db: SqliteStorage) -> None:
    Put(session_id="s", storage=db).run(value=[Point(x=1)])
    for models_as, expected in (("model", Point(x=1)), ("dict", {"x": 1}), ("model", Point(x=1))):
        seen = Idle(session_id="s", storage=db, models_as=models_as).run(look=True)  # type: ignore[arg-type]  # both are allowed
        assert seen.content == {"value": [expected]}
