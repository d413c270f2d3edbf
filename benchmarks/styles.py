"""Persisted runs of a class workflow in a script, beside Agno's: in new sessions, in an old one, with states that do not change."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from .figures import Budget, Figure, Plan, Target, against_bare, interleave
from .wire import Failed

_FILE = Path(__file__).parent / "class_runs.py"
_STATES = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000}


class _Library:
    """A process with one library in it, asked for one number at a time."""

    def __init__(self, python: str, kind: str, folder: str) -> None:
        self._kind = kind
        self._process = subprocess.Popen(
            [python, "-P", str(_FILE), kind, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> _Library:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, what: str, number: int) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{what} {number}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            try:
                return float(line)
            except ValueError:
                continue  # a library's own words
        raise Failed(f"{self._kind} ended")


def measure(plan: Plan) -> list[Figure]:
    pythons = {"own": sys.executable} | {kind: python for kind, python in plan.agno.items() if python}
    runs = 100 if plan.quick else 1_000
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        libraries = {kind: stack.enter_context(_Library(python, kind, folder)) for kind, python in pythons.items()}
        figures = [*_flatness(libraries["own"], runs)]
        for what, number, name, pairs in _questions(plan, runs):
            measures = {kind: _asking(library, what, number) for kind, library in libraries.items()}
            series = interleave(pairs, measures, Budget(120))
            figures += [
                against_bare(
                    series, "own", "ms", what=f"a run {name}, Repertoire over {kind}", base=kind,
                    target=Target(0.1) if kind == "agno3" and what in ("new", "same", "alone") else None,
                )
                for kind in libraries if kind != "own"
            ]  # fmt: skip
    return figures


def _questions(plan: Plan, runs: int) -> list[tuple[str, int, str, int]]:
    states = [("state", size, f"that looks at a state of {name}", plan.pairs) for name, size in _STATES.items()]
    states.append(("alone", _STATES["1 MB"], "that leaves a state of 1 MB alone", plan.pairs))
    # an old session costs Agno minutes: once
    return [("new", 20, "in a new session", plan.pairs), *states, ("same", runs, f"after {runs} in its session", 1)]


def _asking(library: _Library, what: str, number: int) -> Callable[[], Mapping[str, float]]:
    return lambda: {"ms": library.ask(what, number)}


def _flatness(own: _Library, runs: int) -> list[Figure]:
    few, many = own.ask("same", 10), own.ask("same", runs)
    small, large, alone = own.ask("state", 1_000), own.ask("state", 1_000_000), own.ask("alone", 1_000_000)
    return [
        Figure(f"a run after {runs} in its session, against one after 10", "ms", many, few, many / few, 1, Target(1.5)),
        Figure("a run that leaves a state of 1 MB alone, against 1 KB", "ms", alone, small, alone / small, 1),
        Figure("a run that looks at a state of 1 MB, against 1 KB", "ms", large, small, large / small, 1),
    ]
