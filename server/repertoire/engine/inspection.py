"""Inspector: loads a module in a process of its own and reads its schemas; used by the registry and by publishing, through Runner."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio

from ..errors import NotApproved
from ..limits import Limits
from ..model.workflow_version import WorkflowVersion
from ..wire import Failed, Fault, Inspect, Inspected
from .attempt import folder_of
from .frame_check import Rules
from .interpreted import Interpreted
from .pool import WorkerPool
from .run_faults import bad_frame, no_process, worker_death

logger = logging.getLogger(__name__)

_TRIES: Final = 3
_TRY_AGAIN_S: Final = 0.1


class Inspector:
    def __init__(
        self,
        pool: WorkerPool,
        limits: Limits,
        check_may_run: Callable[[WorkflowVersion], Awaitable[None]],
        interpreted: Interpreted,
    ) -> None:
        """`check_may_run` raises NotApproved for a version of which nothing may be loaded."""
        self._pool = pool
        self._interpreted = interpreted
        self._limits = limits
        self._check_may_run = check_may_run

    async def inspect(self, version: WorkflowVersion, env: Mapping[str, str]) -> Inspected | Fault:
        """Load the module and read its schemas. The process runs nothing else, because the module's top level may change anything there.

        When the process dies, try again a few times: it may have been killed from outside, and then the module is not the cause.
        """
        try:
            await self._check_may_run(version)
        except NotApproved as refusal:
            return Fault(refusal.code, "NotApproved", refusal.message, hint=refusal.hint)
        for attempt in range(1, _TRIES + 1):
            try:
                found = await self._inspect_once(version, env)
            except OSError as error:  # the zygote is gone, and no other could be started
                found = no_process(error)
            if not isinstance(found, Fault) or found.code != "worker_lost":
                break
            logger.warning("loading %s, attempt %d of %d: %s", version.name, attempt, _TRIES, found.message)
            await anyio.sleep(_TRY_AGAIN_S * attempt)
        return found

    async def _inspect_once(self, version: WorkflowVersion, env: Mapping[str, str]) -> Inspected | Fault:
        trusted = version.is_trusted
        by_interpreter = await self._interpreted.takes(version)
        async with self._pool.lease(trusted=trusted or by_interpreter, once=True, caller="looks") as worker:
            worker.channel.begin(Rules.of(self._limits, trusted=trusted, is_reused=False))
            code = version.code(is_interpreted=by_interpreter)
            worker.channel.send(Inspect(code, cwd=folder_of(version), env=dict(env)))
            with anyio.move_on_after(self._limits.inspect_timeout_s):
                frame = await worker.channel.receive()
                if isinstance(frame, Inspected):
                    return frame
                if isinstance(frame, Failed):
                    return frame.fault
                if (why := worker.channel.violation) is not None:
                    logger.warning("%s: its worker was ended while it was loaded: it has sent %s", version.name, why)
                    return bad_frame(why)
                return worker_death(await worker.exit_code())[0]
        message = f"Loading the module took longer than {self._limits.inspect_timeout_s:g} s."
        hint = "Move work from the module's top level into run()."
        return Fault("import_timeout", "TimeoutError", message, hint=hint)
