"""Cold start of a host: from spawning the server to an answered tools/list over stdio."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave
from .servers import Home, a_home, bare_command, fastmcp_command
from .wire import StdioClient, call

_FILES = 100


def measure(plan: Plan) -> list[Figure]:
    with a_home() as home:
        home.add_echoes(_FILES)
        _learn(home)
        figures = _beside_daemon(home, plan) + _warm(home, plan)
    return figures + _unseen(plan)


def _beside_daemon(home: Home, plan: Plan) -> list[Figure]:
    measures: dict[str, Callable[[], Mapping[str, float]]] = {
        BARE: lambda: {"start": _started(lambda: StdioClient(bare_command("stdio"), home.environ))},
        "front": lambda: {"start": _started(home.front)},
    }
    if python := plan.fastmcp:
        command = fastmcp_command(python, "stdio")
        measures["FastMCP"] = lambda: {"start": _started(lambda: StdioClient(command, home.environ))}
    with home.front() as client:
        client.ask("tools/list")
        series = interleave(plan.pairs, measures, Budget(50))
    what = f"front beside a running daemon, {_FILES} files"
    figures = [against_bare(series, "front", "start", what=what, target=Target(0.1))]
    if plan.fastmcp:
        figures.append(against_bare(series, "FastMCP", "start", what="FastMCP, one tool"))
    return figures


def _warm(home: Home, plan: Plan) -> list[Figure]:
    def front() -> dict[str, float]:
        home.stop()
        return {"start": _started(home.front)}

    series = interleave(plan.pairs, {BARE: lambda: _bare(home), "front": front}, Budget(50))
    what = f"no daemon, warm catalogue, {_FILES} files"
    return [against_bare(series, "front", "start", what=what, target=Target(1.4))]


def _unseen(plan: Plan) -> list[Figure]:
    def first() -> dict[str, float]:
        with a_home() as home:
            home.add_echoes(_FILES)
            began = time.perf_counter()
            with home.front() as client:
                client.ask("tools/list")
                listed = time.perf_counter() - began
                _until_found(client)
                return {"start": listed * 1e3, "found": (time.perf_counter() - began) * 1e3}

    with a_home() as other:

        def bare() -> dict[str, float]:
            taken = _bare(other)["start"]
            return {"start": taken, "found": taken}

        series = interleave(plan.pairs, {BARE: bare, "front": first}, Budget(60))
    what = f"first start ever, {_FILES} unseen files"
    most = Target(5000, "value")
    return [
        against_bare(series, "front", "start", what=what, target=most),
        against_bare(series, "front", "found", what=f"{what}, until all are known", target=most),
    ]


def _bare(home: Home) -> dict[str, float]:
    return {"start": _started(lambda: StdioClient(bare_command("stdio"), home.environ))}


def _started(server: Callable[[], StdioClient]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    with server() as client:
        client.ask("tools/list")
        return (time.perf_counter() - began) * 1e3


def _learn(home: Home) -> None:
    with home.front() as client:
        client.ask("tools/list")
        _until_found(client)


def _until_found(client: StdioClient, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        found = call(client, "list_workflows", limit=1000)["workflows"]
        if sum(entry["name"].startswith("echo") for entry in found) >= _FILES:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{len(found)} of {_FILES} workflows were found")
        time.sleep(0.02)
