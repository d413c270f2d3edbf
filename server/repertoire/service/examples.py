"""Examples: each is an ordinary run of its own, in a throw-away session, whose calls out of the body reach nothing that would be felt."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import anyio
import msgspec

from ..engine.doors import CallFailed, Door, DoorCall, DoorResult
from ..engine.runner import Runner
from ..errors import Refused
from ..model.example import Checked, Example, Mock
from ..model.lifecycle import COMPLETED_OR_FAILED
from ..model.run import Run
from ..model.session import Caller
from ..model.workflow import Finding, WorkflowVersion
from ..names import new_session_id
from ..registry.caller_view import View
from ..registry.expectations import problem_of, shown
from ..store import Store
from ..values import big_integers
from ..wire import Fault, Recorded

_ONLY_READ: Final = frozenset({"workflows.search", "workflows.list", "workflows.get", "commit_state"})
"""Doors that are opened for an example as for any run; a session of its own is all that `commit_state` changes."""
_OWN: Final = frozenset({"sleep", "commit_state"})
"""Calls that an example makes itself."""
_MAX_CALLS: Final = 200
"""Calls of a run that become mocks."""


async def check(
    runner: Runner, caller: Caller, view: View, version: WorkflowVersion, examples: Sequence[Example], seconds: float
) -> tuple[Checked, list[Finding]]:
    """Run them one after the other, for at most `seconds` in all. What they show, and remarks on the examples themselves."""
    deadline = time.monotonic() + seconds
    problems, remarks = [], []
    for n, example in enumerate(examples, 1):
        rehearsal = Rehearsal(runner.doors, view, version.name, example.mocks)
        problem = await _problem(runner, caller, version, example, rehearsal, deadline - time.monotonic())
        if problem is not None:
            problems.append(_finding(n, example, *problem, seconds))
        elif unused := rehearsal.unused:
            remarks.append(_unused(n, unused))
    checked = Checked(
        examples=tuple(examples), passed=len(examples) - len(problems), problems=tuple(problems), at=time.time()
    )
    return checked, remarks


async def _problem(
    runner: Runner, caller: Caller, version: WorkflowVersion, example: Example, rehearsal: Rehearsal, left: float
) -> tuple[str, Run | None] | None:
    if left <= 0:
        return "it was not run: those before it took all the time", None
    run = await _ended(runner, caller, version, example, rehearsal, left)
    if not run.is_final:
        return "it did not end in time", run
    if rehearsal.refused:  # whatever the body made of that
        return rehearsal.refused[0], run
    why = await problem_of(example, run)
    return None if why is None else (why, run)


async def _ended(
    runner: Runner, caller: Caller, version: WorkflowVersion, example: Example, rehearsal: Rehearsal, seconds: float
) -> Run:
    live = runner.start(
        version,
        json.dumps(example.arguments),
        new_session_id(),
        caller.principal,
        caller.env,
        roots=caller.roots,
        rehearsal=rehearsal.doors,
        lane=caller.lane,
    )
    run = live.run
    try:
        run = await runner.wait(live.run.id, seconds) or live.run
        return run
    finally:
        if not run.is_final:
            with anyio.CancelScope(shield=True):
                await runner.cancel(live.run.id)


_HINT: Final = (
    "Correct the source, or the example. What differs from run to run (time, chance, a session's state) is left out by match=subset, "
    "schema or approx."
)


def _finding(n: int, example: Example, why: str, run: Run | None, seconds: float) -> Finding:
    error = run.error if run is not None else None
    if run is None or not run.is_final:
        hint = f"All examples together may take {seconds:g} s: smaller arguments, or mocks for what takes long."
    else:
        hint = (error.hint if error is not None else None) or _HINT
    if run is not None:
        hint += f" get_run({run.id!r}) shows what it did."
    line = error.line if error is not None else None
    message = f"Example {n}, arguments {shown(example.arguments)}: {why.rstrip('.')}."
    return Finding("example", "error", message, line, hint=hint)


def _unused(n: int, unused: Sequence[Mock]) -> Finding:
    calls = ", ".join(dict.fromkeys(mock.call for mock in unused))
    return Finding("unused_mock", "info", f"Example {n} has mocks that no call has taken: {calls}.")


class Rehearsal:
    """The doors of an example's run: its mocks, what only reads, itself, and for everything else a sentence that says what to do."""

    def __init__(self, doors: Mapping[str, Door], view: View, own_name: str, mocks: Sequence[Mock]) -> None:
        self._doors = doors
        self._view = view
        self._own_name = own_name
        self._mocks = mocks
        self._taken: set[int] = set()
        self.refused: list[str] = []
        """What a mock was missing for."""

    @property
    def doors(self) -> dict[str, Door]:
        return dict.fromkeys(self._doors, self._answer)

    @property
    def unused(self) -> list[Mock]:
        return [mock for n, mock in enumerate(self._mocks) if n not in self._taken]

    async def _answer(self, call: DoorCall) -> DoorResult:
        name = str(call.args["name"]) if call.op == "workflow" else call.op
        mock = self._mock(name, call)
        if mock is not None:
            if call.op == "workflow":
                call.announce_start({})
            if mock.error is not None:
                raise CallFailed(Fault("mocked", "CallError", mock.error))
            return DoorResult(None if mock.result is msgspec.UNSET else mock.result)
        if call.op == "sleep":  # an example does not wait
            return DoorResult()
        if call.op in _ONLY_READ or (call.op == "workflow" and self._may_run(name)):
            return await self._doors[call.op](call)
        called = f"the workflow {name!r}" if call.op == "workflow" else name
        mock_text = f'"mocks": [{{"call": "{name}", "result": ...}}]'
        self.refused.append(f"it calls {called}, which is not done in an example, and has no {mock_text}")
        raise Refused(
            f"The example calls {called}, which is not done in an example.", f"Give it {mock_text}.", code="no_mock"
        )

    def _mock(self, name: str, call: DoorCall) -> Mock | None:
        """Those that fit are taken in their order; the last of them for all further calls."""
        given = call.args.get("arguments", {}) if call.op == "workflow" else call.args
        arguments = {key: value for key, value in given.items() if key != "session_id"}
        known = self._view.find(name) if call.op == "workflow" else None
        names = (name, f"workflows.{name}", known.name if known else name)
        fitting = [
            n for n, mock in enumerate(self._mocks)
            if mock.call in names and mock.arguments in (msgspec.UNSET, arguments)
        ]  # fmt: skip
        if not fitting:
            return None
        chosen = next((n for n in fitting if n not in self._taken), fitting[-1])
        self._taken.add(chosen)
        return self._mocks[chosen]

    def _may_run(self, name: str) -> bool:
        """Itself, which is what is to be checked, and what declares that it only reads."""
        version = self._view.find(name)
        return name == self._own_name or (version is not None and version.options.read_only is True)


async def example_of(store: Store, doors: Collection[str], run: Run) -> Example:
    """What a run has shown, as an example: its arguments, its end, and what its calls through `doors` gave. Raises Refused for one that
    was cancelled or goes on. Its own steps are not taken over: they are what an example is there to check."""
    if run.status not in COMPLETED_OR_FAILED:
        raise Refused(
            f"{run.id} is {run.status}: only a completed or failed run can be an example.",
            "get_run(run_id, wait_s) waits for its end.", code="bad_example",
        )  # fmt: skip
    records = await _calls_of(store, doors, run)
    children = {child.parent_path: child for child in await store.runs(run.principal, parent=run.id, limit=_MAX_CALLS)}
    mocks = tuple(_mock_of(record, children.get(record.path)) for record in records)
    arguments = json.loads(run.arguments)
    if run.error is not None:
        return Example(arguments=arguments, expect_error=run.error.message, mocks=mocks)
    return Example(arguments=arguments, expect=big_integers.loads(run.result or "null"), mocks=mocks)


async def _calls_of(store: Store, doors: Collection[str], run: Run) -> list[Recorded]:
    found = await store.answers(run.id, sorted(set(doors) - _OWN), _MAX_CALLS + 1)
    if len(found) > _MAX_CALLS:
        raise Refused(
            f"{run.id} has made more than {_MAX_CALLS} calls out of its body, too many for an example.",
            "Make an example of a smaller run, or write one.", code="bad_example",
        )  # fmt: skip
    return found


def _mock_of(record: Recorded, child: Run | None) -> Mock:
    name = child.workflow if child else record.label if record.op == "workflow" else record.op
    arguments = json.loads(child.arguments) if child else msgspec.UNSET
    if record.error is not None:
        return Mock(call=name, arguments=arguments, error=record.error.message)
    return Mock(call=name, arguments=arguments, result=big_integers.loads(record.result or "null"))
