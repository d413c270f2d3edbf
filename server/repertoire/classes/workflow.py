"""Workflow: the base class of the class style. Subclass it, write `run` or `arun` or both, and call them. It needs no server.

    class Greeting(Workflow):
        def run(self, name: str) -> RunResponse:
            count = self.session_state["count"] = self.session_state.get("count", 0) + 1
            return RunResponse(content=f"Hello {name}, for the {count}. time")

    Greeting(session_id="ada", storage=SqliteStorage("greetings", db_file="greetings.db")).run(name="Ada").content

One instance may run several times at once, in threads and in tasks. So `self.run_id`, `self.session_state`, `self.run_response` and
the session id of its agents belong to the run whose body reads them. Used by workflow files and the worker.
"""

from __future__ import annotations

import copy
import os
from typing import Any, Final, Self

from ..names import new_session_id, snake_case
from . import body, logging
from .agent_views import NEVER_AGENTS, give_session, is_agent
from .class_run import agents_of
from .instance import Core
from .response import RunResponse
from .run_doors import Opened, check_session_id, read_state
from .run_methods import entry
from .script_doors import LocalDoors
from .stored_sessions import Beginning, ModelsAs, RunRecord, SessionRecord, Storage, merge_data

_NEVER_AGENTS: Final = NEVER_AGENTS | {Core, RunResponse}

_PER_RUN: Final = ("session_state", "session_id", "run_id", "run_response", "run_input")


class Workflow:
    """A named piece of Python with sessions, state and runs.

    Args:
        name: The name for people; by default the class's name.
        workflow_id: The id under which sessions are stored; by default the class's name in snake_case, the same in every process.
        description: A description; by default the class attribute `description`.
        session_id: The session whose state the runs use. By default a new one, made at the first run. No path parts.
        session_name: A name for the session, stored with it.
        session_state: The first values of the session. Stored values win over them at every depth.
        overwrite_session_state: True: these values win once, when this instance first uses the session.
        storage: A SqliteStorage or InMemoryStorage. Without one, the state lives as long as the instance.
        user_id: The owner of the sessions. Two users never share a session.
        extra_data: Data stored with the session. It is merged over the stored data.
        models_as: "dict" gives pydantic models and dataclasses in a stored state back as dicts.
        debug_mode: Log the beginning and end of runs.
        memory, app_id, monitoring, telemetry: Accepted and ignored. Nothing here sends telemetry.
    """

    name: str = ""
    workflow_id: str
    description: str | None = None
    storage: Storage | None = None
    user_id: str | None = None
    session_name: str | None = None
    extra_data: dict[str, Any] | None = None
    memory: Any = None
    app_id: str | None = None
    debug_mode: bool = False
    _repertoire: Core

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        defaults = {}
        for name in _PER_RUN:  # a class attribute of this name would hide the property
            if name in vars(cls) and not hasattr(vars(cls)[name], "__get__"):
                defaults[name] = vars(cls)[name]
                delattr(cls, name)
        cls._class_defaults = {**getattr(cls, "_class_defaults", {}), **defaults}

    _class_defaults: dict[str, Any]

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Set up the instance here and not in __init__, so that a subclass that forgets to call that works too."""
        workflow = super().__new__(cls)
        workflow._repertoire = Core(workflow)
        workflow.name = cls.name or cls.__name__
        workflow.workflow_id = getattr(cls, "workflow_id", None) or snake_case(cls.__name__)
        defaults = getattr(cls, "_class_defaults", {})
        workflow._repertoire.begin_with(defaults.get("session_state"), defaults.get("session_id"), overwrite=False)
        return workflow

    def __init__(
        self,
        *,
        name: str | None = None,
        workflow_id: str | None = None,
        description: str | None = None,
        session_id: str | None = None,
        session_name: str | None = None,
        session_state: dict[str, Any] | None = None,
        overwrite_session_state: bool = False,
        storage: Storage | None = None,
        user_id: str | None = None,
        extra_data: dict[str, Any] | None = None,
        models_as: ModelsAs = "model",
        debug_mode: bool = False,
        memory: Any = None,
        app_id: str | None = None,
        monitoring: bool | None = None,
        telemetry: bool | None = None,
    ) -> None:
        given = {
            "name": name,
            "workflow_id": workflow_id,
            "description": description,
            "session_name": session_name,
            "storage": storage,
            "user_id": user_id,
            "extra_data": extra_data,
            "memory": memory,
            "app_id": app_id,
        }
        for key, value in given.items():
            if value is not None:
                setattr(self, key, value)
        core, defaults = self._repertoire, type(self)._class_defaults if type(self) is not Workflow else {}
        core.models_as = models_as
        core.begin_with(
            defaults.get("session_state") if session_state is None else session_state,
            defaults.get("session_id") if session_id is None else session_id,
            overwrite=overwrite_session_state,
        )
        core.storage_in_use()  # raises TypeError for an object that is no storage
        self.debug_mode = debug_mode or type(self).debug_mode
        if self.debug_mode or os.environ.get("REPERTOIRE_DEBUG", "").lower() in ("1", "true"):
            logging.debug_on()
        if core.session_id is not None:
            for agent in agents_of(self):
                give_session(agent, core.session_id)

    # The author's methods. Each call of one on an instance is one run: see __getattribute__.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines neither run() nor arun()")

    def arun(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines neither run() nor arun()")

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in ("run", "arun"):
            return entry(self, name, value, Workflow) if name not in super().__getattribute__("__dict__") else value
        if type(value) in _NEVER_AGENTS or name.startswith("__"):
            return value
        run = super().__getattribute__("_repertoire").executing_run()
        if run is None or isinstance(value, Workflow) or not is_agent(value):
            return value
        return run.view(value)

    # Properties of the run whose body reads them; between runs, of the last run.

    @property
    def run_id(self) -> str | None:
        run = self._repertoire.visible_run() or self._repertoire.last
        return None if run is None else run.run_id

    @property
    def run_input(self) -> dict[str, Any] | None:
        """The run's arguments."""
        run = self._repertoire.visible_run() or self._repertoire.last
        return None if run is None else run.input

    @property
    def run_response(self) -> RunResponse:
        """The run's response so far."""
        run = self._repertoire.visible_run() or self._repertoire.last
        return RunResponse() if run is None else run.response_so_far()

    @property
    def session_state(self) -> dict[str, Any]:
        """In a run, its state. Between runs, the session's state as this instance last saw it; changes count for the next run."""
        run = self._repertoire.visible_run()
        return self._repertoire.access_state() if run is None else run.state

    @session_state.setter
    def session_state(self, state: dict[str, Any] | None) -> None:
        if state is not None and not isinstance(state, dict):
            raise TypeError(f"session_state must be a dict, got {type(state).__name__}")
        run = self._repertoire.visible_run()
        if run is None:
            self._repertoire.replace_state({} if state is None else state)
            return
        run.state = {} if state is None else state
        if isinstance(run.doors, LocalDoors) and run.doors.lock is not None:
            run.doors.lock.state = run.state
        elif (replace_state := getattr(run.hosted, "replace_state", None)) is not None:
            replace_state(run.state)

    @property
    def session_id(self) -> str | None:
        run = self._repertoire.executing_run()
        return self._repertoire.session_id if run is None else run.session_id

    @session_id.setter
    def session_id(self, session_id: str | None) -> None:
        self._require_no_run("session_id")
        core = self._repertoire
        checked = None if session_id is None else check_session_id(session_id)
        if checked == core.session_id:
            return
        core.session_id = checked
        core.forget()
        if checked is not None:
            for agent in agents_of(self):
                give_session(agent, checked)

    def commit_state(self) -> None:
        """In a run: store the state now. It stays stored if the run fails later."""
        run = self._repertoire.visible_run()
        if run is None:
            raise RuntimeError(
                "commit_state() is for the body of a run; outside one, write_to_storage() stores the state"
            )
        run.commit()

    # Sessions.

    def load_session(self, force: bool = False) -> str:
        """Load or create the session, and give its id. `force`: drop changes made here since the last run."""
        self._require_no_run("load_session()")
        core = self._repertoire
        if force:
            core.drop_changes()
        core.show_session(self._open_session())
        return core.session()

    def new_session(self) -> str:
        """Switch to a new session with the constructor's state, and give its id. The old session stays stored."""
        self._require_no_run("new_session()")
        self.session_name = None
        self.session_id = new_session_id()
        return self.load_session()

    def read_from_storage(self) -> SessionRecord | None:
        """Load the stored session and give its record; None if there is none yet."""
        key = self._repertoire.key()
        storage = self._repertoire.storage_in_use()
        found = storage.sessions(key.workflow_id, key.user_id, key.session_id)
        if found and self._repertoire.executing_run() is None:
            self._repertoire.show_session(self._open_session())
        if not found:
            return None
        self.session_name = self.session_name or found[0].session_name
        return found[0]

    def write_to_storage(self) -> SessionRecord | None:
        """Store the current state, and give the session's record. Raises StateError, SessionBusy."""
        core = self._repertoire
        run = core.executing_run()
        if run is not None:
            run.commit()
        else:
            self._store_state()
        key = core.key()
        return next(iter(core.storage_in_use().sessions(key.workflow_id, key.user_id, key.session_id)), None)

    def rename(self, name: str) -> None:
        """Give the workflow another name. Its sessions stay, because they are stored under its id."""
        self.name = name
        self._repertoire.storage_in_use().open_session(self._repertoire.key(), self._make_beginning())

    def rename_session(self, session_name: str) -> None:
        """Name the session. It may be a session without a run yet."""
        self.session_name = session_name
        self._repertoire.storage_in_use().name_session(self._repertoire.key(), session_name)

    def delete_session(self, session_id: str) -> None:
        """Delete a session of this workflow and user, with its state and runs. Waits while a run holds it."""
        core = self._repertoire
        session_id = check_session_id(session_id)
        key = core.key(session_id)
        self._with_lock(session_id, lambda: core.storage_in_use().remove([key]))
        if session_id == core.session_id:
            core.forget()

    def list_sessions(self) -> list[SessionRecord]:
        """The sessions of this workflow and user, the last used first."""
        return self._repertoire.storage_in_use().sessions(self.workflow_id, self.user_id or "")

    def list_runs(self, limit: int = 50, before: str | None = None) -> list[RunRecord]:
        """The runs of this session, the newest first. `before` is the last run id of the page before."""
        return self._repertoire.storage_in_use().runs(self._repertoire.key(), limit, before)

    def deep_copy(self, *, update: dict[str, Any] | None = None) -> Self:
        """A copy for another caller: its own state and runs, the same agents and storage. `update` sets its attributes."""
        twin = type(self).__new__(type(self))
        for name, value in vars(self).items():
            if name != "_repertoire":
                twin.__dict__[name] = copy.deepcopy(value) if type(value) in (dict, list, set) else value
        twin._repertoire = self._repertoire.twin(twin)
        changes = dict(update or {})
        if "session_id" in changes:
            twin.session_id = changes.pop("session_id")
        if "session_state" in changes:
            state = changes.pop("session_state")
            twin._repertoire.begin_with(state, twin.session_id, overwrite=twin._repertoire.overwrite)
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.deep_copy()

    def __copy__(self) -> Self:
        return self.deep_copy()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.workflow_id!r} session={self.session_id!r}>"

    # Internal.

    def _require_no_run(self, what: str) -> None:
        if self._repertoire.executing_run() is not None:
            raise RuntimeError(f"{what}: a run keeps its session; change it between runs")

    def _make_beginning(self) -> Beginning:
        return Beginning("", self.name, {}, self.session_name, self.extra_data)

    def _open_session(self) -> Opened:
        core = self._repertoire
        storage, key = core.storage_in_use(), core.key()
        stored = storage.open_session(key, self._make_beginning())
        self.extra_data = merge_data(stored.extra_data, self.extra_data)
        return Opened(
            "", key.session_id, key.workflow_id, storage.unpack(stored.packed, core.models_as), stored.defaults
        )

    def _store_state(self) -> None:
        core = self._repertoire
        storage, key = core.storage_in_use(), core.key()

        def store() -> None:
            stored = storage.open_session(key, self._make_beginning())
            opened = Opened("", key.session_id, key.workflow_id, storage.unpack(stored.packed), stored.defaults)
            state, defaults = core.prepare_state(opened)
            state = read_state(state)
            storage.commit(key, storage.pack(state), stored.version, defaults)
            core.rest = state

        self._with_lock(key.session_id, store)

    def _with_lock(self, session_id: str, act: Any) -> None:
        """Call `act` while no other run has the session."""
        storage = self._repertoire.storage_in_use()
        body.with_lock(storage, self._repertoire.key(session_id), act)
