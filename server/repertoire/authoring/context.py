"""The object that `run(ctx)` is given: who the run is, what it was sent, and what it can say and ask."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from . import ambient, durable, steps
from .unavailable import not_yet

if TYPE_CHECKING:
    from random import Random

    from typing_extensions import TypeVar  # 3.11's own has no default, and at run time none is needed

    Payload = TypeVar("Payload", default=dict[str, Any])
else:
    from typing import TypeVar

    Payload = TypeVar("Payload")


class Env(dict[str, str]):
    """Environment variables by name. A missing one says where variables are allowed."""

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"{name}: not set, or not named in the setting worker_env (REPERTOIRE_WORKER_ENV)")


class Context(Generic[Payload]):
    """One run as its body sees it. `Context({"text": "..."})` makes one for a test of your own.

    `id` and `run_id` are the run's id, `workflow_name` the workflow's. `payload` is a dict of what the caller sent, checked; with
    `Context[Model]`, or a class `Payload` in the module, it is an instance of that. `env` holds the variables that the setting
    `worker_env` allows and the caller has. `req` is the HTTP request, None where there is none.
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
        self.payload: Payload = {} if payload is None else payload  # type: ignore[assignment]  # without one it is a dict
        self.run_id = run_id
        self.workflow_name = workflow_name
        self.env = Env(env or {})
        self.req: Any = None

    @property
    def id(self) -> str:
        return self.run_id

    @property
    def session_state(self) -> dict[str, Any]:
        """What the session keeps between runs. Saved when the run completes, discarded when it fails."""
        return ambient.session_state

    @session_state.setter
    def session_state(self, content: Mapping[str, Any]) -> None:
        kept = dict(content)  # it may be the state itself
        ambient.session_state.clear()
        ambient.session_state.update(kept)

    @cached_property
    def random(self) -> Random:
        """A generator seeded with the run's id: a run draws the same numbers however often it is begun. Not for secrets."""
        from random import Random

        return Random(self.run_id)

    now = staticmethod(durable.now)
    """The time, in UTC and with its zone; the same when the run is begun again."""
    sleep = durable.sleep
    ask = durable.ask
    step = steps.step

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Tell watchers how far the run has come. Works with and without `await`."""
        return ambient.progress(done, total, message)

    def commit_state(self) -> Awaitable[None]:
        """Save the state now, whatever becomes of the run."""
        return ambient.commit_state()

    def init(self, agent: object = None, **options: Any) -> NoReturn:
        """A harness for an agent. Raises NotAvailable: agents come with a later version."""
        raise not_yet("ctx.init(agent)", "agents")

    def __repr__(self) -> str:
        return f"Context(run_id={self.run_id!r}, workflow_name={self.workflow_name!r})"
