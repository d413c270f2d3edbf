"""What a call costs: a trivial trusted workflow through the front, over --embedded and over HTTP, and a created one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave, latencies
from .servers import ECHO, Home, a_home, bare_command, fastmcp_command, http_server
from .wire import Client, HttpClient, StdioClient, call, call_times

_CALLS = 400
_CALLS_HTTP = 200
_WARM_UP = 50


def measure(plan: Plan) -> list[Figure]:
    with a_home() as home, a_home() as embedded:
        home.add("echo", ECHO)
        embedded.add("echo", ECHO)
        return _over_stdio(home, embedded, plan) + _over_http(home, plan)


def _over_stdio(home: Home, embedded: Home, plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        bare = stack.enter_context(StdioClient(bare_command("stdio"), home.environ))
        front = stack.enter_context(home.front())
        alone = stack.enter_context(embedded.front("--embedded"))
        call(front, "create_workflow", name="made", source=ECHO)
        measures = {
            BARE: repeated(bare, "echo", plan),
            "front": repeated(front, "echo", plan),
            "embedded": repeated(alone, "echo", plan),
            "created by a tool": repeated(front, "made", plan),
        }
        if plan.fastmcp:
            fast = stack.enter_context(StdioClient(fastmcp_command(plan.fastmcp, "stdio"), home.environ))
            measures["FastMCP"] = repeated(fast, "echo", plan)
        series = interleave(plan.pairs, measures, Budget(80))
    targets = {
        ("front", "p50"): Target(1.6),
        ("created by a tool", "p50"): Target(6, "difference"),
    }
    return [
        against_bare(
            series, subject, name, what=f"stdio, {subject}, {name}", target=targets.get((subject, name)),
        )
        for subject in measures if subject != BARE for name in ("p50", "p99")
    ]  # fmt: skip


def _over_http(home: Home, plan: Plan) -> list[Figure]:
    home.stop()
    with ExitStack() as stack:

        def door(command: list[str]) -> Callable[[], Mapping[str, float]]:
            url = stack.enter_context(http_server(command, home.environ))

            def once() -> Mapping[str, float]:  # a connection of its own: servers close one that rests for some seconds
                with HttpClient(url) as client:
                    return repeated(client, "echo", plan, _CALLS_HTTP)()

            return once

        measures = {BARE: door(bare_command("http")), "HTTP": door(home.command("serve", "--http", "127.0.0.1:0"))}
        if plan.fastmcp:
            measures["FastMCP"] = door(fastmcp_command(plan.fastmcp, "http"))
        series = interleave(plan.pairs, measures, Budget(60))
    return [
        against_bare(series, subject, name, what=f"HTTP, {'Repertoire' if subject == 'HTTP' else subject}, {name}")
        for subject in measures
        if subject != BARE
        for name in ("p50", "p99")
    ]


def repeated(client: Client, name: str, plan: Plan, calls: int = _CALLS) -> Callable[[], Mapping[str, float]]:
    call_times(client, name, _WARM_UP)
    return lambda: latencies(call_times(client, name, calls // 4 if plan.quick else calls))
