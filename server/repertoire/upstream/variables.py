"""Variables: replaces `${env:NAME}` in an operator's definition by the value, and reports each value as a secret; used by commands and APIs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .tool import ToolUnavailable

AddSecret = Callable[[str, str], None]
"""Takes a value and its name: from now on the value is masked wherever it would be shown."""
_VARIABLE: Final = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def expanded(text: str, environ: Mapping[str, str], add_secret: AddSecret) -> str:
    """The text with its variables replaced. Raises ToolUnavailable that names a variable that is not set."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise ToolUnavailable(
                f"The environment variable {name} is not set where Repertoire runs.",
                "The operator can set it and restart.",
            )
        add_secret(environ[name], name)
        return environ[name]

    return _VARIABLE.sub(value, text)


def names_in(text: str) -> tuple[str, ...]:
    """The variables that a text needs."""
    return tuple(_VARIABLE.findall(text))
