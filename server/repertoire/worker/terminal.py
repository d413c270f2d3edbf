"""Terminal: `input()` and `breakpoint()` in a run, which has no terminal; they raise an error that names the ways. Used by Process."""

from __future__ import annotations

import builtins
import sys
from typing import Final, NoReturn

from ..values.refusals import NotAvailable

_DEBUGGERS: Final = frozenset({"cmd", "pdb", "bdb", "code"})
"""Modules that read a person's commands by `input()`. They take EOFError for the end of their work, and would hide the sentence."""

_running: list[str] = []
"""The name of the workflow that runs in this process."""


class NoTerminal(NotAvailable, EOFError):
    """Raised by `input()`. It is an EOFError too, because scripts expect that one where nobody can type."""


def install() -> None:
    """Put both in the place of Python's own, for the life of the process."""
    builtins.input = _refuse_input
    sys.breakpointhook = _refuse_breakpoint


def begin(name: str) -> None:
    _running[:] = [name]


def end() -> None:
    _running.clear()


def _refuse_input(prompt: object = "", /) -> NoReturn:
    if sys._getframe(1).f_globals.get("__name__") in _DEBUGGERS:
        _refuse_breakpoint()
    message = (
        "input(): a run has no terminal. Ask with `ask(question)`: it waits for the answer of a person or of the caller"
    )
    raise NoTerminal(message, hint=f"At your own terminal input() works with {_foreground()}.")


def _refuse_breakpoint(*args: object, **kwargs: object) -> NoReturn:
    message = f"breakpoint(): a run has no terminal. At your own terminal it works with {_foreground()}"
    raise NotAvailable(message, hint="In a run, log.info(...) and print(...) show values: `repertoire logs RUN`.")


def _foreground() -> str:
    return f"`repertoire debug {_running[0] if _running else 'NAME'}`"
