"""What a run's host says of it to the body's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

DEFAULTS_KEY: Final = "__defaults__"
"""Where a class workflow's stored state keeps which constructor defaults it has been given: one that was deleted since stays deleted.
No body sees it."""


class RunInfo(NamedTuple):
    """Which run it is. `env` holds the variables that the body may see; `has_state`, whether session state is loaded and kept."""

    run_id: str
    workflow_name: str
    env: Mapping[str, str]
    session_id: str = ""
    has_state: bool = False
    max_items: int = 10_000
