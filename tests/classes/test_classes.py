"""The class style as a library: what a Workflow does in a user's own script. The acceptance cases' ids are in the tests' names."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from repertoire import RunEvent, RunResponse, SqliteStorage, Workflow, WorkflowRunResponseStartedEvent
from repertoire.classes.stored_sessions import Storage
from repertoire.names import snake_case
from support import class_style
from support.class_style import COUNTER, Counter, Show, Stub, state

db, storage = class_style.db, class_style.storage


class Summary(Workflow):
    description = "Shorten a text"
    writer = Stub()

    def run(self, text: str, most: int = 100) -> RunResponse:
        return RunResponse(content=self.writer.run(f"At most {most} words of: {text}").content)


# Stamping and dispatch.


def test_a1_a_response_is_stamped_and_the_body_gets_its_arguments() -> None:
    workflow = Summary(session_id="s")
    response = workflow.run(text="t", most=60)
    assert "At most 60 words" in Summary.writer.asked[-1]
    assert (response.run_id, response.session_id, response.workflow_id) == (workflow.run_id, "s", "summary")
    assert str(response.run_id).startswith("workflow:summary:") and response.status == "completed"
    assert workflow.run_input == {"text": "t", "most": 60}
    assert workflow.description == "Shorten a text" and workflow.name == "Summary"


def test_arguments_that_do_not_fit_begin_no_run(db: SqliteStorage) -> None:
    workflow: Any = Summary(session_id="s", storage=db)
    with pytest.raises(TypeError, match=r"Summary\.run\(\): missing a required argument: 'text'"):
        workflow.run()
    with pytest.raises(TypeError, match="unexpected keyword argument 'extra'"):
        workflow.run(text="t", extra=1)
    assert workflow.list_runs() == []


def test_a4_state_lives_as_long_as_the_instance_without_a_storage() -> None:
    workflow = Counter()
    assert [workflow.run().content for _ in range(3)] == ["Run #1", "Run #2", "Run #3"]
    assert Counter().run().content == "Run #1"


@pytest.mark.parametrize("initial", ['{"count": 0}', "null"], ids=["a5_stored_wins_over_initial", "a6_no_initial"])
def test_a5_a6_state_goes_on_in_the_next_process(initial: str, tmp_path: Path) -> None:
    path = class_style.script(tmp_path, "counter.py", COUNTER)
    assert [class_style.run(path, initial) for _ in range(3)] == ["Run #1", "Run #2", "Run #3"]


@pytest.mark.parametrize(
    ("overwrite", "expected"),
    [
        (False, {"a": {"x": 1, "y": 1, "z": 9}, "l": [1], "d": 1}),
        (True, {"a": {"x": 9, "y": 1, "z": 9}, "l": [2], "d": 1}),
    ],
)
def test_a7_stored_state_wins_deep_unless_told_otherwise(
    overwrite: bool, expected: dict[str, Any], storage: Storage
) -> None:
    Show(session_id="s", storage=storage).run(change={"a": {"x": 1, "y": 1}, "l": [1], "d": 1})
    initial = {"a": {"x": 9, "z": 9}, "l": [2]}
    later = Show(session_id="s", storage=storage, session_state=initial, overwrite_session_state=overwrite)
    assert later.run().content == expected
    assert initial == {"a": {"x": 9, "z": 9}, "l": [2]}, "the caller's own dict is not written to"


def test_overwriting_happens_once(storage: Storage) -> None:
    workflow = Counter(session_id="s", storage=storage, session_state={"count": 5}, overwrite_session_state=True)
    assert [workflow.run().content for _ in range(2)] == ["Run #6", "Run #7"]


class Popper(Workflow):
    def run(self, pop: bool) -> RunResponse:
        if pop:
            self.session_state.pop("key")
            self.session_state["deep"].pop("key")
        return RunResponse(content="key" in self.session_state or "key" in self.session_state["deep"])


def test_a8_a_key_that_was_removed_stays_removed(tmp_path: Path) -> None:
    initial = {"key": 1, "deep": {"key": 1, "other": 2}}
    storage = SqliteStorage(db_file=tmp_path / "wf.db")
    workflow = Popper(session_id="s", storage=storage, session_state=initial)
    assert workflow.run(pop=False).content is True
    assert workflow.run(pop=True).content is False
    assert workflow.run(pop=False).content is False
    storage.close()
    path = class_style.script(
        tmp_path,
        "popper.py",
        """
        import json
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Popper(Workflow):
            def run(self):
                return RunResponse(content=self.session_state)

        state = {"key": 1, "deep": {"key": 1, "other": 2}}
        print(json.dumps(Popper(session_id="s", storage=SqliteStorage(db_file="wf.db"), session_state=state).run().content))
        """,
    )
    assert class_style.run(path) == {"deep": {"other": 2}}


# Between runs, copies, bad input.


def test_changes_between_runs_count_but_old_values_are_never_written_back(storage: Storage) -> None:
    one, two = (Counter(session_id="s", storage=storage) for _ in range(2))
    assert [w.run().content for w in (one, two, one, two)] == ["Run #1", "Run #2", "Run #3", "Run #4"]
    assert one.session_state == {"count": 3}, "as this instance last saw it"
    one.session_state["flag"] = True
    two.run()
    one.run()
    assert state(one, storage) == {"count": 6, "flag": True}
    one.session_state = {"count": 0}
    one.run()
    assert state(one, storage) == {"count": 1}


def test_changes_survive_a_load_unless_it_is_forced(storage: Storage) -> None:
    Counter(session_id="s", storage=storage).run()
    workflow = Counter(session_id="s", storage=storage)
    workflow.session_state["flag"] = True
    workflow.load_session()
    assert workflow.session_state == {"count": 1, "flag": True}
    workflow.load_session(force=True)
    assert workflow.session_state == {"count": 1}
    workflow.session_state["flag"] = False
    workflow.read_from_storage()
    workflow.run()
    assert state(workflow, storage) == {"count": 2, "flag": False}


def test_setting_the_session_shows_nothing_of_the_old_one(storage: Storage) -> None:
    workflow = Counter(session_id="a", storage=storage)
    workflow.run()
    workflow.session_id = "b"
    assert workflow.session_state == {} and workflow.run().content == "Run #1"


def test_a_copy_has_a_state_of_its_own_also_after_a_run(storage: Storage) -> None:
    class Copied(Counter):
        agent = Stub()

    original = Copied(session_id="a", storage=storage, session_state={"count": 5})
    original.run()
    copy = original.deep_copy(update={"session_id": "b", "user_id": "ada"})
    assert (copy.run().content, copy.user_id, copy.agent is original.agent) == ("Run #6", "ada", True)
    assert original.run().content == "Run #7"
    loose = Counter()
    loose.run()
    twin = loose.deep_copy()
    assert twin.run().content == "Run #2" and loose.run().content == "Run #2"


def test_threads_of_a_body_see_its_state() -> None:
    class Threaded(Workflow):
        def run(self) -> RunResponse:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda n: self.session_state.setdefault(str(n), self.run_id), range(4)))
            return RunResponse(content=len(self.session_state))

    assert Threaded().run().content == 4


def test_a_subclass_may_forget_its_base_or_set_defaults_as_class_attributes(storage: Storage) -> None:
    class Forgetful(Workflow):
        session_state = {"n": 1}  # type: ignore[override]  # noqa: RUF012 - as files of that style have it

        def __init__(self, factor: int) -> None:
            self.factor = factor

        def run(self) -> RunResponse:
            self.session_state["n"] *= self.factor
            return RunResponse(content=self.session_state["n"])

    assert [workflow.run().content for workflow in (Forgetful(3), Forgetful(5))] == [3, 5]


def test_a_session_may_not_be_changed_by_the_body_that_is_in_it() -> None:
    class Changing(Workflow):
        def run(self, how: str) -> RunResponse:
            if how == "set":
                self.session_id = "other"
            else:
                getattr(self, how)()
            return RunResponse()

    for how in ("set", "new_session", "load_session"):
        with pytest.raises(RuntimeError, match="a run keeps its session"):
            Changing().run(how=how)


def test_a_workflow_without_a_body_and_a_storage_that_is_none_are_refused() -> None:
    class Empty(Workflow):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines neither run"):
        Empty().run()
    with pytest.raises(TypeError, match="storage must be a SqliteStorage or InMemoryStorage of repertoire, got dict"):
        Counter(storage={})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="session_state must be a dict"):
        Counter(session_state=[1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="nonsense"):
        Counter(nonsense=1)  # type: ignore[call-arg]


def test_every_argument_of_old_is_taken() -> None:
    workflow = Counter(
        name="Tally", workflow_id="w", description="d", session_name="n", extra_data={"a": 1}, memory=object(),
        debug_mode=False, monitoring=True, telemetry=True, app_id="x", user_id="u",
    )  # fmt: skip
    response = workflow.run()
    assert response.workflow_id == "w" and workflow.name == "Tally" and workflow.description == "d"


def test_extra_data_is_kept_with_the_session_and_ones_own_wins(storage: Storage) -> None:
    Counter(session_id="s", storage=storage, extra_data={"a": {"x": 1, "y": 1}}).run()
    later = Counter(session_id="s", storage=storage, extra_data={"a": {"x": 2}})
    later.run()
    assert later.extra_data == {"a": {"x": 2, "y": 1}}
    plain = Counter(session_id="s", storage=storage)
    plain.load_session()
    assert plain.extra_data == {"a": {"x": 2, "y": 1}}


@pytest.mark.parametrize(
    ("name", "registered"),
    [("BlogPostGenerator", "blog_post_generator"), ("FetchJSONPage", "fetch_json_page"), ("X", "x"), ("A2Z", "a2_z")],
)
def test_a_class_is_registered_in_snake_case(name: str, registered: str) -> None:
    assert snake_case(name) == registered


def test_debug_mode_tells_of_runs(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("repertoire.workflow")
    before = logger.level
    try:
        workflow = Counter(debug_mode=True)
        workflow.run()
    finally:
        logger.setLevel(before)
    assert f"run {workflow.run_id} begins" in caplog.text


class Item(BaseModel):
    when: datetime
    tags: set[str] = set()


def test_responses_and_events_go_to_dicts_and_json() -> None:
    response = RunResponse(content=Item(when=datetime(2026, 1, 1), tags={"a"}), event=RunEvent.workflow_completed)
    told = response.to_dict()
    assert told["content"] == {"when": "2026-01-01T00:00:00", "tags": ["a"]} and told["event"] == "WorkflowCompleted"
    assert RunResponse.from_dict(told).content == told["content"]
    assert response.get_content_as_string() == '{"when": "2026-01-01T00:00:00", "tags": ["a"]}'
    assert '"WorkflowStarted"' in WorkflowRunResponseStartedEvent("run").to_json()
    text: str = RunEvent.workflow_completed
    assert response.event == text == "WorkflowCompleted"
