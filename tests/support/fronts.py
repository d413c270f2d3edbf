"""A home and the fronts that hosts start for it, as fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.daemons import Home, Host

Start = Callable[..., Host]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(str(tmp_path / "home"))
    yield home
    home.close()


@pytest.fixture
def host(home: Home) -> Iterator[Start]:
    hosts: list[Host] = []

    def start(*words: str, **environment: str) -> Host:
        hosts.append(Host(home, *words, **environment))
        return hosts[-1]

    yield start
    for each in hosts:
        each.close()
