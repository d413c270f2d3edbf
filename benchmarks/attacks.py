"""Attacks beside other people's calls: how long a bystander waits while code that came through a tool takes all that it can get."""

from __future__ import annotations

import threading
import time
from statistics import median
from typing import Final

from .figures import Figure, Plan, Target, latencies
from .servers import ECHO, Home, a_home
from .wire import Failed, StdioClient, call

_CALLS: Final = 300
_SECONDS: Final = 4.0
"""For which each bomb runs; it is begun again when it has ended."""
_TIMES_UNDISTURBED: Final = 5
_ALWAYS_GOOD_MS: Final = 100.0
"""The target: the larger of five times the undisturbed p99 and this."""
_SETTINGS: Final = {
    "REPERTOIRE_RUN_TIMEOUT_S": "2", "REPERTOIRE_WORKER_MEMORY_MB": "300", "REPERTOIRE_SEARCH_MODEL": "off",
    "REPERTOIRE_READY_WORKFLOWS": "false", "REPERTOIRE_WORKERS": "4",
}  # fmt: skip
BOMBS: Final = {
    "a busy loop": "while True:\n    pass\n",
    "a busy loop in four threads": """
import threading


def spin():
    while True:
        pass


for _ in range(4):
    threading.Thread(target=spin).start()
spin()
""",
    "an integer of a billion digits": "len(str(3 ** (10**9)))\n",
    "small objects without an end": "kept = []\nwhile True:\n    kept.append([*kept[-1:]])\n",
    "ten thousand threads": """
import threading

over = threading.Event()
for _ in range(10_000):
    threading.Thread(target=over.wait, daemon=True).start()
1
""",
    "files until the disk is full": """
for n in range(100_000):
    with open(f'f{n}', 'wb') as file:
        file.write(bytes(65536))
1
""",
    "log lines without an end": "while True:\n    log.info('x' * 200)\n",
    "printed lines without an end": "while True:\n    print('x' * 200)\n",
    "recorded steps without an end": "n = 0\nwhile True:\n    n += 1\n    step(str, n)\n",
    "calls without an end": """
import asyncio

await asyncio.gather(*(sleep(0.5) for _ in range(900)))
while True:
    await workflows.search('x')
""",
    "results of sixteen megabytes": "'x' * (15 << 20)\n",
    "results of a million keys": "{f'k{n}': n for n in range(500_000)}\n",
}
"""Each is sent to run_code, again and again."""


def measure(plan: Plan) -> list[Figure]:
    seconds = 1.0 if plan.quick else _SECONDS
    with a_home() as home:
        home.environ |= _SETTINGS
        home.add("echo", ECHO)
        with home.front() as bystander:
            _call_for(bystander, calls=30)
            undisturbed = latencies(_call_for(bystander, calls=60 if plan.quick else _CALLS))["p99"]
            target = Target(max(_TIMES_UNDISTURBED * undisturbed, _ALWAYS_GOOD_MS), "value")
            figures = [Figure("p99 of a bystander's call, undisturbed", "ms", undisturbed)]
            for what, source in BOMBS.items():
                values = [
                    _disturbed(home, bystander, source, seconds) for _ in range(1 if plan.quick else min(plan.pairs, 3))
                ]
                figures.append(
                    Figure(f"the same beside {what}", "ms", median(values), pairs=len(values), target=target)
                )
    return figures


def _disturbed(home: Home, bystander: StdioClient, source: str, seconds: float) -> float:
    """The bystander's p99 in milliseconds while two callers send this code."""
    over = threading.Event()
    threads = [threading.Thread(target=_attack, args=(home, source, over)) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)  # the fronts start
    try:
        return latencies(_call_for(bystander, seconds=seconds))["p99"]
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _attack(home: Home, source: str, over: threading.Event) -> None:
    with home.front("--session", "attack") as attacker:
        while not over.is_set():
            try:
                call(attacker, "run_code", source=source)
            except Failed:  # most of them fail
                continue


def _call_for(client: StdioClient, *, calls: int = 10**9, seconds: float = 60.0) -> list[float]:
    """Seconds of each call, with a pause as long as a person's client makes."""
    times: list[float] = []
    end = time.monotonic() + seconds
    while len(times) < calls and time.monotonic() < end:
        began = time.perf_counter()
        call(client, "run_workflow", name="echo", arguments={"text": "hi"})
        times.append(time.perf_counter() - began)
        time.sleep(0.002)
    return times
