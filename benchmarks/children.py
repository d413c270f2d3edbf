"""What a sub-workflow costs: a run with fifty of them, at once and one after the other, over a run with none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

from .figures import Budget, Figure, Plan, Target, interleave
from .servers import ECHO, a_home
from .wire import StdioClient, call

_CHILDREN = 50
_ROUNDS = 8
AT_ONCE = '''"""Call a workflow many times at once."""

import asyncio

from repertoire import workflows


async def run(n: int) -> int:
    """Call a workflow `n` times at once."""
    return len(await asyncio.gather(*(workflows.echo(text="hi") for _ in range(n))))
'''
IN_TURN = '''"""Call a workflow many times, one after the other."""

from repertoire import workflows


def run(n: int) -> int:
    """Call a workflow `n` times, one after the other."""
    return len([workflows.echo(text="hi") for _ in range(n)])
'''


def measure(plan: Plan) -> list[Figure]:
    rounds = 1 if plan.quick else _ROUNDS
    with a_home() as home:
        for name, source in {"echo": ECHO, "at_once": AT_ONCE, "in_turn": IN_TURN}.items():
            home.add(name, source)
        home.environ["REPERTOIRE_UNTRUSTED_WORKFLOWS"] = "echo"
        with home.front() as front:
            call(front, "create_workflow", name="made_at_once", source=AT_ONCE)
            names = ("at_once", "in_turn", "made_at_once")
            measures: dict[str, Callable[[], Mapping[str, float]]] = {
                name: lambda name=name: _each(front, name, rounds)  # type: ignore[misc]
                for name in names
            }
            for once in measures.values():
                once()
            series = interleave(plan.pairs, measures, Budget(90))
    said = {"at_once": "at once", "in_turn": "one after the other", "made_at_once": "at once, of a created workflow"}
    return [
        Figure(
            f"a sub-workflow of {_CHILDREN} {said[name]}, over a run with none", "ms", median(series[name]["each"]),
            pairs=len(series[name]["each"]), target=None if name == "made_at_once" else Target(2, "value"),
            note=f"the run with none takes {median(series[name]['none']):.1f} ms",
        )
        for name in names
    ]  # fmt: skip


def _each(front: StdioClient, name: str, rounds: int) -> dict[str, float]:
    """Milliseconds that each child adds, and of a run with no child."""
    none, many = [], []
    for _ in range(rounds):
        none.append(_time(front, name, 0))
        many.append(_time(front, name, _CHILDREN))
    return {"none": median(none), "each": (median(many) - median(none)) / _CHILDREN}


def _time(front: StdioClient, name: str, children: int) -> float:
    began = perf_counter()
    answer = call(front, "run_workflow", name=name, arguments={"n": children})
    assert answer["result"] == children, answer
    return (perf_counter() - began) * 1e3
