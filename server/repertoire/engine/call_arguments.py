"""Call arguments: reads the arguments of a body's call, a text that the body may have written itself; used by CallExecutor."""

from __future__ import annotations

import json
from typing import Any, Final

from ..errors import BadArguments
from ..limits import Limits
from ..values.json_check import MAX_DEPTH, NotJson, check_long_json, count_values

_MOST_VALUES: Final = 1_000_000
"""Values in one call's arguments. The server makes a Python object of each, and nothing else goes on meanwhile."""
_BESIDE: Final = 1_000
"""Characters of the workflow's name and the like, beside its arguments."""
_PASS: Final = "Save the data as an artifact, and pass its name."


def read_arguments(op: str, text: str, limits: Limits) -> dict[str, Any]:
    """Raises BadArguments."""
    if op == "workflow" and len(text) > limits.max_arguments_bytes + _BESIDE:
        raise BadArguments(
            f"The arguments of this call are {len(text):,} bytes of JSON; at most {limits.max_arguments_bytes:,} are allowed.",
            _PASS,
        )
    if count_values(text, _MOST_VALUES) > _MOST_VALUES:
        raise BadArguments(f"The arguments of this call have more than {_MOST_VALUES:,} values.", _PASS)
    try:
        check_long_json(text)
        read = json.loads(text)
    except NotJson as error:
        raise BadArguments(f"The arguments of this call are no JSON that the server reads: {error}.") from None
    except (ValueError, RecursionError):
        raise BadArguments(
            f"The arguments of this call have a number of more than 4,300 digits, or more than {MAX_DEPTH} values inside each other.",
            "Pass long numbers as text.",
        ) from None
    if not isinstance(read, dict):
        raise BadArguments("The arguments of this call are no JSON object.")
    return read
