"""Children: begins runs below a run, for a body that calls another workflow, and waits for them; used by the door `workflow`."""

from __future__ import annotations

import json
import time
from typing import Any

from ..model.run import Run
from ..model.workflow_version import WorkflowVersion
from ..store import Store
from ..wire import Fault
from .doors import CallFailed, Diverged, DoorCall, DoorResult
from .live_run import Live, Parking
from .runner import Runner


class Children:
    def __init__(self, runner: Runner, store: Store) -> None:
        self._runner = runner
        self._store = store

    async def earlier_run(self, call: DoorCall) -> Run | None:
        """The run that this call has begun in an earlier attempt."""
        return await self._store.child(call.live.run.id, call.path) if call.live.begun_again else None

    def check_same(
        self, call: DoorCall, known: Run, version: WorkflowVersion, name: str, arguments: dict[str, Any]
    ) -> None:
        """Raises Diverged if the call has another name or other arguments now. `version` is that of the known run."""
        if not version.answers_to(name) or json.loads(known.arguments) != arguments:
            raise Diverged(
                call.path, f"{known.workflow} {known.arguments[:200]}", f"{name} {json.dumps(arguments)[:200]}"
            )

    async def recall_pins(self, live: Live) -> None:
        """Pin the versions that the run's calls have run in earlier attempts."""
        if not live.begun_again or live.has_old_pins:
            return
        stored = [await self._store.version(hash, patient=True) for hash in await self._store.pinned(live.run.id)]
        live.add_old_pins(version for version in stored if version is not None)

    async def run(
        self, call: DoorCall, version: WorkflowVersion, arguments: dict[str, Any], session_id: str
    ) -> DoorResult:
        """Begin a run and wait for its end."""
        live = call.live
        live.mark_children()
        child = self._runner.start(
            version,
            json.dumps(arguments),
            session_id,
            live.run.principal,
            live.env,
            roots=live.run.roots,
            cwd=live.run.cwd,
            parent=live,
            path=call.path,
        )
        call.announce_start({"run_id": child.run.id})
        return await self.wait(call, child.run.id)

    async def wait(self, call: DoorCall, run_id: str) -> DoorResult:
        """Raises CallFailed when the run has not completed."""
        call.live.mark_children()
        run = await self._wait_for_end(call, run_id)
        if run.status == "completed":
            if run.remark is not None and not call.live.is_parking:
                await self._log(call.live, f"{run.workflow}: {run.remark}")
            return DoorResult(child=run.id, result=run.result)
        fault = run.error or Fault("failed", "Failed", "It failed.")
        message = f"{run.workflow}: {fault.message}"
        raise CallFailed(Fault(fault.code, fault.type, message, hint=fault.hint), run.id)

    async def _log(self, live: Live, message: str) -> None:
        """A warning in the caller's log: the body gets null where the run below had a number."""
        first = live.number_events(1)
        await self._store.add_events(live.run, first, [("log", time.time(), {"level": "warning", "message": message})])
        live.announce()

    async def _wait_for_end(self, call: DoorCall, run_id: str) -> Run:
        while True:
            changed = self._runner.watch.next(run_id)
            try:
                live = self._runner.live(run_id)
                run = live.run if live is not None else await self._store.run(run_id, patient=True)
                if run is None:
                    raise CallFailed(Fault("unknown_run", "UnknownRun", f"{run_id} is gone."))
                if run.is_final:
                    return run
                if live is None and run.waiting_for is None:  # its server died
                    live = await self._runner.resume(run_id, env=call.live.env, parent=call.live)
                if live is not None:
                    call.wait_for(None)
                    await live.done.wait()
                else:  # parked: an answer or an alarm resumes it
                    why = "an answer" if run.status == "input_required" else f"{run.id} (waiting for {run.waiting_for})"
                    call.wait_for(Parking(why=why, status=run.status, news=changed))
                    await changed
            finally:
                self._runner.watch.forget(run_id, changed)
