from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.transports import WAYS, Way, way_in

os.environ.setdefault("REPERTOIRE_IDLE_EXIT_S", "30")
"""A command that runs a workflow leaves a daemon. With the default of 15 minutes, hundreds of them would share the machine."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=WAYS, scope="module")
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Every transport and era; the home and its server are shared by the tests of a module."""
    environ = dict(getattr(request.module, "ENVIRON", {}))
    with way_in(request.param, tmp_path_factory.mktemp("way") / "home", environ) as found:
        yield found
