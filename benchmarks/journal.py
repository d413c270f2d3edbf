"""What surviving costs: a journaled call, going on after a crash, a replay, a run that is parked, and a run that records nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from statistics import median

from repertoire.home import database_path

from . import parked
from .calls import repeated
from .figures import BARE, Budget, Figure, Plan, Series, Target, against_bare, interleave
from .resume import Unfinished
from .servers import Home, a_home, bare_command
from .wire import StdioClient
from .yardsticks import STEPS, DbosSteps, commits, recorded_paces, round_trips

_RUNS, _RUNS_QUICK = 32, 8
"""At once."""
_MORE = 4
"""Rounds of one run, for each of the others."""
_EMPTY = '''"""Nothing."""


def run(text: str) -> None:
    """Do nothing."""
'''
Measured = Callable[[], Mapping[str, float]]


def measure(plan: Plan) -> list[Figure]:
    return [*_calls(plan), *_resume(plan), *parked.measure(20 if plan.quick else 1_000), *_empty(plan)]


def _calls(plan: Plan) -> list[Figure]:
    alone, each, runs = (200, 40, _RUNS_QUICK) if plan.quick else (500, 400, _RUNS)
    with ExitStack() as stack:
        home = stack.enter_context(a_home())
        home.add("steps", STEPS)
        home.environ["REPERTOIRE_WORKERS"] = str(runs)
        front = stack.enter_context(home.front())
        _recorded(home, front, runs, 40)  # starts the workers
        one: dict[str, Measured] = {
            "journaled": lambda: _recorded(home, front, 1, alone),
            "aiosqlite": lambda: {"p50": commits(alone)},
            "round trip": lambda: round_trips(1, alone),
        }
        many: dict[str, Measured] = {
            "journaled": lambda: _recorded(home, front, runs, each),
            "round trip": lambda: round_trips(runs, each),
        }
        if plan.dbos:
            dbos = stack.enter_context(DbosSteps(plan.dbos))
            one["DBOS"] = lambda: dbos.ask(1, alone // 20)
            many["DBOS"] = lambda: dbos.ask(runs, each // 20)
        # short and often: what a busy machine does to a tenth of a second it does to the next one too
        short = interleave(plan.pairs * _MORE, one, Budget(60))
        return _figures_of_one(short) + _figures_of_many(interleave(plan.pairs, many, Budget(60)), runs)


def _recorded(home: Home, front: StdioClient, runs: int, steps: int) -> dict[str, float]:
    answers = front.call_all("run_workflow", [{"name": "steps", "arguments": {"n": steps}}] * runs)
    return recorded_paces(database_path(str(home.path)), [answer["run_id"] for answer in answers])


def _figures_of_one(series: Series) -> list[Figure]:
    commit, trip = series["aiosqlite"]["p50"], series["round trip"]["p50"]
    series["both"] = {"p50": [one + other for one, other in zip(commit, trip, strict=True)]}
    figure = against_bare(
        series, "journaled", "p50", base="both", unit="us", target=Target(1.5),
        what="a journaled call, over a commit of aiosqlite and its round trip",
        note=f"{median(commit):.0f} us and {median(trip):.0f} us",
    )  # fmt: skip
    return [figure, *_paces(series, "1 run", None)]


def _figures_of_many(series: Series, runs: int) -> list[Figure]:
    return _paces(series, f"{runs} runs", Target(5_000, "value", at_least=True))


def _paces(series: Series, whose: str, target: Target | None) -> list[Figure]:
    measured = partial(against_bare, series, "journaled", "rate", unit="calls/s")
    what = f"journaled calls of {whose}, over"
    figures = [measured(base="round trip", what=f"{what} those without a journal", target=target)]
    if "DBOS" in series:
        figures.append(measured(base="DBOS", what=f"{what} DBOS's steps", target=Target(10, at_least=True)))
    return figures


def _resume(plan: Plan) -> list[Figure]:
    recorded = 1_000 if plan.quick else 10_000
    counts = (1, 10) if plan.quick else (1, 100, 1_000)
    rounds = 1 if plan.quick else plan.pairs
    with Unfinished(3) as few, Unfinished(3, by_tool=True) as created, Unfinished(recorded) as many:
        measures: dict[str, Measured] = {"replayed": lambda: many.resumed(1)}
        measures |= {str(runs): lambda runs=runs: few.resumed(runs) for runs in counts}  # type: ignore[misc]
        measures["created"] = lambda: created.resumed(counts[1])
        series = interleave(rounds, measures, Budget(150))
    figures = []
    for runs in counts:
        target = Target(2_000, "value") if runs == 100 else None
        figures.append(_resumed(series, str(runs), f"{runs} unfinished run{'s' if runs > 1 else ''}", target))
    figures.append(_resumed(series, "created", f"{counts[1]} unfinished runs of a created workflow", None))
    each = [
        (long - short) / recorded * 1e3
        for long, short in zip(series["replayed"]["own"], series["1"]["own"], strict=True)
    ]
    figures.append(Figure(f"a replayed call, of {recorded}", "us", median(each), pairs=len(each)))
    return figures


def _resumed(series: Series, subject: str, what: str, target: Target | None) -> Figure:
    whole, own = series[subject]["all"], series[subject]["own"]
    note = f"{median(own):.0f} ms of it after the database was open"
    return Figure(
        f"{what}, from the process's start to the last end", "ms", median(whole), None, None, len(whole), target, note
    )


def _empty(plan: Plan) -> list[Figure]:
    with a_home() as home, a_home() as other, ExitStack() as stack:
        for one in (home, other):
            one.add("empty", _EMPTY)
        bare = stack.enter_context(StdioClient(bare_command("stdio"), home.environ))
        front = stack.enter_context(home.front())
        alone = stack.enter_context(other.front("--embedded"))
        measures = {
            BARE: repeated(bare, "echo", plan),
            "front": repeated(front, "empty", plan),
            "embedded": repeated(alone, "empty", plan),
        }
        series = interleave(plan.pairs, measures, Budget(60))
    return [
        against_bare(series, who, "p50", what=f"an empty run, {who}, p50", target=Target(1, "difference"))
        for who in ("embedded", "front")
    ]
