"""Examples: each is an ordinary run of its own, in a throw-away session, whose calls out of the body reach nothing that would be felt."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import anyio
import msgspec

from ..engine.journal import CallFailed, Done, Door, DoorCall
from ..engine.runner import Runner
from ..errors import Refused
from ..model.example import Checked, Example, Mock
from ..model.run import Run
from ..model.session import Caller
from ..model.workflow import Finding, WorkflowVersion
from ..names import new_session_id
from ..registry.expect import problem_of, shown
from ..registry.view import View
from ..store import Store
from ..wire import Fault, Recorded

_ONLY_READ: Final = frozenset({"workflows.search", "workflows.list", "workflows.get", "commit_state"})
"""Doors that are opened for an example as for any run; a session of its own is all that `commit_state` changes."""
_OWN: Final = frozenset({"sleep", "commit_state"})
"""Calls that an example makes itself."""
_MAX_CALLS: Final = 200
"""Calls of a run that become mocks."""


async def check(
    runner: Runner, caller: Caller, view: View, version: WorkflowVersion, examples: Sequence[Example], seconds: float
) -> Checked:
    """Run them one after the other, for at most `seconds` in all."""
    deadline = time.monotonic() + seconds
    problems = []
    for n, example in enumerate(examples, 1):
        left = deadline - time.monotonic()
        rehearsal = Rehearsal(runner.doors, view, example.mocks)
        problem = await _problem(runner, caller, version, example, rehearsal, left)
        if problem is not None:
            problems.append(_finding(n, example, *problem, seconds))
    return Checked(
        examples=tuple(examples), passed=len(examples) - len(problems), problems=tuple(problems), at=time.time()
    )


async def _problem(
    runner: Runner, caller: Caller, version: WorkflowVersion, example: Example, rehearsal: Rehearsal, left: float
) -> tuple[str, Run | None] | None:
    if left <= 0:
        return _TOO_LONG, None
    run = await _ended(runner, caller, version, example, rehearsal, left)
    if not run.is_final:
        return _TOO_LONG, run
    with anyio.move_on_after(max(left, 1.0)):
        why = await problem_of(example, run)
        return None if why is None else (why, run)
    return "comparing its result with `expect` took too long", run


_TOO_LONG: Final = "it did not end in time"


async def _ended(
    runner: Runner, caller: Caller, version: WorkflowVersion, example: Example, rehearsal: Rehearsal, seconds: float
) -> Run:
    live = runner.start(
        version,
        json.dumps(example.arguments),
        new_session_id(),
        caller.principal,
        caller.env,
        rehearsal=rehearsal.doors,
    )
    run = live.run
    try:
        run = await runner.wait(live.run.id, seconds) or live.run
        return run
    finally:
        if not run.is_final:
            with anyio.CancelScope(shield=True):
                await runner.cancel(live.run.id)


def _finding(n: int, example: Example, why: str, run: Run | None, seconds: float) -> Finding:
    error = run.error if run is not None else None
    if why == _TOO_LONG:
        hint = f"All examples together may take {seconds:g} s: smaller arguments, or mocks for what takes long."
    else:
        hint = (
            error.hint if error is not None else None
        ) or "Correct the source, or the example if that is what is wrong."
    if run is not None:
        hint += f" get_run({run.id!r}) shows what it did."
    line = error.line if error is not None else None
    return Finding("example", "error", f"Example {n}, arguments {shown(example.arguments)}: {why}.", line, hint=hint)


class Rehearsal:
    """The doors of an example's run: its mocks, what only reads, and for everything else a sentence that says what to do."""

    def __init__(self, doors: Mapping[str, Door], view: View, mocks: Sequence[Mock]) -> None:
        self._doors = doors
        self._view = view
        self._unused = list(mocks)
        self._mocks = list(mocks)

    @property
    def doors(self) -> dict[str, Door]:
        return dict.fromkeys(self._doors, self._answer)

    async def _answer(self, call: DoorCall) -> Done:
        name = str(call.args["name"]) if call.op == "workflow" else call.op
        mock = self._mock(name, call)
        if mock is not None:
            if call.op == "workflow":
                call.begun({})
            if mock.error is not None:
                raise CallFailed(Fault("mocked", "CallError", mock.error))
            return Done(mock.result)
        if call.op == "sleep":  # an example does not wait
            return Done()
        if call.op in _ONLY_READ or (call.op == "workflow" and self._only_reads(name)):
            return await self._doors[call.op](call)
        what = f"calls the workflow {name!r}" if call.op == "workflow" else f"calls {name}"
        raise Refused(
            f"An example {what}, which may change something.",
            f'Say in the example what it gives: "mocks": [{{"call": "{name}", "result": ...}}].', code="no_mock",
        )  # fmt: skip

    def _mock(self, name: str, call: DoorCall) -> Mock | None:
        """Those that fit are taken in their order; the last of them for all further calls."""
        given = call.args.get("arguments", {}) if call.op == "workflow" else call.args
        arguments = {key: value for key, value in given.items() if key != "session_id"}
        for mocks in (self._unused, reversed(self._mocks)):
            for mock in mocks:
                if mock.call == name and mock.arguments in (msgspec.UNSET, arguments):
                    if mock in self._unused:
                        self._unused.remove(mock)
                    return mock
        return None

    def _only_reads(self, name: str) -> bool:
        version = self._view.find(name)
        return version is not None and version.options.read_only is True


async def example_of(store: Store, doors: Collection[str], run: Run) -> Example:
    """What a run has shown, as an example: its arguments, its end, and what its calls through `doors` gave. Raises Refused for one that
    was cancelled or goes on. Its own steps are not taken over: they are what an example is there to check."""
    if run.status not in ("completed", "failed"):
        raise Refused(
            f"{run.id} is {run.status}: only a completed or failed run can be an example.", code="bad_example"
        )
    children = {child.parent_path: child for child in await store.runs(run.principal, parent=run.id, limit=_MAX_CALLS)}
    records = await store.page(run.id, 0, _MAX_CALLS)
    made = [record for record in records if record.op in doors and record.op not in _OWN and not record.cancelled]
    mocks = tuple(_mock_of(record, children.get(record.path)) for record in made)
    arguments = json.loads(run.arguments)
    if run.error is not None:
        return Example(arguments=arguments, expect_error=run.error.message, mocks=mocks)
    return Example(arguments=arguments, expect=json.loads(run.result or "null"), mocks=mocks)


def _mock_of(record: Recorded, child: Run | None) -> Mock:
    return Mock(
        call=child.workflow if child else record.label if record.op == "workflow" else record.op,
        arguments=json.loads(child.arguments) if child else msgspec.UNSET,
        result=json.loads(record.result or "null"),
        error=record.error.message if record.error else None,
    )
