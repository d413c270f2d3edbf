"""Does a session grow slow? One with thousands of runs behind it, against its own first runs and against a fresh one."""

from __future__ import annotations

from statistics import median

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave
from .servers import TALLY, a_home, bare_command
from .wire import Failed, StdioClient, call, call_times

_RUNS = 10_000
_RUNS_QUICK = 3_000
_BLOCK = 100


def measure(plan: Plan) -> list[Figure]:
    runs = _RUNS_QUICK if plan.quick else _RUNS
    with a_home() as home, StdioClient(bare_command("stdio"), home.environ) as bare:
        home.add("tally", TALLY)
        with home.front() as front:
            old, young = _new_session(front), _new_session(front)
            call_times(front, "tally", _BLOCK, session_id=young)
            call_times(bare, "echo", _BLOCK)
            first, first_bare = _block(front, old), _bare_block(bare)
            _age(front, old, runs - _BLOCK)
            last, last_bare = _block(front, old), _bare_block(bare)
            measures = {
                BARE: lambda: {"p50": _bare_block(bare)},
                "old": lambda: {"p50": _block(front, old)},
                "fresh": lambda: {"p50": _block(front, _new_session(front))},
            }
            series = interleave(plan.pairs, measures, Budget(60))
            counted = call(front, "tally", session_id=old)["result"]
            if counted < runs:
                raise Failed(f"the session counts {counted} of {runs} runs")
    what = f"run {runs} of a session"
    drift = (last / last_bare) / (first / first_bare)
    return [
        Figure(f"{what} against its first {_BLOCK}", "ms", last, first, last / first, 1, Target(1.2)),
        Figure(f"{what} against its first {_BLOCK}, each over bare", "x", last / last_bare, first / first_bare, drift),
        against_bare(series, "old", "p50", what=f"{what} against a fresh session", target=Target(1.2), base="fresh"),
        against_bare(series, "old", "p50", what=f"{what} against bare"),
    ]


def _new_session(front: StdioClient) -> str:
    made: str = call(front, "tally", session_id="new")["session_id"]
    return made


def _block(front: StdioClient, session: str) -> float:
    """Median milliseconds."""
    return median(call_times(front, "tally", _BLOCK, session_id=session)) * 1e3


def _bare_block(bare: StdioClient) -> float:
    return median(call_times(bare, "echo", _BLOCK)) * 1e3


def _age(front: StdioClient, session: str, runs: int) -> None:
    call_times(front, "tally", runs, session_id=session)
