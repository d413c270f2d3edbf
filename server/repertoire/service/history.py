"""History: resumes and reruns past runs, shows a run's calls as a tree, and deletes old runs; used by the command line.

Not the start of a new run from a name and arguments: that is in `Runs`.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from ..engine.live_run import Live
from ..engine.retention import Retention
from ..engine.runner import Runner
from ..errors import BadArguments, UnknownWorkflow
from ..model.moments import read_moment
from ..model.run import iso
from ..model.session import Caller
from ..names import new_run_id, new_session_id
from ..store import Store
from ..store.audit import By
from ..text import well_formed
from .pre_publish_checks import PrePublishChecks
from .runs import Runs

_MAX_CALLS: Final = 1_000
"""Calls of one run in its tree."""


class History:
    def __init__(
        self, store: Store, runs: Runs, checks: PrePublishChecks, runner: Runner, retention: Retention
    ) -> None:
        self._store = store
        self._runs = runs
        self._checks = checks
        self._runner = runner
        self._retention = retention

    async def collect_garbage(
        self,
        keep_s: float | None = None,
        keep: int | None = None,
        dry_run: bool = False,
        *,
        audit_before: str | None = None,
        caller: Caller | None = None,
    ) -> dict[str, Any]:
        """Delete runs that need not be kept, versions that nothing refers to, and old lines of the audit log. `dry_run`: only count
        them."""
        before = None if audit_before is None else read_moment("audit_before", audit_before)
        by = None if caller is None else By.of(caller)
        gone = await self._retention.now(keep_s, keep, audit_before=before, by=by, dry_run=dry_run)
        return {**msgspec.to_builtins(gone), "dry_run": dry_run}

    async def resume(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """Resume a run that waits for somebody's decision to go on."""
        await self._runs.find(caller, run_id)
        await self._runner.resume(
            run_id, env=caller.env, provider_env=caller.provider_env, forced=True, by=By.of(caller)
        )
        return self._runs.envelope(await self._runs.find(caller, run_id))

    async def rerun(self, caller: Caller, run_id: str, before: str | None = None, source: str | None = None) -> Live:
        """Start a new run with the same arguments, of the same version or of another `source`. It replays the recorded answers of the
        old run up to the call `before`; without `before`, all of them. It sees the workflow folders that the old run saw."""
        run = await self._runs.find(caller, run_id)
        if run.is_example:
            raise BadArguments(f"{run_id} was made to check an example.", "Run the workflow itself.")
        version = await self._store.version(run.version)
        if version is None:
            raise UnknownWorkflow(f"The version of {run_id} is gone.")
        if source is not None:
            sent = ""
            if version.is_unnamed:
                sent, source = source, await self._checks.as_module(source, json.loads(run.arguments))
            new = await self._checks.read(caller, version.name, source, None, version.origin)
            version = await self._checks.load(caller, new.version)
            version = msgspec.structs.replace(version, path=None, root="", sent=well_formed(sent))
            await self._store.keep_version(version)
        number = await self._number_of(run_id, before)
        new_id = new_run_id(run.workflow)
        await self._store.copy_calls(run_id, new_id, number)
        return self._runner.start(
            version,
            run.arguments,
            new_session_id(),
            caller.principal,
            caller.env,
            provider_env=caller.provider_env,
            roots=run.roots or caller.roots,
            cwd=run.cwd or caller.cwd,
            run_id=new_id,
            rerun_of=run_id,
            lane=caller.lane,
            client=caller.client,
        )

    async def _number_of(self, run_id: str, path: str | None) -> int | None:
        if path is None:
            return None
        calls = await self._store.calls(run_id)
        for call in calls:
            if call["path"] == path:
                return int(call["n"])
        known = ", ".join(call["path"] for call in calls[:20]) or "none"
        raise BadArguments(f"{run_id} has no recorded call {path!r}.", f"Its calls are: {known}.")

    async def show(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """Everything about one run: how it was begun, by whom, in which session, of which file, and its calls as a tree. Of code
        that was run once also its source."""
        run = await self._runs.find(caller, run_id)
        session, version = await self._store.session(run.session_id), await self._store.version(run.version)
        begun = {**run.origin(), "session": session and session.name, "file": version and version.path}
        if version is not None and version.is_unnamed:
            begun["source"] = version.sent or version.source
        if (usage := await self._store.model_usage(run_id)).requests:
            begun["usage"] = usage.public()
        return begun | await self.tree(caller, run_id)

    async def tree(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """The run with its calls. A call that started a run has that run's tree below it. Calls that are still open come last."""
        run = await self._runs.find(caller, run_id)
        below = await self._store.runs(caller.principal, parent=run_id, limit=_MAX_CALLS)
        children = {child.parent_path or "": child.id for child in reversed(below)}
        calls, recorded = [], await self._store.calls(run_id)
        for call in recorded[:_MAX_CALLS]:
            error = call.pop("error")
            child = call.pop("child") or children.get(call["path"])
            children.pop(call["path"], None)
            row = {**call, "began_at": iso(call["began_at"]), "ended_at": iso(call["ended_at"])}
            row["duration_s"] = round(call["ended_at"] - call["began_at"], 6)
            row["cancelled"], row["covered"] = bool(call["cancelled"]), bool(call["covered"])
            row["error"] = None if error is None else {"type": error.type, "message": error.message}
            if child is not None:
                row["run"] = await self.tree(caller, child)
            calls.append(row)
        for path, open_child in sorted(children.items(), key=lambda one: one[1]):
            inner = await self.tree(caller, open_child)
            calls.append({"path": path, "op": "workflow", "label": inner["workflow"], "ended_at": None, "run": inner})
        left_out = max(len(recorded) - _MAX_CALLS, 0)
        return {**run.summary(), **run.origin(), **self._runs.envelope(run), "calls": calls, "calls_left_out": left_out}
