"""Confirm: asks before something is deleted, where a person can answer; used by commands that delete."""

from __future__ import annotations

from typing import Annotated

import typer

from .prompt import someone_is_there

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Ends the command with 1 when the person says no. A script, which has no terminal, is not asked."""
    if not yes and someone_is_there():
        typer.confirm(question, abort=True, err=True)
