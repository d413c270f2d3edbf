"""Variables: replaces `${env:NAME}` in an operator's definition by the value, and reports each value as a secret; used by all sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .tool import ToolUnavailable

AddSecret = Callable[[str, str], None]
"""Takes a value and its name: from now on the value is masked wherever it would be shown."""
Mask = Callable[[str], str]
"""The text without secrets. A text is masked before it is cut, because a cut secret is not found."""
_NAME: Final = r"([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}"
_VARIABLE: Final = re.compile(r"\$\{env:" + _NAME)
_SHORT: Final = re.compile(r"\$\{(?:env:)?" + _NAME)
_NO_SECRETS: Final = frozenset({"HOME", "USER", "LOGNAME", "PATH", "SHELL", "PWD", "TMPDIR", "LANG", "TZ", "HOSTNAME"})

_SECRET_NAME: Final = re.compile(r"TOKEN|KEY|SECRET|PASS|AUTH|CREDENTIAL|COOKIE", re.IGNORECASE)


def add_if_secret(value: str, name: str, add_secret: AddSecret) -> None:
    """Report a value under a name such as `API_KEY` as a secret, also the second half of `Bearer TOKEN` and `user:password`."""
    if _SECRET_NAME.search(name):
        add_secret(value, name)
        for separator in (" ", ":"):
            rest = value.partition(separator)[2].strip()
            if rest and not rest.startswith("//"):  # a URL
                add_secret(rest, name)


def expanded(text: str, environ: Mapping[str, str], add_secret: AddSecret, *, short: bool = False) -> str:
    """The text with its variables replaced. Raises ToolUnavailable that names a variable that is not set.

    `${env:NAME:-default}` needs none. `short`: `${NAME}` is a variable too, as in files that other hosts read.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name not in environ:
            if default is not None:
                return default
            raise ToolUnavailable(
                f"The environment variable {name} is not set where Repertoire runs.",
                "The operator can set it and restart.",
            )
        if name not in _NO_SECRETS:
            add_secret(environ[name], name)
        return environ[name]

    return (_SHORT if short else _VARIABLE).sub(value, text)


def names_in(text: str) -> tuple[str, ...]:
    """The variables that a text needs."""
    return tuple(match[1] for match in _VARIABLE.finditer(text) if match[2] is None)
