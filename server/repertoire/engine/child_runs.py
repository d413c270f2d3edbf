"""Runs below runs: a body calls another workflow, and that is a run of its own."""

from __future__ import annotations

import json
from typing import Any

from ..model.run import Run
from ..model.workflow import WorkflowVersion
from ..store import Store
from ..wire import Fault
from .call_executor import CallFailed, Diverged, Done, DoorCall
from .live_run import Live, Parking
from .runner import Runner


class Children:
    def __init__(self, runner: Runner, store: Store) -> None:
        self._runner = runner
        self._store = store

    async def known(self, call: DoorCall) -> Run | None:
        """The run that this call has begun before the body was begun again."""
        return await self._store.child(call.live.run.id, call.path) if call.live.begun_again else None

    def check_same(
        self, call: DoorCall, known: Run, version: WorkflowVersion, name: str, arguments: dict[str, Any]
    ) -> None:
        """Raises Diverged for a call that is another one now. `version` is what the known run runs."""
        if not version.answers_to(name) or json.loads(known.arguments) != arguments:
            raise Diverged(
                call.path, f"{known.workflow} {known.arguments[:200]}", f"{name} {json.dumps(arguments)[:200]}"
            )

    async def recall_pins(self, live: Live) -> None:
        """Of a run that goes on: what its calls have run so far."""
        if not live.begun_again or live.has_pins:
            return
        for hash in await self._store.pinned(live.run.id):
            if (version := await self._store.version(hash, patient=True)) is not None:
                live.pins.setdefault(version.name, version)
        live.has_pins = True

    async def run(self, call: DoorCall, version: WorkflowVersion, arguments: dict[str, Any], session_id: str) -> Done:
        """Begin it and wait for its end."""
        live = call.live
        live.has_children = True
        child = self._runner.start(
            version, json.dumps(arguments), session_id, live.run.principal, live.env,
            roots=live.run.roots, cwd=live.run.cwd, parent=live, path=call.path
        )  # fmt: skip
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
                run = live.run if live is not None else await self._store.run(run_id, patient=True)
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
