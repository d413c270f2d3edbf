"""RunInfo: ids, environment and limits of one run; given to an Entry when it binds the run's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

DEFAULTS_KEY: Final = "__defaults__"
"""Key in a class workflow's stored state: the names of constructor defaults that the state has received.

A default that the body has deleted stays deleted. No body sees this key.
"""


class RunInfo(NamedTuple):
    """`env` holds the environment variables that the body may see. `has_state` is true when session state is loaded and stored."""

    run_id: str
    workflow_name: str
    env: Mapping[str, str]
    session_id: str = ""
    has_state: bool = False
    max_items: int = 10_000
