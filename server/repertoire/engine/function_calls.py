"""FunctionCalls: calls one function of an operator's file in a worker, outside of any run; used by the source of Python tools.

The call has no journal: the run that made it records its answer. A `step` in the function runs and is not recorded. Other doors need a
run and are refused. The caller's run gives its place back while it waits, so a call takes one place like a run (engine/leases.py).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from ..limits import Limits
from ..model.workflow_version import WorkflowVersion
from ..names import new_run_id
from ..values import big_integers
from ..values.json_check import check_long_json
from ..wire import Answer, Call, Done, Events, Failed, Fault, Record, Task
from .attempt import folder_of
from .frame_check import Rules
from .pool import Worker, WorkerPool
from .run_faults import bad_frame, no_process, worker_death

logger = logging.getLogger(__name__)

Progress = Callable[[float, float | None, str | None], None]


class FunctionCalls:
    def __init__(self, pool: WorkerPool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits

    async def call(
        self,
        version: WorkflowVersion,
        arguments: Mapping[str, Any],
        env: Mapping[str, str],
        progress: Progress,
    ) -> Any:
        """The function's result, or a Fault. Raises TimeoutError, after the version's own limit or that of runs."""
        try:
            async with self._pool.lease(trusted=True, caller="tools") as worker:
                with anyio.fail_after(version.options.timeout_s or self._limits.run_timeout_s):
                    _send_task(worker, version, arguments, env, self._limits)
                    return await _attend(worker, progress)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            return no_process(error)


def _send_task(
    worker: Worker, version: WorkflowVersion, arguments: Mapping[str, Any], env: Mapping[str, str], limits: Limits
) -> None:
    code = None if version.key in worker.known else version.code()
    worker.known.add(version.key)
    worker.channel.begin(Rules.of(limits, trusted=version.is_trusted, is_reused=worker.is_pooled))
    worker.channel.send(
        Task(
            new_run_id(version.name),
            version.key,
            json.dumps(arguments),
            code=code,
            cwd=folder_of(version),
            home=folder_of(version),
            max_result_bytes=limits.max_record_bytes,
            max_message_bytes=limits.max_event_bytes,
            max_record_bytes=limits.max_record_bytes,
            max_events=limits.max_events,
            max_items=limits.max_items,
            env=dict(env),
            began=time.monotonic(),
        )
    )


async def _attend(worker: Worker, progress: Progress) -> Any:
    """Answer the worker's frames until the function has ended."""
    began, answered = time.monotonic(), 0
    while True:
        frame = await worker.channel.receive()
        if isinstance(frame, Done | Failed):
            worker.reusable = not frame.pending
            return _value_of(frame) if isinstance(frame, Done) else frame.fault
        if isinstance(frame, Events):
            for event in frame.events:
                _tell(event.type, json.loads(event.data), progress)
        elif isinstance(frame, Record | Call):
            answered += 1
            at = time.monotonic() - began
            worker.channel.send(
                Answer(frame.id, answered, at, frame.result, frame.error)
                if isinstance(frame, Record)
                else Answer(frame.id, answered, at, error=_refusal(frame))
            )
        elif frame is None and (why := worker.channel.violation) is not None:
            logger.warning("a tool's function: worker %s was ended, because it has sent %s", worker.pid, why)
            return bad_frame(why)
        elif frame is None:
            return worker_death(await worker.exit_code())[0]


def _value_of(done: Done) -> Any:
    """The function's result, or a Fault."""
    try:
        check_long_json(done.result)
        return big_integers.loads(done.result)
    except ValueError as error:
        return bad_frame(f"a result that cannot be read: {error}")


def _tell(kind: str, data: Mapping[str, Any], progress: Progress) -> None:
    if kind == "progress":
        done, total, message = (data.get(name) for name in ("done", "total", "message"))
        progress(_number(done) or 0.0, _number(total), message if isinstance(message, str) else None)
    else:
        logger.debug("a tool's function: %s", data)


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _refusal(frame: Call) -> Fault:
    message = f"A tool's function cannot call {frame.op}: it is not a run."
    return Fault(
        "not_available", "NotAvailable", message, hint="Call it in the workflow, and pass its result to the tool."
    )
