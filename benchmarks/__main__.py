"""`python -m benchmarks NAME`: one table, or one JSON object, of one benchmark."""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.table import Table

from . import (
    agents,
    attacks,
    calls,
    children,
    code,
    codemode,
    journal,
    listing,
    load,
    memory,
    sandbox,
    session,
    start,
    styles,
    survive,
    tools,
)
from .figures import Figure, Plan, Target

BENCHMARKS: Final[dict[str, Callable[[Plan], list[Figure]]]] = {
    "start": start.measure,
    "call": calls.measure,
    "load": load.measure,
    "list": listing.measure,
    "memory": memory.measure,
    "session": session.measure,
    "styles": styles.measure,
    "journal": journal.measure,
    "tools": tools.measure,
    "code": code.measure,
    "children": children.measure,
    "codemode": codemode.measure,
    "agents": agents.measure,
    "attacks": attacks.measure,
    "sandbox": sandbox.measure,
}


def main() -> int:
    gc.disable()  # as timeit does: the client's own collections are no figure of a server
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Repertoire beside a bare MCP server.")
    parser.add_argument("name", choices=[*BENCHMARKS, "survive", "search"])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs per ratio (default 5)")
    parser.add_argument("--quick", action="store_true", help="fewer calls; for a look, not for a record")
    parser.add_argument("--fastmcp-python", metavar="PATH", help="a Python that has FastMCP, to measure it too")
    parser.add_argument("--agno1-python", metavar="PATH", help="a Python that has agno 1.8.4, for `styles`")
    parser.add_argument("--agno3-python", metavar="PATH", help="a Python that has agno 3, for `styles`")
    parser.add_argument("--dbos-python", metavar="PATH", help="a Python that has dbos 3.4, for `survive` and `journal`")
    parser.add_argument("--redis-server", metavar="PATH", help="the program, for FastMCP's tasks in `survive`")
    parser.add_argument("--search-set", metavar="DIR", help="corpus.jsonl and queries.jsonl, for `search`")
    words = parser.parse_args()
    if words.pairs < 1:
        parser.error("--pairs wants at least 1")
    agno = {"agno1": _that_has("agno", words.agno1_python), "agno3": _that_has("agno", words.agno3_python)}
    fastmcp, dbos = _that_has("fastmcp", words.fastmcp_python), _that_has("dbos", words.dbos_python)
    plan = Plan(words.pairs, words.quick, fastmcp, agno, dbos, words.redis_server, words.search_set)
    began = time.monotonic()
    if words.name == "survive":
        return survive.report(survive.measure(plan), time.monotonic() - began, as_json=words.json)
    figures = search_figures(plan) if words.name == "search" else BENCHMARKS[words.name](plan)
    taken = time.monotonic() - began
    if words.json:
        shown = {
            "name": words.name,
            "seconds": round(taken, 1),
            "load": os.getloadavg()[0],
            "figures": [_as_json(figure) for figure in figures],
        }
        sys.stdout.write(json.dumps(shown, indent=1) + "\n")
    else:
        _print(words.name, figures, taken, plan)
    return 0


def search_figures(plan: Plan) -> list[Figure]:
    from .find import measure  # torch: seconds that no other benchmark needs

    return measure(plan)


def _that_has(package: str, python: str | None) -> str | None:
    if python is None:
        return None
    if subprocess.run([python, "-c", f"import {package}"], capture_output=True, timeout=60).returncode:
        sys.stderr.write(f"{python} cannot import {package}: it is left out\n")
        return None
    return python


def _as_json(figure: Figure) -> dict[str, object]:
    return {**asdict(figure), "met": figure.met}


def _print(name: str, figures: list[Figure], seconds: float, plan: Plan) -> None:
    table = Table(title=f"{name} ({seconds:.0f} s, load {os.getloadavg()[0]:.1f})")
    for heading in ("what", "ratio", "target", "", "measured", "base", "unit", "pairs", "note"):
        table.add_column(heading, justify="left" if heading in ("what", "unit", "note") else "right")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
        base = "" if figure.bare is None else f"{figure.bare:.2f}"
        verdict = {None: "", True: "ok", False: "MISSED"}[figure.met]
        target = "" if figure.target is None else _target(figure.target, figure.unit)
        row = (figure.what, ratio, target, verdict, f"{figure.value:.2f}", base, figure.unit)
        table.add_row(*row, _pairs(figure, plan), _note(figure))
    Console(width=None if sys.stdout.isatty() else 170).print(table)


def _pairs(figure: Figure, plan: Plan) -> str:
    """A figure of fewer pairs than asked for, because time was up, says so."""
    short = 1 < figure.pairs < plan.pairs
    return f"{figure.pairs} of {plan.pairs}" if short else str(figure.pairs)


def _note(figure: Figure) -> str:
    if figure.target is None or figure.target.of != "difference" or figure.bare is None:
        return figure.note
    return f"base + {figure.value - figure.bare:.2f} {figure.unit}"


def _target(target: Target, unit: str) -> str:
    sign = ">=" if target.at_least else "<="
    match target.of:
        case "ratio":
            return f"{sign} {target.bound:g}x"
        case "value":
            return f"{sign} {target.bound:g} {unit}"
        case "difference":
            return f"{sign} base + {target.bound:g} {unit}"


if __name__ == "__main__":
    sys.exit(main())
