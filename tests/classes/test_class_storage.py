"""What class workflows keep: state, sessions and runs, in a SQLite file or in memory. The acceptance cases' ids are in the names."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from repertoire import RunResponse, SqliteStorage, Workflow
from repertoire.classes.stored_sessions import Storage
from repertoire.values import codec
from repertoire.values.refusals import StateError
from support import class_style
from support.class_style import Counter, Show, state

db, storage = class_style.db, class_style.storage


# What a state may hold.


class Item(BaseModel):
    when: datetime
    tags: set[str] = set()


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[int, ...] = ()


RICH: dict[Any, Any] = {
    "model": {"m": [Item(when=datetime(2026, 1, 1, tzinfo=UTC), tags={"a"})], "t": (Item(when=datetime(2026, 1, 2)),)},
    "point": Point(1, (2, 3)), "set": {1, 2}, "bytes": b"\0\xff", "when": datetime(2026, 5, 4, 3, 2, 1), 5: {None: True},
}  # fmt: skip


def test_a27_models_dates_sets_bytes_and_other_keys_come_back(storage: Storage) -> None:
    Show(session_id="s", storage=storage).run(change=RICH)
    assert Show(session_id="s", storage=storage).run().content == RICH


def test_a27_models_come_back_as_dicts_where_that_is_asked_for(storage: Storage) -> None:
    Show(session_id="s", storage=storage).run(change=RICH)
    content = Show(session_id="s", storage=storage, models_as="dict").run().content
    assert content["model"]["m"] == [{"when": datetime(2026, 1, 1, tzinfo=UTC), "tags": {"a"}}]
    assert content["point"] == {"x": 1, "y": (2, 3)} and content["set"] == {1, 2}


def test_a27_a_dataclass_is_restored_without_its_code_and_a_changed_one_is_a_dict() -> None:
    text = codec.encode({"p": Point(1, (2,))})
    assert codec.decode(text) == {"p": Point(1, (2,))}
    assert codec.decode(text, models_as="dict") == {"p": {"x": 1, "y": (2,)}}
    assert codec.decode(text.replace('"y"', '"z"')) == {"p": {"x": 1, "z": (2,)}}
    assert codec.decode(text.replace(":Point", ":Gone")) == {"p": {"x": 1, "y": (2,)}}
    assert codec.decode(text.replace(":Point", ":Item")) == {"p": {"x": 1, "y": (2,)}}, "never another kind of class"


@pytest.mark.parametrize("stream", [False, True])
def test_a28_what_cannot_be_stored_fails_the_run_and_names_its_key(stream: bool, storage: Storage) -> None:
    class Holding(Workflow):
        def run(self, value: Any) -> RunResponse:
            self.session_state["good"] = 1
            self.session_state["deep"] = {"list": [0, value]}
            return RunResponse(content="done")

    class Streaming(Workflow):
        def run(self, value: Any) -> Iterator[RunResponse]:
            self.session_state["deep"] = {"list": [0, value]}
            yield RunResponse(content="done")

    workflow: Any = (Streaming if stream else Holding)(session_id="s", storage=storage)
    given = workflow.run(value=1)
    earlier = [list(given) if stream else given, state(workflow, storage)][1]
    with pytest.raises(StateError, match=r"session_state\['deep'\]\['list'\]\[1\]: an object cannot be stored"):
        list(workflow.run(value=object())) if stream else workflow.run(value=object())
    assert workflow.list_runs()[0].status == "failed" and workflow.list_runs()[0].content == "done"
    assert state(workflow, storage) == earlier and workflow.session_state == earlier


def _around() -> list[Any]:
    around: list[Any] = []
    around.append(around)
    return around


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_around, r"\['k'\]\[0\]: it contains itself"),
        (lambda: {float("nan"): 1}, r"the key of session_state\['k'\]\[nan\]: NaN equals nothing"),
        (lambda: {(1, float("nan")): 1}, r"the key of session_state\['k'\].*NaN"),
        (lambda: {object(): 1}, r"the key of session_state\['k'\].*an object cannot be stored"),
    ],
)
def test_a28_circles_and_keys_that_cannot_be_found_again_are_named(make: Any, words: str, db: SqliteStorage) -> None:
    workflow = Show(session_id="s", storage=db)
    with pytest.raises(StateError, match=words):
        workflow.run(change={"k": make()})
    assert state(workflow, db) == {}


def test_a28_without_a_storage_nothing_is_stored_so_a_state_may_hold_anything() -> None:
    workflow, lock = Show(), threading.Lock()
    workflow.run(change={"lock": lock, "n": 1})
    assert workflow.run().content == {"lock": lock, "n": 1}


# Sessions.


def test_a29_a_new_session_begins_afresh_and_the_old_one_stays(storage: Storage) -> None:
    workflow = Counter(session_id="old", storage=storage, session_state={"count": 10})
    assert workflow.run().content == "Run #11"
    new = workflow.new_session()
    assert new == workflow.session_id != "old"
    assert workflow.session_state == {"count": 10} and workflow.run().content == "Run #11"
    assert {one.session_id: one.session_state for one in workflow.list_sessions()} == {
        "old": {"count": 11}, new: {"count": 11},
    }  # fmt: skip


def test_a30_sessions_can_be_handled_before_any_run(storage: Storage) -> None:
    workflow = Counter(session_id="s", storage=storage, session_state={"count": 3})
    assert workflow.read_from_storage() is None
    assert workflow.load_session() == "s"
    workflow.rename_session("Monday")
    assert [(one.session_id, one.session_name) for one in workflow.list_sessions()] == [("s", "Monday")]
    found = workflow.read_from_storage()
    assert found is not None and found.session_data["session_name"] == "Monday"
    workflow.session_state["count"] = 7
    written = workflow.write_to_storage()
    assert written is not None and written.session_state == {"count": 7}
    assert Counter(session_id="s", storage=storage).run().content == "Run #8"
    workflow.rename("Tally")
    assert workflow.list_sessions()[0].workflow_name == "Tally" and workflow.workflow_id == "counter"


def test_a30_the_storage_lists_sessions_under_the_names_of_old(db: SqliteStorage) -> None:
    for session_id in ("a", "b", "c"):
        Counter(session_id=session_id, user_id="ada", storage=db).run()
    assert db.get_all_session_ids() == ["c", "b", "a"]
    assert [one.session_id for one in db.get_recent_sessions(limit=2)] == ["c", "b"]
    read = db.read("a", user_id="ada")
    assert read is not None and read.session_state == {"count": 1}
    db.delete_session("a")
    assert db.get_all_session_ids(user_id="ada", entity_id="counter") == ["c", "b"]


def test_a31_a_deleted_session_begins_again(storage: Storage) -> None:
    workflow = Counter(session_id="s", storage=storage)
    workflow.run()
    workflow.run()
    workflow.delete_session("s")
    assert workflow.list_sessions() == [] and workflow.session_state == {}
    assert workflow.run().content == "Run #1"
    assert len(workflow.list_runs()) == 1


@pytest.mark.parametrize("bad", ["../evil", "a/b", "a\\b", "..", ".", "", " a", "a\0b", "a\nb", "x" * 256])
def test_a32_session_ids_with_parts_of_a_path_are_refused_everywhere(bad: str, tmp_path: Path) -> None:
    storage = SqliteStorage(db_file=tmp_path / "inner" / "wf.db")
    workflow = Counter(storage=storage)
    with pytest.raises(ValueError, match="session_id must"):
        Counter(session_id=bad, storage=storage)
    with pytest.raises(ValueError, match="session_id must"):
        workflow.session_id = bad
    with pytest.raises(ValueError, match="session_id must"):
        workflow.delete_session(bad)
    with pytest.raises(ValueError, match="session_id must"):
        workflow.deep_copy(update={"session_id": bad})
    workflow.run()
    assert {path.name for path in tmp_path.iterdir()} == {"inner"}
    storage.close()


@pytest.mark.parametrize("good", ["user-42", "a.b..c", "über:1@x", "why do cats, though?"])
def test_other_session_ids_are_taken_as_they_are(good: str) -> None:
    assert Counter(session_id=good).run().session_id == good


class OtherCounter(Counter):
    pass


def test_a33_workflows_and_users_never_share_a_session(storage: Storage) -> None:
    workflows = [
        Counter(session_id="s", storage=storage), OtherCounter(session_id="s", storage=storage),
        Counter(session_id="s", storage=storage, user_id="ada"), Counter(session_id="s", storage=storage, user_id="bob"),
        Counter(session_id="s", storage=storage, workflow_id="another"),
    ]  # fmt: skip
    assert [workflow.run().content for workflow in workflows] == ["Run #1"] * 5
    assert len(storage.sessions(session_id="s")) == 5
    workflows[2].delete_session("s")
    assert len(storage.sessions(session_id="s")) == 4


# The file.


class Nothing(Workflow):
    def run(self) -> RunResponse:
        return RunResponse(content="ok")


def test_a37_a_run_costs_the_same_after_a_thousand_others_and_history_is_paged(tmp_path: Path) -> None:
    path = tmp_path / "wf.db"
    storage = SqliteStorage(db_file=path)
    workflow = Nothing(session_id="s", storage=storage)
    workflow.run()
    size = path.stat().st_size

    def fastest_of_fifty() -> float:
        """The machine has other work: the fastest is what the run itself costs."""
        times = []
        for _ in range(50):
            since = time.perf_counter()
            workflow.run()
            times.append(time.perf_counter() - since)
        return min(times)

    first = fastest_of_fifty()
    for _ in range(900):
        workflow.run()
    assert fastest_of_fifty() <= 2 * first
    with sqlite3.connect(path) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sql.close()
    assert (path.stat().st_size - size) / 1000 <= 1024

    page = workflow.list_runs(limit=600)
    rest = workflow.list_runs(limit=600, before=page[-1].run_id)
    assert (len(page), len(rest)) == (600, 401)
    assert len({run.run_id for run in (*page, *rest)}) == 1001
    storage.close()


def test_an_unchanged_state_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "wf.db"
    storage = SqliteStorage(db_file=path)
    workflow = Show(session_id="s", storage=storage)
    workflow.run(change={"large": "x" * 1_000_000})
    wal = tmp_path / "wf.db-wal"
    with sqlite3.connect(path) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sql.close()

    class Looking(Workflow):
        def run(self) -> RunResponse:
            return RunResponse(content=len(self.session_state["large"]))

    assert Looking(workflow_id="show", session_id="s", storage=storage).run().content == 1_000_000
    assert wal.stat().st_size < 100_000
    storage.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"table_name": 'x"; DROP TABLE y'}, "table_name must be"),
        ({"db_url": "postgresql://host/db"}, "db_url must begin with sqlite:///"),
        ({"db_engine": object()}, "db_engine is not taken"),
    ],
)
def test_a_storage_refuses_what_it_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SqliteStorage(**options)


def test_the_arguments_of_old_are_taken_and_a_url_names_the_same_file(tmp_path: Path) -> None:
    by_file = SqliteStorage(
        "t", db_file=str(tmp_path / "a" / "wf.db"), schema_version=1, auto_upgrade_schema=True, mode="agent"
    )
    by_url = SqliteStorage(table_name="t", db_url=f"sqlite:///{tmp_path}/a/wf.db", mode="workflow")
    assert [Counter(session_id="s", storage=one).run().content for one in (by_file, by_url)] == ["Run #1", "Run #2"]
    other_table = SqliteStorage("other", db_file=tmp_path / "a" / "wf.db")
    assert Counter(session_id="s", storage=other_table).run().content == "Run #1"
    by_file.drop()
    assert Counter(session_id="s", storage=by_url).run().content == "Run #1"
    by_file.close()


def test_without_a_file_it_is_memory_of_its_own() -> None:
    one, two = SqliteStorage("t"), SqliteStorage("t")
    assert [Counter(session_id="s", storage=storage).run().content for storage in (one, one, two)] == [
        "Run #1", "Run #2", "Run #1",
    ]  # fmt: skip
    one.close()
    two.close()


def test_a_storage_is_usable_on_the_other_side_of_a_fork(tmp_path: Path) -> None:
    path = class_style.script(
        tmp_path,
        "forks.py",
        """
        import json, os, sys, time
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Counter(Workflow):
            def run(self):
                count = self.session_state.get("count", 0)
                yield RunResponse(content=count)
                self.session_state["count"] = count + 1

        storage = SqliteStorage(db_file="wf.db")
        workflow = Counter(session_id="s", storage=storage)
        list(workflow.run())
        connection = storage._file._connection
        paused = workflow.run()
        next(paused)
        if os.fork() == 0:
            paused.close()  # the copy
            sys.exit(0)
        assert os.wait()[1] == 0
        child = os.fork()
        if child == 0:  # waits for its parent's run; the copy of it that is here ends with the process and says nothing
            list(workflow.run())
            assert storage._file._connection is not connection
            sys.exit(0)
        time.sleep(0.2)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        list(paused)
        assert os.waitpid(child, 0)[1] == 0
        (last,) = list(workflow.run())
        print(json.dumps([last.content, [run.status for run in workflow.list_runs()]]))
        """,
    )
    assert class_style.run(path) == [3, ["completed"] * 4]


def test_what_a_run_took_and_gave_is_recorded_whatever_it_is(storage: Storage) -> None:
    class Odd(Workflow):
        def run(self, **given: Any) -> RunResponse:
            return RunResponse(content={"lock": given["lock"], "when": datetime(2026, 1, 1)})

    workflow = Odd(session_id="s", storage=storage)
    workflow.run(lock=threading.Lock(), n=1)
    (run,) = workflow.list_runs()
    assert run.input["n"] == 1 and run.input["lock"].startswith("<unlocked _thread.lock")
    assert run.content["when"] == datetime(2026, 1, 1) and run.content["lock"].startswith("<unlocked _thread.lock")
