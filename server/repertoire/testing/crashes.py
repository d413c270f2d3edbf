"""Crashes: runs a workflow by the real engine in a temporary home, kills its worker after a chosen call, and compares; used by `Stage`.

The worker is killed when the call is recorded and before the body has its answer. The next worker begins the body again, and the recorded
calls are answered from the journal, as after any crash. Questions, other workflows and sleeps are answered by the test.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..values import codec
from .answers import Answers, NoAnswer

if TYPE_CHECKING:
    from ..app import App
    from ..engine.doors import DoorCall, DoorResult
    from ..engine.live_run import Live
    from ..store.journal import NewRecord

_PATIENCE_S: Final = 120.0
"""For one run. It ends sooner by its own `timeout_s`."""


class Survival(NamedTuple):
    """How a workflow ended after its crashes."""

    result: Any
    state: dict[str, Any]
    calls: list[str]
    """Its calls as `step load`, `ask Refund?`, in the order of their records."""
    crashes: int


@dataclass
class _Ended:
    """The end of one run."""

    result: Any
    error: str | None
    state: dict[str, Any]
    calls: list[str]
    resumed: int

    @property
    def outcome(self) -> tuple[Any, str | None, dict[str, Any], list[str]]:
        return self.result, self.error, self.state, self.calls


def survive(
    path: Path, name: str | None, arguments: dict[str, Any], state: dict[str, Any], answers: Answers, at: int | None
) -> Survival:
    """`_survive` with a loop of its own. Raises its error as itself, without the groups around it."""
    import anyio

    from ..errors import cause_of

    try:
        return anyio.run(_survive, path, name, arguments, state, answers, at)
    except BaseExceptionGroup as group:
        raise cause_of(group) from None


async def _survive(
    path: Path, name: str | None, arguments: dict[str, Any], state: dict[str, Any], answers: Answers, at: int | None
) -> Survival:
    """Crash the workflow after call `at`, or after each call. Raises AssertionError where it does not end as without a crash."""
    async with _opened(path) as house:
        first = await house.run(name, arguments, state, answers, None)
        again = await house.run(name, arguments, state, answers, None)
        comparable = first.outcome == again.outcome
        if first.error is not None:
            raise AssertionError(f"without any crash the workflow failed: {first.error}")
        if not first.calls:
            raise AssertionError("the workflow makes no call that is recorded: nothing of it survives a crash")
        places = range(1, len(first.calls) + 1) if at is None else (at,)
        ended = first
        for place in places:
            ended = await house.run(name, arguments, state, answers, place)
            _compare(first, ended, place, comparable=comparable)
    return Survival(ended.result, ended.state, ended.calls, len(places))


def _compare(first: _Ended, ended: _Ended, place: int, *, comparable: bool) -> None:
    if ended.resumed == 0:
        raise AssertionError(f"there is no call {place}: the workflow made {len(ended.calls)} calls")
    where = f"killed after call {place} ({ended.calls[place - 1] if place <= len(ended.calls) else '?'})"
    if ended.error is not None:
        raise AssertionError(f"{where}, the resumed run failed: {ended.error}")
    if not comparable:
        return
    for what, before, after in (
        ("result", first.result, ended.result),
        ("state", first.state, ended.state),
        ("calls", first.calls, ended.calls),
    ):
        if before != after:
            raise AssertionError(f"{where}, the resumed run has another {what}: {after!r}. Without a crash: {before!r}")


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[_House]:
    from ..app import open_app
    from ..daemon.home_lock import Owner
    from ..settings import load
    from ..version import VERSION

    with tempfile.TemporaryDirectory(prefix="repertoire-test-") as folder:
        home = str(Path(folder, "home"))
        settings = load(home=home, environ={"REPERTOIRE_READY_WORKFLOWS": "false"}, roots=(str(path.parent),))
        with Owner(settings.home, kind="command", version=VERSION):
            async with open_app(settings, watch=False) as app:
                yield _House(app, path)


class _House:
    """A home with the file's folder in it. One run at a time."""

    def __init__(self, app: App, path: Path) -> None:
        from ..model.session import Caller

        self._app = app
        self._path = path
        self._caller = Caller(roots=(str(path.parent),), cwd=os.getcwd())
        self._answers = Answers()
        self._real = dict(app.runner.doors)
        self._live: Live | None = None
        self._place: int | None = None
        self._records = 0
        self._no_answer: list[NoAnswer] = []
        self._store_record = app.store.record_call
        app.store.record_call = self._record  # type: ignore[method-assign,assignment]  # a crash comes through the store
        app.runner.doors.update(dict.fromkeys(self._real, self._answer))

    async def run(
        self, name: str | None, arguments: dict[str, Any], state: dict[str, Any], answers: Answers, place: int | None
    ) -> _Ended:
        """One run to its end. `place`: the number of the call after which its worker is killed."""
        import anyio

        from ..names import new_session_id
        from ..store.sessions import save_state, touch_session

        app, session = self._app, new_session_id()
        workflow = await self._find(name)
        text = codec.encode(state)

        def give_state(db: Any) -> None:
            touch_session(db, session, self._caller.principal, time.time())
            save_state(db, session, workflow, text, time.time())

        await app.store.write(give_state)
        self._answers, self._place, self._records = answers.copy(), place, 0
        self._live = live = await app.service.runs.start(self._caller, workflow, arguments, session)
        with anyio.fail_after(_PATIENCE_S):
            run = await app.service.runs.wait_for_end(live)
        if self._no_answer:
            raise self._no_answer[0]
        error = None if run.error is None else f"{run.error.type}: {run.error.message} {run.error.hint or ''}".strip()
        stored = await app.store.state(session, workflow)
        calls = [f"{call['op']} {call['label']}".strip() for call in await app.store.calls(run.id)]
        result = None if run.result is None else json.loads(run.result)
        return _Ended(result, error, codec.decode(stored or "{}"), calls, run.resumed)

    async def _find(self, name: str | None) -> str:
        """The name of the file's workflow. Raises AssertionError with the reason why the file is none."""
        await self._app.service.library.wait_until_settled(self._caller, _PATIENCE_S)
        view = self._app.service.library.view(self._caller)
        found = [one.name for one in view.names.values() if one.path == str(self._path) and name in (None, one.name)]
        if not found:
            why = [finding.message for file in view.broken if file.path == str(self._path) for finding in file.findings]
            raise AssertionError(f"{self._path.name} is no workflow: {' '.join(why) or name}")
        return found[0]

    def _record(self, run: Any, record: NewRecord, first: int, events: Any, then: Any) -> None:
        if self._live is not None and run.id == self._live.run.id and record.call.path:
            self._records += 1
            if self._records == self._place:
                pid, store_then = self._live.worker_pid, then

                def then(error: BaseException | None) -> None:
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
                    store_then(error)

        self._store_record(run, record, first, events, then)

    def _is_beside(self, name: str) -> bool:
        view = self._app.service.library.view(self._caller)
        return not self._answers.knows(name) and view.find(name) is not None

    async def _answer(self, call: DoorCall) -> DoorResult:
        """The door of every call. A workflow beside the file is really run where the test has no mock for it; artifacts are saved really."""
        from ..engine.doors import CallFailed, DoorResult
        from ..values.records import CallError
        from ..wire import Fault

        is_real = call.op == "commit_state" or call.op.startswith(("artifacts.", "cache."))
        if is_real or (call.op == "workflow" and self._is_beside(str(call.args["name"]))):
            return await self._real[call.op](call)
        try:
            value = self._answers.perform(call.op, call.args)
        except NoAnswer as missing:
            self._no_answer.append(missing)
            raise CallFailed(Fault("exception", "NoAnswer", str(missing))) from None
        except CallError as error:
            raise CallFailed(Fault(error.code, error.type, error.message, hint=error.hint)) from None
        if call.op == "workflow":
            call.announce_start({})
        return DoorResult(value)
