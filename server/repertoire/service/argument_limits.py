"""Argument limits: refuses arguments that are no object or too long, before there is a run; used by Runs.

Their types are checked later, in the worker (signature/arguments.py). The number is `limits.Limits.max_arguments_bytes`.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import BadArguments
from ..limits import Limits


def checked_arguments(name: str, arguments: Any, limits: Limits) -> str:
    """The arguments as JSON. Raises BadArguments."""
    if not isinstance(arguments, dict):
        raise BadArguments(
            "`arguments` must be an object with the workflow's parameters.", f"get_workflow({name!r}) shows them."
        )
    text = json.dumps(arguments)  # ASCII: a lone surrogate in it must not break the store or the wire
    if (size := len(text)) > limits.max_arguments_bytes:
        raise BadArguments(
            f"The arguments are {size} bytes of JSON; at most {limits.max_arguments_bytes} are allowed.",
            "Put large input into a file and give its path.",
        )
    return text
