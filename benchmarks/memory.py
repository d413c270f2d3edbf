"""Resident memory, idle after a first call: the daemon, the front, and a bare server."""

from __future__ import annotations

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave
from .servers import ECHO, a_home, bare_command, fastmcp_command, rss_mib
from .wire import StdioClient, call_times

_CALLS = 20


def measure(plan: Plan) -> list[Figure]:
    def ours() -> dict[str, float]:
        with a_home() as home:
            home.add("echo", ECHO)
            with home.front() as front:
                call_times(front, "echo", _CALLS)
                daemon = home.status()["pid"]
                return {"daemon": rss_mib(daemon), "front": rss_mib(front.process.pid)}

    def alone(command: list[str]) -> dict[str, float]:
        with a_home() as home, StdioClient(command, home.environ) as client:
            call_times(client, "echo", _CALLS)
            taken = rss_mib(client.process.pid)
            return {"daemon": taken, "front": taken}

    measures = {BARE: lambda: alone(bare_command("stdio")), "Repertoire": ours}
    if python := plan.fastmcp:
        measures["FastMCP"] = lambda: alone(fastmcp_command(python, "stdio"))
    series = interleave(plan.pairs, measures, Budget(120))
    figures = [
        against_bare(series, "Repertoire", "daemon", what="daemon", unit="MiB", target=Target(95, "value")),
        against_bare(series, "Repertoire", "front", what="front", unit="MiB", target=Target(12, "value")),
    ]
    if plan.fastmcp:
        figures.append(against_bare(series, "FastMCP", "daemon", what="FastMCP", unit="MiB"))
    return figures
