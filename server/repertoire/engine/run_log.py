"""Run log: one line in the server's log for the start and the end of each run without a parent; used by Runner and EndRecorder.

Neither arguments nor results nor messages of errors: they may hold secrets. `repertoire logs RUN` has the message and the traceback.
"""

from __future__ import annotations

import logging

from ..model.run import Run

logger = logging.getLogger("repertoire.runs")


def log_start(run: Run, what: str = "started") -> None:
    if run.parent is None and not run.is_example:
        logger.info("%s %s, version %s, session %s", run.id, what, run.version[:12], run.session_id)


def log_end(run: Run) -> None:
    """Also for a run whose end could not be stored: it is not final."""
    if run.parent is not None or run.is_example or not run.is_final:
        return
    seconds = (run.ended_at or run.created_at) - run.created_at
    if run.error is None:
        logger.info("%s %s after %.3f s", run.id, run.status, seconds)
        return
    line = "" if run.error.line is None else f" in line {run.error.line}"
    logger.info("%s %s after %.3f s: %s (%s)%s", run.id, run.status, seconds, run.error.type, run.error.code, line)
