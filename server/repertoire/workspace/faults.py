"""Workspace faults: `WorkspaceFault`, and the built-in exception that each of its codes means in a body; used by this package and `agents`."""

from __future__ import annotations

from typing import Final

BUILTIN: Final[dict[str, type[Exception]]] = {
    "no_such_file": FileNotFoundError,
    "file_exists": FileExistsError,
    "not_a_file": IsADirectoryError,
    "not_a_folder": NotADirectoryError,
    "outside_workspace": PermissionError,
    "shell_refused": PermissionError,
    "shell_timeout": TimeoutError,
    "workspace_full": OSError,
}
"""The codes of this package. A body that was written for `open` and `subprocess` catches these exceptions."""


class WorkspaceFault(Exception):
    """Raised when the workspace cannot do what was asked. `code` is one of BUILTIN."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def builtin(code: str, message: str, hint: str | None = None) -> Exception | None:
    """The built-in exception for a code; None for a code of another part."""
    kind = BUILTIN.get(code)
    return None if kind is None else kind(f"{message} {hint}" if hint else message)
