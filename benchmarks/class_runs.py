"""Persisted runs of one small class workflow. Run as a file by a Python that has the library: `class_runs.py own|agno1|agno3 FOLDER`.

Reads a line of words, answers with one number: milliseconds of a run, the median.
  new N       each of N runs in a session of its own
  same N      N runs in one session, then the median of 20 more
  state BYTES 20 runs in a session that holds a state of that size, which they look at and do not change
  alone BYTES the same, and they do not look at it
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

Run = Callable[[str, int], None]
"""One run in this session; with a size, it looks at the state, and puts so many bytes into it where it is empty."""


def own(folder: str) -> Run:
    repertoire = importlib.import_module("repertoire")
    storage = repertoire.SqliteStorage("runs", db_file=f"{folder}/own.db")
    return _class_style(repertoire.Workflow, repertoire.RunResponse, storage)


def agno1(folder: str) -> Run:
    workflow = importlib.import_module("agno.workflow")
    sqlite = importlib.import_module("agno.storage.sqlite")
    return _class_style(
        workflow.Workflow, workflow.RunResponse, sqlite.SqliteStorage("runs", db_file=f"{folder}/agno1.db")
    )


def _class_style(base: Any, response: Any, storage: Any) -> Run:
    def body(self: Any, size: int) -> Any:
        if size and "kept" not in self.session_state:
            self.session_state["kept"] = _state(size)
        return response(content="ok")

    kind = type("Small", (base,), {"run": body})

    def run(session: str, size: int) -> None:
        kind(session_id=session, storage=storage).run(size=size)

    return run


def agno3(folder: str) -> Run:
    workflow = importlib.import_module("agno.workflow")
    sqlite = importlib.import_module("agno.db.sqlite")
    db = sqlite.SqliteDb(db_file=f"{folder}/agno3.db")

    def run(session: str, size: int) -> None:
        def body(step_input: Any, run_context: Any) -> Any:
            if size and "kept" not in run_context.session_state:
                run_context.session_state["kept"] = _state(size)
            return workflow.StepOutput(content="ok")

        step = workflow.Step(name="body", executor=body)
        workflow.Workflow(name="small", db=db, steps=[step], telemetry=False).run(input="x", session_id=session)

    return run


def _state(size: int) -> list[str]:
    return ["x" * 100] * (size // 100)


def timed(run: Run, session: str, size: int = 0) -> float:
    began = time.perf_counter()
    run(session, size)
    return (time.perf_counter() - began) * 1e3


def measured(run: Run, what: str, number: int, block: str) -> float:
    if what == "new":
        return median([timed(run, f"{block}-{n}") for n in range(number)])
    for _ in range(number if what == "same" else 1):
        run(block, 0 if what == "same" else number)
    return median([timed(run, block, number if what == "state" else 0) for _ in range(20)])


def main() -> None:
    run = {"own": own, "agno1": agno1, "agno3": agno3}[sys.argv[1]](sys.argv[2])
    run("first", 0)
    for count, line in enumerate(sys.stdin):
        what, number = line.split()
        sys.stdout.write(f"{measured(run, what, int(number), f'b{count}')}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
