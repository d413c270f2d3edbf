"""Required: skips a test that misses something on this machine, with the reason; fails it if a variable says so."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def require(variable: str, reason: str) -> NoReturn:
    """Skip the test. With `variable=1`, as CI sets it, fail it."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"{variable}=1, but {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED: {reason}")
