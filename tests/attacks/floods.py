"""Floods: more events, output, calls, records and values than a host could hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any, Final

from repertoire import artifacts, ask, log, progress, session_state, sleep, step, workflows

from .attack import FAILED, Table, Targets
from .server import Server

FLOODS: Final = Table("floods")
alone, outside = FLOODS.alone, FLOODS.outside
_ENDS: Final = (
    "completed .*",
    "failed (timeout|over_budget|out_of_memory|too_many_events|too_many_items|result_too_large|.*limit.*)",
)
"""It ends, by itself or by a limit. The bystander is answered meanwhile, and the database stays small: the test sees to both."""


@alone("logs a million lines", _ENDS, raw=True, timeout_s=1, costly=True)
def logs(t: Targets) -> object:
    for n in range(1_000_000):
        log.info(f"line {n}")
    return "1000000 lines"


@alone("prints a million lines", _ENDS, raw=True, timeout_s=1, costly=True)
def prints(t: Targets) -> object:
    for n in range(1_000_000):
        print("line", n)
    return "1000000 lines"


@alone("writes to its standard output past Python", _ENDS, raw=True, timeout_s=1, costly=True)
def raw_output(t: Targets) -> object:
    while True:
        os.write(1, b"x" * 65536)
        os.write(2, b"y\n" * 30000)


@alone("writes one line without an end", _ENDS, raw=True, timeout_s=1, costly=True)
def endless_line(t: Targets) -> object:
    for _ in range(2000):
        os.write(1, b"x" * 65536)
    return "130 MB"


@alone("logs one text of fifty megabytes", _ENDS, raw=True)
def long_line(t: Targets) -> object:
    log.info("x" * (50 << 20))
    return "logged"


@alone("reports progress a million times", _ENDS, raw=True, timeout_s=1, costly=True)
def reports(t: Targets) -> object:
    for n in range(1_000_000):
        progress(n, 1_000_000, "x" * 100)
    return "1000000 reports"


@alone("yields a million values", (*_ENDS, *FAILED), raw=True, timeout_s=1, costly=True)
def items(t: Targets) -> object:
    def endless() -> Iterator[str]:
        for _ in range(1_000_000):
            yield "x" * 1000

    return list(endless())


@alone("records a million steps", _ENDS, raw=True, timeout_s=1, costly=True)
def steps(t: Targets) -> object:
    for n in range(1_000_000):
        step(str, n)
    return "1000000 steps"


@alone("records steps of four megabytes each", (*_ENDS, *FAILED), raw=True, timeout_s=2, costly=True)
def large_steps(t: Targets) -> object:
    for n in range(200):
        step(lambda n: "x" * (4_000_000 + n), n)
    return "800 MB"


@alone("keeps fifty megabytes in its state", (*_ENDS, *FAILED), raw=True, timeout_s=2, costly=True)
def state(t: Targets) -> object:
    session_state["large"] = "x" * (50 << 20)
    return "kept"


@alone("saves artifacts without an end", (*_ENDS, *FAILED), raw=True, timeout_s=2, costly=True)
def many_artifacts(t: Targets) -> object:
    for n in range(100_000):
        artifacts.save(f"flood/{n}", "x")
    return "saved"


@alone("saves an artifact that is larger than allowed", FAILED, raw=True)
def large_artifact(t: Targets) -> object:
    artifacts.save("large", bytes(70 << 20))
    return "saved"


@alone("asks five thousand questions at once", (*_ENDS, *FAILED), raw=True, timeout_s=2, costly=True)
async def questions(t: Targets) -> object:
    return await asyncio.gather(*(ask(f"Question {n}?", bool) for n in range(5000)))


@alone("sleeps five thousand times at once", (*_ENDS, *FAILED), raw=True, timeout_s=2, costly=True)
async def sleepers(t: Targets) -> object:
    await asyncio.gather(*(sleep(0.5 + n / 10_000) for n in range(5000)))
    return "slept"


@alone("searches for workflows without an end", _ENDS, raw=True, timeout_s=1, costly=True)
def searches(t: Targets) -> object:
    names: Any = workflows
    while True:
        names.search("x " * 1000)


@alone("gives a result of a hundred megabytes", FAILED, raw=True, timeout_s=2, costly=True)
def large_result(t: Targets) -> object:
    return "x" * (100 << 20)


@outside("calls itself twice in each call, without an end", FAILED, costly=True)
def tree(server: Server) -> str:
    source = (
        '"""Grow."""\nimport asyncio\nfrom repertoire import workflows\n\n'
        '__workflow__ = {"timeout_s": 2, "budget": {"fan_out": 60}}\n\n\nasync def run(depth: int = 0) -> int:\n'
        '    """Grow."""\n'
        "    return sum(await asyncio.gather(*(workflows.attack_tree(depth=depth + 1) for _ in range(2))))\n"
    )
    server.tool("create_workflow", name="attack_tree", source=source, replace=True)
    return server.outcome(server.finished(server.tool("run_workflow", name="attack_tree", arguments={})))


@outside("creates a workflow in every run that it starts", ("refused .*", "failed .*", "completed .*"), costly=True)
def creates(server: Server) -> str:
    source = (
        "made = []\nfor n in range(30):\n"
        "    made.append(await workflows.create(name=f'attack_made_{n}', source='def run() -> int:\\n    return 1\\n'))\n"
        "len(made)\n"
    )
    return server.outcome(server.run(source))
