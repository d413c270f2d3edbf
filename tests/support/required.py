"""What a test needs of the machine and does not find: skipped with its reason, or a failure where the variable says so."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def require(variable: str, reason: str) -> NoReturn:
    """`variable=1`, as CI sets it, makes what is missing a failure."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"{variable}=1, but {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED: {reason}")
