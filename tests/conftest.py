from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from repertoire import home as homes
from repertoire.sandbox.layers import LAYERS
from support.transports import WAYS, Way, open_way


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: half of the time of a test is waiting for others."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def without_walls() -> Iterator[None]:
    """For tests in which code that nobody has approved leaves marks in files, or kills itself: the sandbox refuses both. Limits stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPERTOIRE_SANDBOX_WITHOUT", ",".join(name for name in LAYERS if name != "limits"))
        patch.setenv("REPERTOIRE_AUTHORING", "sandboxed")  # without walls, code would wait for approval
        yield


@pytest.fixture(autouse=True)
def no_daemon_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A command that runs a workflow leaves a daemon for 15 minutes. Hundreds of them would share the machine."""
    yield
    folder: Path | None = (request.node.funcargs or {}).get("tmp_path")  # None after an interrupt
    for depth in ("", "*/", "*/*/"):
        for info in folder.glob(f"{depth}daemon.json") if folder is not None else ():
            with contextlib.suppress(OSError, ValueError, KeyError):
                found = json.loads(info.read_text())
                if found["kind"] == "daemon" and homes.is_owned(
                    str(info.parent)
                ):  # else the number may be another's by now
                    os.kill(found["pid"], signal.SIGKILL)


@pytest.fixture(params=WAYS, scope="module")
async def way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Way]:
    """Every transport and era; the home and its server are shared by the tests of a module."""
    environ = dict(getattr(request.module, "ENVIRON", {}))
    async with open_way(request.param, tmp_path_factory.mktemp("way") / "home", environ) as found:
        yield found
