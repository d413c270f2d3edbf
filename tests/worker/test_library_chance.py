"""Chance in libraries: numpy's global generator is the run's own, and a body that does not repeat is told what the cause most likely is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.worker.source.suspects import suspects
from support import replays, workers
from support.replays import publish, survived
from support.survivals import run
from support.workers import Worker

pytestmark = pytest.mark.anyio
home, app, traces = replays.home, replays.app, replays.traces
shared, worker = workers.shared, workers.worker

DRAWS = {
    "imported first": "import numpy\ndef run(): return numpy.random.rand(3).tolist()",
    "imported late": "def run():\n    from numpy import random\n    return [random.rand(), int(random.randint(1000))]",
    "by name": "import importlib\ndef run(): return float(importlib.import_module('numpy').random.normal())",
    "by a library": "import scipy.stats\ndef run(): return scipy.stats.norm.rvs(size=3).tolist()",
}


# Case W26.
@pytest.mark.parametrize("kind", DRAWS)
def test_w26_numpys_global_generator_is_seeded_by_the_run(worker: Worker, kind: str) -> None:
    first = worker.result(DRAWS[kind], run_id="one")
    assert worker.result(DRAWS[kind], run_id="two") != first
    assert worker.result(DRAWS[kind], run_id="one") == first


# Case W26.
async def test_w26_a_run_that_draws_from_numpy_is_begun_again_and_draws_the_same(app: App, traces: Path) -> None:
    source = """
import numpy
def run() -> list[str]:
    first = step(effect, f"{numpy.random.rand():.9f}")
    die()
    return [first, step(effect, f"{numpy.random.rand():.9f}")]
"""
    answer = await survived(app, traces, source)
    assert (traces / "effects").read_text().split() == answer["result"]


SOURCES: dict[str, tuple[str, str]] = {
    "numpy": ("import numpy\nvalue = numpy.random.default_rng().random()", "numpy"),
    "secrets": ("import secrets\nvalue = secrets.token_hex(4)", "secrets"),
    "urandom": ("value = os.urandom(4).hex()", "os.urandom"),
    "system random": ("import random\nvalue = random.SystemRandom().random()", "SystemRandom"),
}


# Case W26.
@pytest.mark.parametrize("kind", SOURCES)
async def test_w26_a_body_that_does_not_repeat_hears_of_the_likely_cause(app: App, traces: Path, kind: str) -> None:
    draws, named = SOURCES[kind]
    source = "def run() -> str:\n" + "".join(f"    {line}\n" for line in draws.splitlines())
    await publish(
        app, traces, flow=source + "    step(effect, str(value))\n    die()\n    return step(effect, 'end')\n"
    )
    answer: dict[str, Any] = await run(app, "flow")
    assert answer["error"]["code"] == "non_determinism"
    assert (
        named in answer["error"]["hint"] and "step()" in answer["error"]["hint"] and "(line " in answer["error"]["hint"]
    )


def test_w26_a_hint_names_what_the_text_uses_and_nothing_that_repeats() -> None:
    assert suspects("import random, uuid, time\ndef run(): return random.random(), uuid.uuid4(), time.time()") is None
    assert suspects("import secrets\ndef run(): return 1  # secrets") is None
    assert "line 2" in str(suspects("from faker import Faker\nfake = Faker()"))
    assert "torch" in str(suspects("import torch\nx = torch.Generator()"))
    assert "set of objects" in str(suspects("for one in set(things): step(one)"))
