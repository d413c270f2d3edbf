"""What a body's call of a tool costs: `tools.up.echo` of an MCP server over stdio, beside the same call with the SDK's client alone."""

from __future__ import annotations

import json

from repertoire.home import database_path

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave
from .sdk_calls import SdkClient
from .servers import Home, a_home, bare_command
from .wire import StdioClient, call
from .yardsticks import recorded_paces

CALLS = '''"""Call a tool again and again."""

from repertoire import tools


def run(n: int) -> int:
    """Call a tool `n` times."""
    for _ in range(n):
        tools.up.echo(text="hi")
    return n
'''
_MORE = 4
"""Rounds for each pair: short and often, as what disturbs one part of a second disturbs the next."""


def add_upstream(home: Home) -> None:
    """The bare server as the source of tools `up`, which created code may use too."""
    command, *words = bare_command("stdio")
    (home.path / "mcp.json").write_text(json.dumps({"mcpServers": {"up": {"command": command, "args": words}}}))
    home.environ["REPERTOIRE_UNTRUSTED_TOOLS"] = "up.*"


def measure(plan: Plan) -> list[Figure]:
    count, rounds = (40, plan.pairs) if plan.quick else (200, plan.pairs * _MORE)
    with a_home() as home, SdkClient(bare_command("stdio")) as sdk:
        add_upstream(home)
        home.add("calls", CALLS)
        with home.front() as front:
            _paces(home, front, count)
            measures = {
                BARE: lambda: {"p50": sdk.call(count)},
                "tools": lambda: {"p50": _paces(home, front, count)},
            }
            series = interleave(rounds, measures, Budget(90))
    return [
        against_bare(
            series,
            "tools",
            "p50",
            unit="us",
            target=Target(1.3),
            what="tools.x of a stdio server, over the SDK's client",
        )
    ]


def _paces(home: Home, front: StdioClient, count: int) -> float:
    """Median microseconds from the beginning of one call to that of the next: a whole turn of the body, its record included."""
    answer = call(front, "run_workflow", name="calls", arguments={"n": count})
    return recorded_paces(database_path(str(home.path)), [answer["run_id"]])["p50"]
