"""The table of call operations beside the doors of a home."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.call_operations import OPERATIONS
from support.survivals import opened


@pytest.mark.anyio
async def test_the_table_has_each_door_of_a_home_and_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path / "home") as app:
        assert sorted(app._runner.doors) == sorted(OPERATIONS)
