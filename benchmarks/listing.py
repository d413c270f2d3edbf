"""tools/list with many workflows: at the default limit, and all of them page by page."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave
from .servers import a_home, bare_command, fastmcp_command, publish_many
from .wire import Failed, StdioClient, list_all

_SIZES = (100, 1_000, 10_000)
_FASTMCP_MOST = 1_000
"""FastMCP takes minutes to register 10,000 tools."""
_TOOLS_IN_ONE_ROUND = 2_000
"""A short list is fetched several times per pair, and the fastest counts as that pair's value."""


def measure(plan: Plan) -> list[Figure]:
    figures: list[Figure] = []
    for size in _SIZES:
        figures += _at(size, plan, Budget(80))
    return figures


def _at(size: int, plan: Plan, budget: Budget) -> list[Figure]:
    with a_home() as home:
        publish_many(home, size)
        with home.front() as front:
            few = list_all(front)
            figures = _compare(front, few, f"{size} workflows, default limit ({len(few)} tools)", plan, budget)
        home.stop()
        home.environ["REPERTOIRE_MAX_LISTED_TOOLS"] = str(size + 100)
        with home.front() as front:
            every = list_all(front)
            if len(every) < size:
                raise Failed(f"{len(every)} of {size} tools were listed")
            what = f"{size} workflows, all listed ({len(every)} tools)"
            figures += _compare(front, every, what, plan, budget)
            if plan.fastmcp and size <= _FASTMCP_MOST:
                figures.append(_fastmcp(plan.fastmcp, len(every), plan, budget))
        return figures


def _compare(
    front: StdioClient, tools: list[dict[str, Any]], what: str, plan: Plan, budget: Budget
) -> list[Figure]:  # fmt: skip
    """Against as many plain echo tools, and against the very tools that Repertoire lists: its schemas say more."""
    count = len(tools)
    with tempfile.TemporaryDirectory() as folder:
        same = Path(folder) / "tools.json"
        same.write_text(json.dumps(tools))
        with (
            StdioClient(bare_command("stdio", count), dict(os.environ)) as bare,
            StdioClient(bare_command("stdio", same), dict(os.environ)) as twin,
        ):
            measures = {BARE: _measure(bare, count), "twin": _measure(twin, count), "front": _measure(front, count)}
            series = interleave(plan.pairs, measures, budget)
    note = f"{series['front']['bytes'][0] / series[BARE]['bytes'][0]:.1f}x the bytes"
    return [
        against_bare(series, "front", "ms", what=what, target=Target(1.5), note=note),
        against_bare(series, "front", "ms", what="  against bare with the same tools", base="twin"),
    ]


def _fastmcp(python: str, tools: int, plan: Plan, budget: Budget) -> Figure:
    with (
        StdioClient(bare_command("stdio", tools), dict(os.environ)) as bare,
        StdioClient(fastmcp_command(python, "stdio", tools), dict(os.environ)) as fast,
    ):
        series = interleave(plan.pairs, {BARE: _measure(bare, tools), "FastMCP": _measure(fast, tools)}, budget)
    return against_bare(series, "FastMCP", "ms", what=f"FastMCP, {tools} tools")


def _measure(client: StdioClient, tools: int) -> Callable[[], Mapping[str, float]]:
    rounds = max(1, _TOOLS_IN_ONE_ROUND // tools)
    if len(list_all(client)) < tools:
        raise Failed(f"fewer than {tools} tools were listed")

    def once() -> dict[str, float]:
        fastest, before = float("inf"), client.bytes_read
        for _ in range(rounds):
            began = time.perf_counter()
            list_all(client)
            fastest = min(fastest, time.perf_counter() - began)
        return {"ms": fastest * 1e3, "bytes": (client.bytes_read - before) / rounds}

    return once
