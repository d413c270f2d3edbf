"""Layers: the walls of the sandbox and their state on this machine, as values; used by the pool, the service and `repertoire doctor`."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

NOT_A_BOUNDARY: Final = "crash and hang isolation, not a security boundary"

State = Literal["active", "missing", "impossible", "off"]


class Layer(NamedTuple):
    name: str
    state: State
    detail: str = ""
    """What it is made of, or why it is not there."""
    remedy: str = ""
    """What would make it active."""


class Isolation(NamedTuple):
    layers: tuple[Layer, ...]

    @property
    def is_real(self) -> bool:
        """Code can reach nothing outside: a boundary, not only a process of its own."""
        active = {one.name for one in self.layers if one.state == "active"}
        return {"namespaces", "no_new_privs", "seccomp", "limits"} <= active

    @property
    def label(self) -> str:
        """One short text for people and models."""
        if not self.is_real:
            return f"none: {NOT_A_BOUNDARY}"
        return f"sandboxed: {', '.join(one.name for one in self.layers if one.state == 'active')}"
