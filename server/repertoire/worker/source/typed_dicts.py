"""One TypedDict for pydantic, in every process that loads workflows."""

from __future__ import annotations

import sys
from typing import Any


def accept_typed_dicts() -> None:
    """Before Python 3.12 pydantic reads only typing_extensions' TypedDict; here both names mean that one."""
    if sys.version_info < (3, 12):
        import typing

        import typing_extensions

        unchecked: Any = typing
        unchecked.TypedDict = typing_extensions.TypedDict
