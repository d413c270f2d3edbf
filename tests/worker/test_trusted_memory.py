"""The memory of workers that run the operator's files: a bomb ends its own run, and libraries that reserve much still run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from repertoire.app import open_app
from repertoire.engine.machine_memory import memory_mb, trusted_memory_mb
from repertoire.limits import Limits
from repertoire.model.session import Caller
from repertoire.settings import load

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts this on Linux")]

FILES = {
    "bomb": "def run() -> int:\n    held = []\n    while len(held) < 4096:\n        held.append(bytes(1 << 20))\n    return len(held)\n",
    "array_bomb": "import numpy\n\ndef run() -> int:\n    return len([numpy.ones(1 << 17) for _ in range(4096)])\n",
    "arrays": "import numpy\n\ndef run() -> float:\n    a = numpy.ones((300, 300))\n    return float((a @ a).sum())\n",
    "threads": (
        "import threading, time\n\ndef run() -> int:\n    all = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(20)]\n"
        "    for one in all:\n        one.start()\n    for one in all:\n        one.join()\n    return len(all)\n"
    ),
    "limit": (
        "import resource\n\n__workflow__ = {'fresh': True}\n\ndef run() -> list[int]:\n"
        "    return [one >> 20 for one in resource.getrlimit(resource.RLIMIT_DATA)]\n"
    ),
}


async def test_a_body_that_allocates_too_much_ends_alone(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    for name, source in FILES.items():
        (tmp_path / "workflows" / f"{name}.py").write_text(f'"""Do it."""\n\n{source}')
    environ = {
        "REPERTOIRE_READY_WORKFLOWS": "false",
        "REPERTOIRE_SEARCH_MODEL": "off",
        "REPERTOIRE_TRUSTED_MEMORY_MB": "512",
    }
    async with open_app(load(home=str(tmp_path), environ=environ), watch=False) as app:

        async def ran(name: str) -> dict[str, object]:
            live = await app.service.runs.start(Caller(), name, {})
            return app.service.runs.envelope(await app.service.runs.wait(live, 60))

        for _ in range(3):  # the first worker is a process of its own, later ones are forked
            assert (await ran("limit"))["result"] == [512, 512]
        for name in ("bomb", "array_bomb"):
            ended = await ran(name)
            assert ended["status"] == "failed", ended
            error = ended["error"]
            assert isinstance(error, dict) and error["code"] == "out_of_memory", error
            assert "512 MB" in error["hint"] and "trusted_memory_mb" in error["hint"], error
        assert [(await ran(name))["result"] for name in ("arrays", "threads")] == [27_000_000.0, 20]


def test_the_default_is_half_of_the_memory() -> None:
    assert trusted_memory_mb(Limits()) == memory_mb() // 2 > 100
    assert trusted_memory_mb(Limits(trusted_memory_mb=0)) == 0
    assert trusted_memory_mb(Limits(trusted_memory_mb=300)) == 300
