"""Runs below runs: a body calls another workflow, and that is a run of its own."""

from __future__ import annotations

import json
from typing import Any

from ..model.run import Run
from ..model.workflow import WorkflowVersion, name_of_file
from ..store import Store
from ..wire import Fault
from .journal import CallFailed, Diverged, Done, DoorCall
from .live import Parking
from .runner import Runner


class Children:
    def __init__(self, runner: Runner, store: Store) -> None:
        self._runner = runner
        self._store = store

    async def known(self, call: DoorCall) -> Run | None:
        """The run that this call has begun before the body was begun again."""
        return await self._store.child(call.live.run.id, call.path) if call.live.begun_again else None

    def check_same(self, call: DoorCall, known: Run, name: str, arguments: dict[str, Any]) -> None:
        """Raises Diverged for a call that is another one now."""
        if name_of_file(name) != known.workflow or json.loads(known.arguments) != arguments:
            raise Diverged(
                call.path, f"{known.workflow} {known.arguments[:200]}", f"{name} {json.dumps(arguments)[:200]}"
            )

    async def pinned(self, call: DoorCall, name: str) -> str | None:
        """The version of that workflow which this run's calls take: that of the first."""
        return (
            await self._store.pinned(call.live.run.id, name)
            if call.live.has_children or call.live.begun_again
            else None
        )

    async def run(self, call: DoorCall, version: WorkflowVersion, arguments: dict[str, Any], session_id: str) -> Done:
        """Begin it and wait for its end."""
        live = call.live
        live.has_children = True
        child = self._runner.start(
            version, json.dumps(arguments), session_id, live.run.principal, live.env, parent=live, path=call.path
        )
        call.begun({"run_id": child.run.id})
        return await self.wait(call, child.run.id)

    async def wait(self, call: DoorCall, run_id: str) -> Done:
        live = call.live
        live.has_children = True
        run = await self._ended(call, run_id)
        if run.status == "completed":
            return Done(child=run.id, result=run.result)
        fault = run.error or Fault("failed", "Failed", "It failed.")
        message = f"{run.workflow}: {fault.message}"
        raise CallFailed(Fault(fault.code, fault.type, message, hint=fault.hint), run.id)

    async def _ended(self, call: DoorCall, run_id: str) -> Run:
        while True:
            changed = self._runner.watch.next(run_id)
            try:
                live = self._runner.live(run_id)
                run = live.run if live is not None else await self._store.run(run_id)
                if run is None:
                    raise CallFailed(Fault("unknown_run", "UnknownRun", f"{run_id} is gone."))
                if run.is_final:
                    return run
                if live is None and run.waiting_for is None:  # its server died with it
                    live = await self._runner.resume(run_id, env=call.live.env, parent=call.live)
                if live is not None:
                    call.waits(None)
                    await live.done.wait()
                else:  # parked: it goes on when somebody answers, or its time has come
                    why = "an answer" if run.status == "input_required" else f"{run.id} (waiting for {run.waiting_for})"
                    call.waits(Parking(why=why, status=run.status, news=changed))
                    await changed
            finally:
                self._runner.watch.forget(run_id, changed)
