"""Instance: `Core` holds the data of one Workflow object beside its author's attributes: session, state between runs, live runs.

Between runs an instance shows the state of its last run. If a script changes it, the changes are remembered and applied to the stored
state when the next run begins. So they count, and yet an instance that lives long never writes back old values. Used by `workflow`
and `class_run`.
"""

from __future__ import annotations

import threading
from typing import Any

from ..names import new_session_id
from .class_run import ClassRun, current
from .memory_storage import UnstoredSessions
from .run_doors import Opened, State, Unread, check_session_id, read_state
from .session_locks import LockKey
from .stored_sessions import ModelsAs, Storage, copy_state, overlay


class Core:
    """The data of one instance, in its attribute `_repertoire`. Thread-safe."""

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self.lock = threading.RLock()
        self.session_id: str | None = None
        self.initial: dict[str, Any] = {}
        self._paths: frozenset[str] = frozenset()
        self.overwrite = False
        self.models_as: ModelsAs = "model"
        self._rest: State = {}
        self.last: ClassRun | None = None
        self._before: dict[str, Any] | None = None  # a copy of `rest`, made when a script first accessed it
        self._overwritten: set[str] = set()
        self._live: dict[int, ClassRun] = {}
        self._unstored: UnstoredSessions | None = None

    def begin_with(self, state: dict[str, Any] | None, session_id: object, *, overwrite: bool) -> None:
        """Take the constructor's arguments. The dict is copied, so the caller's own is never changed."""
        if state is not None and not isinstance(state, dict):
            raise TypeError(f"session_state must be a dict, got {type(state).__name__}")
        self.session_id = None if session_id is None else check_session_id(session_id)
        self._set_initial(copy_state(state or {}))
        self.overwrite = overwrite
        self.rest = copy_state(self.initial)

    def _set_initial(self, state: dict[str, Any]) -> None:
        self.initial, self._paths = state, frozenset(_paths(state))

    @property
    def rest(self) -> dict[str, Any]:
        """The state that the instance shows between runs."""
        self._rest = rest = read_state(self._rest)
        return rest

    @rest.setter
    def rest(self, state: State) -> None:
        self._rest = state

    # The current run.

    def executing_run(self) -> ClassRun | None:
        """The run of this instance whose body is executing here."""
        run = current.get()
        while run is not None and not (run.workflow is self._workflow and run.live):
            run = run.parent
        return run

    def visible_run(self) -> ClassRun | None:
        """The run of this instance that executes here, else its only live run.

        The latter serves threads of the body, and consumers between two items of a stream.
        """
        run = self.executing_run()
        if run is None and len(self._live) == 1:
            with self.lock:
                run = next(iter(self._live.values()), None)
        return run

    def storage_in_use(self) -> Storage:
        storage = self._workflow.storage
        if storage is None:
            with self.lock:
                if self._unstored is None:
                    self._unstored = UnstoredSessions()
                return self._unstored
        if not isinstance(storage, Storage):
            raise TypeError(
                f"storage must be a SqliteStorage or InMemoryStorage of repertoire, got {type(storage).__name__} "
                f"of {type(storage).__module__}"
            )
        return storage

    # The life of a run.

    def session(self) -> str:
        with self.lock:
            if self.session_id is None:
                self.session_id = new_session_id()
            return self.session_id

    def key(self, session_id: str | None = None) -> LockKey:
        workflow = self._workflow
        return LockKey(workflow.workflow_id, workflow.user_id or "", session_id or self.session())

    def prepare_state(self, opened: Opened) -> tuple[State, frozenset[str]]:
        """The state that a run begins with, and the paths of all defaults that the session has been given.

        It is the stored state, with defaults for keys that the session never had, and with the changes made between runs.
        """
        if opened.shared:
            return opened.state, opened.defaults
        with self.lock:
            overwrite = self.overwrite and opened.session_id not in self._overwritten
            changed = opened.session_id == self.session_id and self._before is not None
            if isinstance(opened.state, Unread) and not overwrite and not changed and self._paths <= opened.defaults:
                return opened.state, opened.defaults
            state = read_state(opened.state)
            if overwrite:
                self._overwritten.add(opened.session_id)
                overlay(state, copy_state(self.initial))
            else:
                _fill(state, self.initial, opened.defaults)
            if opened.session_id == self.session_id and self._before is not None:
                _put_changes(state, self._before, self.rest)
                self._before = None
        return state, opened.defaults if self._paths <= opened.defaults else opened.defaults | self._paths

    def on_begin(self, run: ClassRun) -> None:
        with self.lock:
            self._live[id(run)] = run

    def on_end(self, run: ClassRun) -> None:
        with self.lock:
            self._live.pop(id(run), None)
            self.last = run
            if run.response.status == "completed":
                self.on_stored(run, run.final_state)

    def on_stored(self, run: ClassRun, state: State) -> None:
        """Show the state that the run has stored, if this is the instance's session."""
        with self.lock:
            if run.session_id == self.session_id or run.hosted is not None:
                self.rest, self._before = state, None

    # Between runs.

    def access_state(self) -> dict[str, Any]:
        with self.lock:
            if self._before is None:
                self._before = copy_state(self.rest)
            return self.rest

    def replace_state(self, state: dict[str, Any]) -> None:
        with self.lock:
            if self._before is None:
                self._before = self.rest
            self.rest = state

    def show_session(self, opened: Opened) -> None:
        """Show a session that was loaded without a run. Changes made before stay changes."""
        with self.lock:
            before, rest = self._before, self.rest
            self._before = None
            state = read_state(self.prepare_state(opened)[0])
            self._before, self.rest = copy_state(state), state
            if before is not None:
                _put_changes(state, before, rest)

    def forget(self) -> None:
        """Go back to the constructor's state, because the session was deleted or is another one now."""
        with self.lock:
            self.rest, self._before = copy_state(self.initial), None
            self._overwritten.clear()

    def drop_changes(self) -> None:
        with self.lock:
            self._before = None

    def twin(self, workflow: Any) -> Core:
        """The core for a copy of the workflow: the same session and state, no runs."""
        with self.lock:
            twin = Core(workflow)
            twin.session_id, twin.overwrite, twin.models_as = self.session_id, self.overwrite, self.models_as
            stored = self._workflow.storage is not None
            twin._set_initial(copy_state(self.initial if stored else self.rest))
            twin.rest = copy_state(self.rest)
            return twin


def _put_changes(state: dict[Any, Any], before: dict[Any, Any], after: dict[Any, Any]) -> None:
    for key in {**before, **after}:
        if key not in after:
            state.pop(key, None)
        elif key not in before or not _equal(before[key], after[key]):
            state.update(copy_state({key: after[key]}))


def _fill(state: dict[Any, Any], defaults: dict[Any, Any], given_before: frozenset[str], above: str = "") -> None:
    for key, value in defaults.items():
        path = f"{above}/{key!r}"
        if key not in state:
            if path not in given_before:
                state.update(copy_state({key: value}))
        elif type(state[key]) is dict and type(value) is dict:
            _fill(state[key], value, given_before, path)


def _paths(defaults: dict[Any, Any], above: str = "") -> list[str]:
    found = []
    for key, value in defaults.items():
        path = f"{above}/{key!r}"
        found.append(path)
        if type(value) is dict:
            found += _paths(value, path)
    return found


def _equal(value: Any, other: Any) -> bool:
    try:
        return bool(value == other)
    except Exception:  # arrays and the like; when in doubt, it was changed
        return False
