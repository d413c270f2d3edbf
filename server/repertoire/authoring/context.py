"""Context: the object that `run(ctx)` gets. It holds the run's ids and payload, and the API of `ambient`, `durable` and `steps` as methods.

Used by workflow files; the worker makes one for each run. `Env` holds the environment variables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from . import ambient, durable, steps

if TYPE_CHECKING:
    from random import Random

    from typing_extensions import TypeVar  # 3.11's own has no `default`; at run time we need none

    Payload = TypeVar("Payload", default=dict[str, Any])
else:
    from typing import TypeVar

    Payload = TypeVar("Payload")


class Env(dict[str, str]):
    """Environment variables by name. The KeyError for a missing one names the setting that allows variables."""

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"{name}: not set, or not named in the setting worker_env (REPERTOIRE_WORKER_ENV)")


class Context(Generic[Payload]):
    """One run as its body sees it. For your own tests, make one with `Context({"text": "..."})`.

    `id` and `run_id` are the run's id, `workflow_name` is the workflow's name. `payload` is a dict of the caller's arguments, checked.
    With `Context[Model]`, or a class `Payload` in the module, `payload` is an instance of that class. `env` holds the caller's
    variables that the setting `worker_env` allows. `req` is the HTTP request, or None.
    """

    log = ambient.log
    """`log.info("text", field=1)`; also debug, warn, warning, error. Recorded with and without `await`."""

    def __init__(
        self,
        payload: Payload | None = None,
        *,
        run_id: str = "",
        workflow_name: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.payload: Payload = {} if payload is None else payload  # type: ignore[assignment]  # a dict if no payload is given
        self.run_id = run_id
        self.workflow_name = workflow_name
        self.env = Env(env or {})
        self.req: Any = None
        self.agent_id = run_id
        """In a file with `default(context)`, the id of the session."""
        self._continues = False
        """The sessions of its agents go on in later runs of the session."""

    @property
    def id(self) -> str:
        return self.run_id

    @property
    def session_state(self) -> dict[str, Any]:
        """The session's state, kept between runs. Saved when the run completes, discarded when it fails."""
        return ambient.session_state

    @session_state.setter
    def session_state(self, content: Mapping[str, Any]) -> None:
        kept = dict(content)  # a copy, because `content` may be the state itself
        ambient.session_state.clear()
        ambient.session_state.update(kept)

    @cached_property
    def random(self) -> Random:
        """A random generator seeded with the run's id, so that a replay draws the same numbers. Not for secrets."""
        from random import Random

        return Random(self.run_id)

    now = durable.now
    """The time, in UTC and with its zone; the same on replay."""
    sleep = durable.sleep
    ask = durable.ask
    step = steps.step

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Tell watchers the run's progress. Works with and without `await`."""
        return ambient.progress(done, total, message)

    def commit_state(self) -> Awaitable[None]:
        """Save the state now. It stays saved if the run fails later."""
        return ambient.commit_state()

    def init(self, agent: object = None, **options: Any) -> Any:
        """Start an agent that `create_agent` has defined, and return its harness: files, a shell and sessions."""
        from importlib import import_module  # the one call upwards: a body without agents loads nothing of them

        return import_module("repertoire.agents.harness").start(self, agent, options)

    def __repr__(self) -> str:
        return f"Context(run_id={self.run_id!r}, workflow_name={self.workflow_name!r})"
