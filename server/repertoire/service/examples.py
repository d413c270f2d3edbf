"""Examples: runs the examples of a version, and makes examples of past runs; used by `Publishing` and `OwnFiles`.

Each example is an ordinary run with its own session, which is thrown away. `Rehearsal` replaces its doors: calls are mocked or read-only,
so an example has no side effects. The comparison of a result with `expect` is in `registry.expectations`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import msgspec

from ..call_operations import OPERATIONS, operation
from ..engine.doors import CallFailed, Door, DoorCall, DoorResult
from ..engine.runner import Runner, unknown_run
from ..errors import Refused
from ..limits import Limits
from ..model.example import Checked, Example, Mock
from ..model.lifecycle import COMPLETED_OR_FAILED
from ..model.run import Run
from ..model.session import Caller
from ..model.workflow_version import Finding, WorkflowVersion
from ..names import new_session_id
from ..registry.caller_view import View
from ..registry.expectations import problem_of, read_examples, short_json
from ..registry.review import calls_to_mock
from ..registry.source import parse
from ..store import Store
from ..values import big_integers
from ..wire import Fault, Recorded
from .library import Library
from .references import has_references

_MAX_CALLS: Final = 200
"""Calls of a run that become mocks."""
_HINT: Final = (
    "Correct the source, or the example. What differs from run to run (time, chance, a session's state) is left out by match=subset, "
    "schema or approx."
)
_LACKS: Final = "it calls"
_FROM_RUN: Final = (
    "Give it these mocks. Or publish it without examples, run it once, and call create_workflow(name, from_run=RUN_ID, replace=true): the "
    "answers to its calls become the mocks."
)


class Examples:
    def __init__(self, store: Store, runner: Runner, library: Library, limits: Limits) -> None:
        self._store = store
        self._runner = runner
        self._library = library
        self._seconds = limits.examples_timeout_s
        self._max_source_bytes = limits.max_source_bytes

    async def choose(self, before: WorkflowVersion | None, given: Any, *, keep: bool = False) -> tuple[Example, ...]:
        """The examples for a new version: the `given` ones, or else those of the version `before`, which it replaces. `keep`: both."""
        known = () if before is None else (await self._store.checked(before.hash)).examples
        if given is None:
            return known
        new = await read_examples(given)
        if not keep:
            return new
        return await read_examples(msgspec.to_builtins((*(one for one in known if one not in new), *new)))

    async def check(
        self, caller: Caller, version: WorkflowVersion, examples: Sequence[Example]
    ) -> tuple[Checked, list[Finding]]:
        """Run them one after the other, within `examples_timeout_s` in all. Returns the outcome, and remarks on the examples themselves.

        Examples are runs, and a run needs its version in the store. So the version is stored first.
        """
        if not examples:
            return Checked(), []
        await self._store.keep_version(version)
        view = self._library.view(caller)
        deadline = time.monotonic() + self._seconds
        problems, remarks = [], []
        for n, example in enumerate(examples, 1):
            rehearsal = Rehearsal(self._runner.doors, view, version.name, example.mocks)
            problem = await self._problem(caller, version, example, rehearsal, deadline - time.monotonic())
            if problem is not None:
                problems.append(_problem_finding(n, example, *problem, self._seconds))
            elif unused := rehearsal.unused:
                remarks.append(_unused_finding(n, unused))
        checked = Checked(
            examples=tuple(examples), passed=len(examples) - len(problems), problems=tuple(problems), at=time.time()
        )
        return checked, remarks

    async def from_run(self, caller: Caller, run_id: str) -> tuple[Example, WorkflowVersion]:
        """A run of the caller as an example, with the version that it ran. Raises UnknownRun, and Refused for a run that was cancelled
        or is unfinished.

        The example has the run's arguments, its result or error, and as mocks the answers that its calls got. The run's own steps are no
        mocks: the example is there to check them.
        """
        run = await self._store.run(run_id)
        version = None if run is None else await self._store.version(run.version)
        if run is None or version is None or run.principal != caller.principal:
            raise unknown_run(run_id)
        if run.status not in COMPLETED_OR_FAILED:
            raise Refused(
                f"{run.id} is {run.status}: only a completed or failed run can be an example.",
                "get_run(run_id, wait_s) waits for its end.",
                code="bad_example",
            )
        records = await self._recorded_calls(run)
        below = await self._store.runs(run.principal, parent=run.id, limit=_MAX_CALLS)
        children = {child.parent_path: child for child in below}
        mocks = tuple(_mock_of(record, children.get(record.path)) for record in records)
        arguments = json.loads(run.arguments)
        if run.error is not None:
            return Example(arguments=arguments, expect_error=run.error.message, mocks=mocks), version
        return Example(arguments=arguments, expect=big_integers.loads(run.result or "null"), mocks=mocks), version

    async def _recorded_calls(self, run: Run) -> list[Recorded]:
        found = await self._store.answers(
            run.id, sorted(op for op in self._runner.doors if not operation(op).is_own), _MAX_CALLS + 1
        )
        if len(found) > _MAX_CALLS:
            raise Refused(
                f"{run.id} has made more than {_MAX_CALLS} calls out of its body, too many for an example.",
                "Make an example of a smaller run, or write one.",
                code="bad_example",
            )
        return found

    async def _problem(
        self, caller: Caller, version: WorkflowVersion, example: Example, rehearsal: Rehearsal, left: float
    ) -> tuple[str, Run | None] | None:
        """Why the example does not hold, with its run if there was one; None if it holds."""
        if left <= 0:
            return "it was not run: those before it took all the time", None
        run = await self._run(caller, version, example, rehearsal, left)
        if not run.is_final:
            return "it did not end in time", run
        if rehearsal.refused:  # it counts even where the body caught the error
            others = await anyio.to_thread.run_sync(self._other_calls, version, rehearsal)
            return _lacks_mocks(rehearsal.refused, others), run
        why = await problem_of(example, run)
        return None if why is None else (why, run)

    def _other_calls(self, version: WorkflowVersion, rehearsal: Rehearsal) -> list[str]:
        """Calls in the source that the example did not come to, and that need a mock if it does. Read in a thread."""
        named = calls_to_mock(parse(version.source, self._max_source_bytes))
        return [name for name in named if name not in rehearsal.refused and rehearsal.needs_mock(name)]

    async def _run(
        self, caller: Caller, version: WorkflowVersion, example: Example, rehearsal: Rehearsal, seconds: float
    ) -> Run:
        """The example's run at its end, or after `seconds`; then it is cancelled."""
        live = self._runner.start(
            version,
            json.dumps(example.arguments),
            new_session_id(),
            caller.principal,
            caller.env,
            provider_env=caller.provider_env,
            roots=caller.roots,
            rehearsal=rehearsal.doors,
            lane=caller.lane,
            client=caller.client,
        )
        run = live.run
        try:
            run = await self._runner.wait(live.run.id, seconds) or live.run
            return run
        finally:
            if not run.is_final:
                with anyio.CancelScope(shield=True):
                    await self._runner.cancel(live.run.id)


class Rehearsal:
    """The doors of an example's run. A call gets its mock's answer. Without a mock, the workflow itself and read-only calls are made;
    every other call is refused, with a hint that shows the missing mock."""

    def __init__(self, doors: Mapping[str, Door], view: View, own_name: str, mocks: Sequence[Mock]) -> None:
        self._doors = doors
        self._view = view
        self._own_name = own_name
        self._mocks = mocks
        self._used: set[int] = set()
        self.refused: list[str] = []
        """The calls without a mock, by the names that mocks have."""

    @property
    def doors(self) -> dict[str, Door]:
        return dict.fromkeys(self._doors, self._answer)

    @property
    def unused(self) -> list[Mock]:
        return [mock for n, mock in enumerate(self._mocks) if n not in self._used]

    async def _answer(self, call: DoorCall) -> DoorResult:
        name = _name_of(call)
        mock = self._mock(name, call)
        if mock is not None:
            if call.op == "workflow":
                call.announce_start({})
            if mock.error is not None:
                raise CallFailed(Fault("mocked", "CallError", mock.error))
            return DoorResult(None if mock.result is msgspec.UNSET else mock.result)
        if call.op == "sleep" or call.op.startswith(
            "cache."
        ):  # an example does not wait, and neither finds nor leaves anything
            return DoorResult()
        if operation(call.op).only_reads or (call.op == "workflow" and self._may_run(name)):
            return await self._doors[call.op](call)
        self.refused.append(name)
        called = f"the workflow {name!r}" if call.op == "workflow" else name
        raise Refused(
            f"The example calls {called}, which is not done in an example.",
            f"Give it {_mocks([name])}.",
            code="no_mock",
        )

    def needs_mock(self, name: str) -> bool:
        """Whether a call of this name would be refused, whatever its arguments."""
        known = self._view.find(name)
        names = (name, f"workflows.{name}", known.name if known else name)
        return not self._may_run(name) and not any(mock.call in names for mock in self._mocks)

    def _mock(self, name: str, call: DoorCall) -> Mock | None:
        """Fitting mocks are used in their order, and the last one again for all further calls."""
        given = call.args.get("arguments", {}) if call.op in ("workflow", "tool") else call.args
        arguments = {key: value for key, value in given.items() if key != "session_id"}
        refers = has_references(arguments)  # a mock of a run has their values
        known = self._view.find(name) if call.op == "workflow" else None
        names = (name, f"workflows.{name}", known.name if known else name)
        fitting = [
            n
            for n, mock in enumerate(self._mocks)
            if mock.call in names and (mock.arguments in (msgspec.UNSET, arguments) or refers)
        ]
        if not fitting:
            return None
        chosen = next((n for n in fitting if n not in self._used), fitting[-1])
        self._used.add(chosen)
        return self._mocks[chosen]

    def _may_run(self, name: str) -> bool:
        """Whether it is the workflow that the example checks, or declares itself read-only."""
        version = self._view.find(name)
        return name == self._own_name or (version is not None and version.options.read_only is True)


def _name_of(call: DoorCall) -> str:
    """The name that mocks have for it."""
    if call.op == "workflow":
        return str(call.args["name"])
    return f"tools.{call.args['tool']}" if call.op == "tool" else call.op


def _problem_finding(n: int, example: Example, why: str, run: Run | None, seconds: float) -> Finding:
    error = run.error if run is not None else None
    if why.startswith(_LACKS):
        hint = _FROM_RUN
    elif run is None or not run.is_final:
        hint = f"All examples together may take {seconds:g} s: smaller arguments, or mocks for what takes long."
    else:
        hint = (error.hint if error is not None else None) or _HINT
    if run is not None:
        hint += f" get_run({run.id!r}) shows what it did."
    line = error.line if error is not None else None
    message = f"Example {n}, arguments {short_json(example.arguments)}: {why.rstrip('.')}."
    return Finding("example", "error", message, line, hint=hint)


def _lacks_mocks(refused: Sequence[str], others: Sequence[str]) -> str:
    """All that the example lacks in one sentence: the calls that it made, and those that stand in the source besides."""
    refused = list(dict.fromkeys(refused))
    text = f"{_LACKS} {', '.join(map(_call_text, refused))}, which is not done in an example"
    if others:
        text += f" (its source also calls {', '.join(map(_call_text, others))})"
    return f"{text}, and has no {_mocks([*refused, *others])}"


def _call_text(name: str) -> str:
    return name if name in OPERATIONS or name.startswith("tools.") else f"the workflow {name!r}"


def _mocks(names: Sequence[str]) -> str:
    listed = ", ".join(f'{{"call": "{name}", "result": ...}}' for name in names)
    return f'"mocks": [{listed}]'


def _unused_finding(n: int, unused: Sequence[Mock]) -> Finding:
    calls = ", ".join(dict.fromkeys(mock.call for mock in unused))
    return Finding("unused_mock", "info", f"Example {n} has mocks that no call has taken: {calls}.")


def _mock_of(record: Recorded, child: Run | None) -> Mock:
    name = child.workflow if child else record.label if record.op == "workflow" else record.op
    if record.op == "tool":
        name = f"tools.{record.label}"
    arguments = json.loads(child.arguments) if child else msgspec.UNSET
    if record.error is not None:
        return Mock(call=name, arguments=arguments, error=record.error.message)
    return Mock(call=name, arguments=arguments, result=big_integers.loads(record.result or "null"))
