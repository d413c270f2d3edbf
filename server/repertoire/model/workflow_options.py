"""Workflow options: what a module may declare in its literal `__workflow__`; read by registry/source.py, stored with the version."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class BudgetOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The budget of a run and all runs below it: calls through doors, requests to models and their tokens, calls at once, depth of the
    tree."""

    calls: Annotated[int, msgspec.Meta(ge=0)] | None = None
    requests: Annotated[int, msgspec.Meta(ge=0)] | None = None
    tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    fan_out: Annotated[int, msgspec.Meta(ge=1)] | None = None
    depth: Annotated[int, msgspec.Meta(ge=0)] | None = None


class DeclaredNeeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Needs that the text of a module does not tell. They are added to those that it tells."""

    hosts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The options that a module may declare in a literal `__workflow__ = {...}`."""

    title: str | None = None
    tags: tuple[str, ...] = ()
    timeout_s: float | None = None
    read_only: bool | None = None
    idempotent: bool | None = None
    disconnect: Literal["cancel", "detach"] = "cancel"
    budget: BudgetOptions | None = None
    tools: tuple[str, ...] = ()
    """Tools that it calls by names that are built at run time: `github.create_issue`, or `github.*` for all of a source."""
    needs: DeclaredNeeds | None = None
    fresh: bool = False
    """Its process is not used again: it changes a library in a way that no comparison detects."""
    callable_by_untrusted: bool = False
    """Untrusted code may call it. It then runs with the rights of a trusted workflow on arguments that nobody has checked."""
