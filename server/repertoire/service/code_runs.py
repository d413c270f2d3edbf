"""CodeRuns: runs a source once, without publishing it; used by the tool `run_code` and the command `exec`.

1. The source becomes a module with `run(...)` (`registry.script`), and a version that no name runs. Its name is RUN_CODE.
2. Only what is certain refuses it: nothing is loaded or linted for advice, so a run of code costs about as much as any other run.
3. The version is stored with the start of its run and deleted with its last run. No list, search or call by name finds it.

The run itself is like any other: `Runs` starts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..engine.live_run import Live
from ..errors import BadArguments, Refused
from ..model.session import Caller
from ..model.workflow_version import Finding, Origin, WorkflowVersion, version_hash
from ..names import RUN_CODE
from ..text import column_in, line_in, well_formed
from .pre_publish_checks import PrePublishChecks
from .publish_answers import public_findings, stopping
from .publishing import BOM
from .runs import Runs
from .trust import TrustRules


class CodeRuns:
    def __init__(self, rules: TrustRules, checks: PrePublishChecks, runs: Runs) -> None:
        self._rules = rules
        self._checks = checks
        self._runs = runs

    async def start(
        self,
        caller: Caller,
        source: str,
        arguments: Any = None,
        session_id: str | None = None,
        *,
        origin: Origin = "tool",
    ) -> Live:
        """Start a run of this source and return its handle at once. Raises Refused with what to correct.

        `origin`: code of the operator's is neither limited nor subject to the setting `authoring`.
        """
        if origin == "tool":
            await self._rules.check_code()
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, dict):
            raise BadArguments("`arguments` must be an object with the names that the source reads.")
        return await self._runs.start_version(
            caller, await self._version(caller, source, arguments, origin), arguments, session_id
        )

    async def _version(
        self, caller: Caller, source: str, arguments: Mapping[str, Any], origin: Origin
    ) -> WorkflowVersion:
        source = source.removeprefix(BOM)
        text = await self._checks.as_module(source, arguments)
        version, calls, _ = await self._checks.read(caller, RUN_CODE, text, None, origin, brief=True)
        unfit = await self._checks.unfit_calls(caller, version, calls)
        if errors := stopping([*version.findings, *unfit]):
            raise _cannot_work(source, text, errors)
        # of the same text, the operator's version and a client's are two: one is trusted
        sent = "" if text == source else well_formed(source)
        hash = version_hash(f"{RUN_CODE} {origin} {sent}", version.source, version.description, version.options, ())
        return msgspec.structs.replace(version, hash=hash, sent=sent, findings=(), is_loaded=True)


def _cannot_work(source: str, text: str, errors: Sequence[Finding]) -> Refused:
    found = [_as_sent(source, text, one) for one in errors]
    first = found[0]
    said = " ".join(f"{one.message.rstrip('.')}." for one in found[:3])
    line = "" if first.line is None else f"Line {first.line}: "
    return Refused(
        f"It cannot work, and was not run. {line}{said}",
        first.hint or "Correct the source and send it again.",
        code="cannot_work",
        line=first.line,
        column=first.column,
        details={"findings": public_findings(found)},
    )


def _as_sent(source: str, text: str, one: Finding) -> Finding:
    """The finding with its line and column in the source, whose lines may be indented in the text."""
    if one.line is None:
        return one
    line = line_in(source, text, one.line)
    column = None if one.column is None else column_in(source, text, one.line, one.column)
    return msgspec.structs.replace(one, line=line, column=column)
