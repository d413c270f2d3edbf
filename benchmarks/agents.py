"""What an agent costs: the façade beside bare pydantic-ai with its TestModel, imports before an agent runs, memory of a process with one."""

from __future__ import annotations

import subprocess
import sys

from .figures import BARE, Budget, Figure, Plan, Target, against_bare, interleave
from .wire import Failed

_RUNS = 200
_FACADE = """
from repertoire import Agent
from pydantic_ai.models.test import TestModel
agent = Agent(model=TestModel(call_tools=[], custom_output_text="yes"), instructions="Be brief.")
def once():
    assert agent.run("hello").content == "yes"
"""
_BARE = """
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
agent = Agent(TestModel(call_tools=[], custom_output_text="yes"), instructions="Be brief.")
def once():
    assert agent.run_sync("hello").output == "yes"
"""
_TIMES = """
import sys, time
from statistics import median
for _ in range(10):
    once()
times = []
for _ in range({runs}):
    began = time.perf_counter()
    once()
    times.append(time.perf_counter() - began)
print(median(times) * 1e3)
"""
_DEFINED = """
from repertoire import Agent
agent = Agent(model="openai:gpt-4o-mini", instructions="Be brief.")
"""
_MEMORY = """
import re
from pathlib import Path
print(int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def measure(plan: Plan) -> list[Figure]:
    runs = _RUNS // 4 if plan.quick else _RUNS
    times = {
        BARE: lambda: {"p50": _said(_BARE + _TIMES.format(runs=runs))},
        "facade": lambda: {"p50": _said(_FACADE + _TIMES.format(runs=runs))},
    }
    series = interleave(plan.pairs, times, Budget(90))
    heavy = _said(
        f"{_DEFINED}\nimport sys\nprint(sum(name.partition('.')[0] == 'pydantic_ai' for name in sys.modules))"
    )
    figures = [
        against_bare(
            series, "facade", "p50", target=Target(3, "difference"), what="a run of an agent, over bare pydantic-ai"
        ),
        Figure("modules of pydantic-ai in a process that has defined an agent", "", heavy, target=Target(0, "value")),
    ]
    if sys.platform == "linux":
        plain, defined = _said("import repertoire" + _MEMORY), _said(_DEFINED + _MEMORY)
        ran = _said(f"{_FACADE}once()\n{_MEMORY}")
        figures += [
            Figure("memory of a process that has defined an agent", "MiB", defined, plain, defined / plain),
            Figure("memory of a process in which an agent has run", "MiB", ran, plain, ran / plain),
        ]
    return figures


def _said(source: str) -> float:
    """The number that a fresh Python prints."""
    done = subprocess.run([sys.executable, "-P", "-c", source], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Failed(done.stderr[-500:])
    return float(done.stdout)
