"""Needs: everything outside of its own body that a version uses, as callers and approvers see it; read by `registry.needs`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

UNKNOWN: Final = "*"
"""The last of a list: something whose name is known only at run time."""


class Needs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version uses. `artifacts` are verbs: `save`, `load`."""

    packages: tuple[str, ...] = ()
    """Beyond the standard library; and modules of it that created code may not import, such as `subprocess`."""
    tools: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Reached with `tools.fetch` and `tools.curl`."""
    workflows: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Asked by agents. `default`: the model of the server."""
    state: bool = False
    asks: bool = False
    shell: bool = False

    def public(self) -> dict[str, Any]:
        """Only those that there are: {} for a body that uses nothing."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in shown.items()}

    def sentences(self) -> list[str]:
        """The same for a person: `tools: fetch`, `hosts: api.github.com and others`."""
        shown = self.public()
        lists = [f"{name}: {_spoken(shown[name])}" for name in _LISTS if name in shown]
        return lists + [text for name, text in _FLAGS.items() if shown.get(name)]


_LISTS: Final = ("packages", "tools", "hosts", "workflows", "artifacts", "models")
_FLAGS: Final = {"state": "keeps state in its session", "asks": "asks a person", "shell": "uses the shell"}


def _spoken(names: list[str]) -> str:
    known = ", ".join(name for name in names if name != UNKNOWN)
    if UNKNOWN not in names:
        return known
    return f"{known}, and others that its text does not name" if known else "some that its text does not name"
