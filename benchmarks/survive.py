"""Five steps, `kill -9` after three, something published meanwhile: which effects were had, and how often?

A script for anyone: `python benchmarks/survive.py`, or `python -m benchmarks survive`. Beside Repertoire DBOS and FastMCP's background
tasks, each in a Python of its own. Each effect is a line in a file; the fourth step waits until everything is killed and changed, so
nothing here depends on time: when it begins, three steps have returned, and with them their records.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a file
    import runpy

    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.argv[1:1] = ["survive"]
    runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
    sys.exit()

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from .figures import Plan
from .survivors import CASES, CASES_QUICK, Case, Dbos, FastMcp, Repertoire, Subject, redis_server, until

_PATIENCE_S = 20.0
"""A run that has not ended so long after the restart is left: what has ended took two seconds at most."""
_PATIENCE_QUICK_S = 60.0
"""Without the other systems nothing is expected to be left, so nobody waits for it in vain."""


@dataclass(frozen=True)
class Outcome:
    system: str
    killed: str
    meanwhile: str
    ended: str
    """The last status that the system itself gave."""
    effects: list[str]
    seconds: float | None
    """From the restart (the kill, where nothing is restarted) to the end; None: it did not come."""
    note: str

    @property
    def repeated(self) -> int:
        return len(self.effects) - len({line.split()[1] for line in self.effects})

    @property
    def exact(self) -> bool:
        """Each effect once, in the version with which the run began, and the run has ended well."""
        return self.seconds is not None and self.effects == [f"v1 {n}" for n in range(1, 6)]

    @property
    def verdict(self) -> str:
        if self.exact:
            return "exact"
        if self.seconds is None:
            return "not finished"
        versions = sorted({line.split()[0] for line in self.effects})
        said = [f"{self.repeated} repeated"] if self.repeated else []
        return ", ".join([*said, " and ".join(versions)] if versions != ["v1"] else said)


def measure(plan: Plan) -> list[Outcome]:
    outcomes = []
    with subjects(plan) as made:
        for make in made:
            for case in CASES_QUICK if plan.quick else CASES:
                outcome = attempt(make, case, _PATIENCE_QUICK_S if plan.quick else _PATIENCE_S)
                if outcome is not None:
                    outcomes.append(outcome)
    return outcomes


def attempt(make: Callable[[Path], Subject], case: Case, patience_s: float) -> Outcome | None:
    """None: the system has no such case."""
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with make(folder) as subject:
            if case not in subject.cases:
                return None
            subject.begin(case)
            until((folder / "at four").exists, "the fourth step begins")
            note = subject.crash(case)
            (folder / "go").touch()
            began = time.monotonic()
            said = subject.go_on(case, patience_s)
            ended = said in ("completed", "SUCCESS")
            seconds = round(time.monotonic() - began, 2) if ended else None
            effects = (folder / "effects").read_text().splitlines()
            return Outcome(subject.name, case.killed, case.meanwhile, said, effects, seconds, note)


@contextmanager
def subjects(plan: Plan) -> Iterator[list[Callable[[Path], Subject]]]:
    made: list[Callable[[Path], Subject]] = [
        lambda at: Repertoire(at, by_tool=False),
        lambda at: Repertoire(at, by_tool=True),
    ]
    with tempfile.TemporaryDirectory(prefix="rs-") as folder, _redis(plan, folder) as url:
        if (dbos := plan.dbos) is not None:
            made.append(lambda at: Dbos(at, dbos))
            made.append(lambda at: Dbos(at, dbos, version="1"))
        if (fastmcp := plan.fastmcp) is not None:
            made.append(lambda at: FastMcp(at, fastmcp))
            if url:
                made.append(lambda at: FastMcp(at, fastmcp, redis=url))
        yield made


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _redis(plan: Plan, folder: str) -> AbstractContextManager[str | None]:
    return redis_server(plan.redis, folder) if plan.redis and plan.fastmcp else _nothing()


def report(outcomes: list[Outcome], seconds: float, *, as_json: bool) -> int:
    """The process's exit status: 1 when Repertoire itself was not exact."""
    if as_json:
        shown = [{**asdict(outcome), "repeated": outcome.repeated, "verdict": outcome.verdict} for outcome in outcomes]
        sys.stdout.write(
            json.dumps(
                {"name": "survive", "seconds": round(seconds, 1), "load": os.getloadavg()[0], "outcomes": shown},
                indent=1,
            )
            + "\n"
        )
    else:
        _print(outcomes, seconds)
    return 0 if all(outcome.exact for outcome in outcomes if outcome.system.startswith("Repertoire")) else 1


def _print(outcomes: list[Outcome], seconds: float) -> None:
    table = Table(title=f"five steps, kill -9 after three ({seconds:.0f} s, load {os.getloadavg()[0]:.1f})")
    for heading in ("system", "killed", "meanwhile", "effects", "", "its status", "s", "note"):
        table.add_column(heading)
    for outcome in outcomes:
        table.add_row(
            outcome.system, outcome.killed, outcome.meanwhile, " ".join(_short(outcome.effects)), outcome.verdict,
            outcome.ended, "" if outcome.seconds is None else f"{outcome.seconds:.1f}", outcome.note,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 170).print(table)


def _short(effects: list[str]) -> list[str]:
    """`1 2 3 4' 5'`: those of the version that was published meanwhile have a mark."""
    return [line.split()[1] + ("" if line.startswith("v1") else "'") for line in effects]
