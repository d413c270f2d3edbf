"""What it costs to run code once: `run_code` of a script with two calls, beside a created workflow of the same text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from time import perf_counter

from .figures import Budget, Figure, Plan, Target, against_bare, interleave, latencies
from .servers import a_home
from .tools import add_upstream
from .wire import StdioClient, call

SCRIPT = """first = tools.up.echo(text=text)
second = tools.up.echo(text=first["text"] + "!")
second["text"]
"""
CREATED = '''"""Give a text to a tool, and what it gives to it again."""

from repertoire import tools


def run(text: str) -> str:
    """Give a text to a tool, and what it gives to it again."""
    first = tools.up.echo(text=text)
    second = tools.up.echo(text=first["text"] + "!")
    return second["text"]
'''


def measure(plan: Plan) -> list[Figure]:
    calls = 8 if plan.quick else 60
    with a_home() as home:
        add_upstream(home)
        with home.front() as front:
            call(front, "create_workflow", name="made", source=CREATED)
            numbers = count()
            ways: dict[str, Callable[[], None]] = {
                "created": lambda: _check(call(front, "run_workflow", name="made", arguments={"text": "a"})),
                "known": lambda: _run(front, SCRIPT),
                "new": lambda: _run(front, f"{SCRIPT}  # {next(numbers)}\n"),
            }
            for way in ways.values():
                _times(way, calls // 4)
            measures: dict[str, Callable[[], Mapping[str, float]]] = {
                name: lambda way=way: latencies(_times(way, calls))  # type: ignore[misc]
                for name, way in ways.items()
            }
            series = interleave(plan.pairs, measures, Budget(90))
    return [
        against_bare(
            series, "new", "p50", base="created", target=Target(3, "difference"),
            what="run_code of a text that was never sent before, over a created workflow",
        ),
        against_bare(series, "known", "p50", base="created", what="run_code of a text that was sent before"),
    ]  # fmt: skip


def _run(front: StdioClient, source: str) -> None:
    _check(call(front, "run_code", source=source, arguments={"text": "a"}))


def _check(answer: dict[str, object]) -> None:
    assert answer["result"] == "a!", answer


def _times(way: Callable[[], None], calls: int) -> list[float]:
    times = []
    for _ in range(calls):
        began = perf_counter()
        way()
        times.append(perf_counter() - began)
    return times
