"""`Workflow`: subclass it, write `run` or `arun` or both, call them. Works in any script; nothing else has to run.

    class Greeting(Workflow):
        def run(self, name: str) -> RunResponse:
            count = self.session_state["count"] = self.session_state.get("count", 0) + 1
            return RunResponse(content=f"Hello {name}, for the {count}. time")

    Greeting(session_id="ada", storage=SqliteStorage("greetings", db_file="greetings.db")).run(name="Ada").content

`self.run_id`, `self.session_state`, `self.run_response` and the session id of agents that are attributes belong to the run that asks:
one instance may run several times at once, in threads and in tasks.
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
from .run_doors import Opened, check_session_id, looked_at
from .run_methods import entry
from .script_doors import LocalDoors
from .stored_sessions import Beginning, ModelsAs, RunRecord, SessionRecord, Storage, merged_over

_NEVER_AGENTS: Final = NEVER_AGENTS | {Core, RunResponse}

_PER_RUN: Final = ("session_state", "session_id", "run_id", "run_response", "run_input")


class Workflow:
    """A named piece of Python with sessions, state and runs.

    Args:
        name: Shown to people; the class's name by default.
        workflow_id: Under which sessions are stored; the class's name in snake_case by default, the same in every process.
        description: What it does; the class attribute `description` by default.
        session_id: Which session's state the runs use; one of its own, made at the first run, by default. No parts of a path.
        session_name: A name for the session, kept with it.
        session_state: Values that the session starts with. What is stored wins over them at every depth.
        overwrite_session_state: True: these values win once, when this instance first uses the session.
        storage: A SqliteStorage or InMemoryStorage; without one, the state lives as long as the instance.
        user_id: Whose sessions: two users never share one.
        extra_data: Kept with the session; merged with what is stored, these values win.
        models_as: "dict" gives pydantic models and dataclasses in a stored state back as dicts.
        debug_mode: Log the beginning and end of runs.
        memory, app_id, monitoring, telemetry: Accepted, and left alone: nothing here reports anything to anybody.
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
        for name in _PER_RUN:  # as a class attribute it would hide the property
            if name in vars(cls) and not hasattr(vars(cls)[name], "__get__"):
                defaults[name] = vars(cls)[name]
                delattr(cls, name)
        cls._class_defaults = {**getattr(cls, "_class_defaults", {}), **defaults}

    _class_defaults: dict[str, Any]

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Here and not in __init__, so that a subclass that forgets to call it works too."""
        made = super().__new__(cls)
        made._repertoire = Core(made)
        made.name = cls.name or cls.__name__
        made.workflow_id = getattr(cls, "workflow_id", None) or snake_case(cls.__name__)
        defaults = getattr(cls, "_class_defaults", {})
        made._repertoire.begin_with(defaults.get("session_state"), defaults.get("session_id"), overwrite=False)
        return made

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
            "name": name, "workflow_id": workflow_id, "description": description, "session_name": session_name,
            "storage": storage, "user_id": user_id, "extra_data": extra_data, "memory": memory, "app_id": app_id,
        }  # fmt: skip
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
        core.storage_in_use()  # refuses what is no storage
        self.debug_mode = debug_mode or type(self).debug_mode
        if self.debug_mode or os.environ.get("REPERTOIRE_DEBUG", "").lower() in ("1", "true"):
            logging.debug_on()
        if core.session_id is not None:
            for agent in agents_of(self):
                give_session(agent, core.session_id)

    # What the author writes. Called on an instance, they are one run each: see __getattribute__.

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
        run = super().__getattribute__("_repertoire").run_here()
        if run is None or isinstance(value, Workflow) or not is_agent(value):
            return value
        return run.view(value)

    # Of the run that asks; between runs, of the last one.

    @property
    def run_id(self) -> str | None:
        run = self._repertoire.run_seen() or self._repertoire.last
        return None if run is None else run.run_id

    @property
    def run_input(self) -> dict[str, Any] | None:
        """The arguments."""
        run = self._repertoire.run_seen() or self._repertoire.last
        return None if run is None else run.input

    @property
    def run_response(self) -> RunResponse:
        """What the run has given until now."""
        run = self._repertoire.run_seen() or self._repertoire.last
        return RunResponse() if run is None else run.so_far()

    @property
    def session_state(self) -> dict[str, Any]:
        """In a run, the run's. Between runs, the session's as this instance last saw it; changes count for the next run."""
        run = self._repertoire.run_seen()
        return self._repertoire.look() if run is None else run.state

    @session_state.setter
    def session_state(self, state: dict[str, Any] | None) -> None:
        if state is not None and not isinstance(state, dict):
            raise TypeError(f"session_state must be a dict, got {type(state).__name__}")
        run = self._repertoire.run_seen()
        if run is None:
            self._repertoire.replace({} if state is None else state)
            return
        run.state = {} if state is None else state
        if isinstance(run.doors, LocalDoors) and run.doors.place is not None:
            run.doors.place.state = run.state
        elif (replaced := getattr(run.hosted, "replaced", None)) is not None:
            replaced(run.state)

    @property
    def session_id(self) -> str | None:
        run = self._repertoire.run_here()
        return self._repertoire.session_id if run is None else run.session_id

    @session_id.setter
    def session_id(self, session_id: str | None) -> None:
        self._outside_a_run("session_id")
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
        """In a run: store the state now, whatever becomes of the run."""
        run = self._repertoire.run_seen()
        if run is None:
            raise RuntimeError(
                "commit_state() is for the body of a run; outside one, write_to_storage() stores the state"
            )
        run.commit()

    # Sessions.

    def load_session(self, force: bool = False) -> str:
        """Load the session, or make it; its id. `force`: changes made here since the last run are dropped."""
        self._outside_a_run("load_session()")
        core = self._repertoire
        if force:
            core.drop_changes()
        core.show(self._opened())
        return core.session()

    def new_session(self) -> str:
        """From now on another session, with the state that the constructor was given; its id. The old one stays stored."""
        self._outside_a_run("new_session()")
        self.session_name = None
        self.session_id = new_session_id()
        return self.load_session()

    def read_from_storage(self) -> SessionRecord | None:
        """The stored session, which is loaded too; None when there is none yet."""
        key = self._repertoire.key()
        storage = self._repertoire.storage_in_use()
        found = storage.sessions(key.workflow_id, key.user_id, key.session_id)
        if found and self._repertoire.run_here() is None:
            self._repertoire.show(self._opened())
        if not found:
            return None
        self.session_name = self.session_name or found[0].session_name
        return found[0]

    def write_to_storage(self) -> SessionRecord | None:
        """Store the state as it is now; the session. Raises StateError, SessionBusy."""
        core = self._repertoire
        run = core.run_here()
        if run is not None:
            run.commit()
        else:
            self._store_state()
        key = core.key()
        return next(iter(core.storage_in_use().sessions(key.workflow_id, key.user_id, key.session_id)), None)

    def rename(self, name: str) -> None:
        """Give the workflow another name; its sessions stay, as they are stored under its id."""
        self.name = name
        self._repertoire.storage_in_use().open_session(self._repertoire.key(), self._beginning())

    def rename_session(self, session_name: str) -> None:
        """Name the session; it need not have run."""
        self.session_name = session_name
        self._repertoire.storage_in_use().name_session(self._repertoire.key(), session_name)

    def delete_session(self, session_id: str) -> None:
        """Delete a session of this workflow and user with its state and runs. Waits for a run that has it."""
        core = self._repertoire
        session_id = check_session_id(session_id)
        key = core.key(session_id)
        self._with_place(session_id, lambda: core.storage_in_use().remove([key]))
        if session_id == core.session_id:
            core.forget()

    def list_sessions(self) -> list[SessionRecord]:
        """Of this workflow and user, the latest used first."""
        return self._repertoire.storage_in_use().sessions(self.workflow_id, self.user_id or "")

    def list_runs(self, limit: int = 50, before: str | None = None) -> list[RunRecord]:
        """Of this session, the newest first; `before` is the last run id of the page before."""
        return self._repertoire.storage_in_use().runs(self._repertoire.key(), limit, before)

    def deep_copy(self, *, update: dict[str, Any] | None = None) -> Self:
        """A copy for another caller: its own state and runs, the same agents and storage. `update` sets attributes of it."""
        made = type(self).__new__(type(self))
        for name, value in vars(self).items():
            if name != "_repertoire":
                made.__dict__[name] = copy.deepcopy(value) if type(value) in (dict, list, set) else value
        made._repertoire = self._repertoire.twin(made)
        wishes = dict(update or {})
        if "session_id" in wishes:
            made.session_id = wishes.pop("session_id")
        if "session_state" in wishes:
            made._repertoire.begin_with(
                wishes.pop("session_state"), made.session_id, overwrite=made._repertoire.overwrite
            )
        for name, value in wishes.items():
            setattr(made, name, value)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.deep_copy()

    def __copy__(self) -> Self:
        return self.deep_copy()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.workflow_id!r} session={self.session_id!r}>"

    # Within.

    def _outside_a_run(self, what: str) -> None:
        if self._repertoire.run_here() is not None:
            raise RuntimeError(f"{what}: a run keeps its session; change it between runs")

    def _beginning(self) -> Beginning:
        return Beginning("", self.name, {}, self.session_name, self.extra_data)

    def _opened(self) -> Opened:
        core = self._repertoire
        storage, key = core.storage_in_use(), core.key()
        stored = storage.open_session(key, self._beginning())
        self.extra_data = merged_over(stored.extra_data, self.extra_data)
        return Opened(
            "", key.session_id, key.workflow_id, storage.unpack(stored.packed, core.models_as), stored.defaults
        )

    def _store_state(self) -> None:
        core = self._repertoire
        storage, key = core.storage_in_use(), core.key()

        def store() -> None:
            stored = storage.open_session(key, self._beginning())
            opened = Opened("", key.session_id, key.workflow_id, storage.unpack(stored.packed), stored.defaults)
            prepared, defaults = core.prepared(opened)
            state = looked_at(prepared)
            storage.commit(key, storage.pack(state), stored.version, defaults)
            core.rest = state

        self._with_place(key.session_id, store)

    def _with_place(self, session_id: str, act: Any) -> None:
        """While no run has the session."""
        storage = self._repertoire.storage_in_use()
        body.with_place(storage, self._repertoire.key(session_id), act)
