"""TypedDict: makes both TypedDict classes the one that pydantic reads; used by every process that loads workflows."""

from __future__ import annotations

import sys
from typing import Any


def accept_typed_dicts() -> None:
    """Replace typing's TypedDict by that of typing_extensions: before Python 3.12 pydantic reads only the latter."""
    if sys.version_info < (3, 12):
        import typing

        import typing_extensions

        unchecked: Any = typing
        unchecked.TypedDict = typing_extensions.TypedDict
