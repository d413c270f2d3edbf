"""Confirm: asks before something is deleted, where a person can answer; used by commands that delete."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import output
from .prompt import someone_is_there

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Ends the command with 1 unless the person agrees. A script, which has no terminal, is not asked."""
    if yes or not someone_is_there():
        return
    output.err.print(f"{question} [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        output.err.print("Nothing was done.")
        raise typer.Exit(1)
