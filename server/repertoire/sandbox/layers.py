"""Layers: the walls of the sandbox and their state on this machine, as values; used by the pool, the service and `repertoire doctor`."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

NOT_A_BOUNDARY: Final = "crash and hang isolation, not a security boundary"

LayerName = Literal[
    "namespaces", "user", "capabilities", "no_new_privs", "landlock", "seccomp", "scratch", "limits", "cgroup"
]
State = Literal["active", "missing", "impossible", "off"]

LAYERS: Final[dict[LayerName, str]] = {
    "namespaces": "no network, no process of the machine, no file but the interpreter and its packages",
    "user": "not the root user",
    "capabilities": "no right of an administrator",
    "no_new_privs": "no right is gained by starting a program",
    "landlock": "files are read from the interpreter only, and written to the run's scratch folder only",
    "seccomp": "only the calls of the kernel that computing needs: no socket, no process, no signal",
    "scratch": "a scratch folder in memory, with a limit of its size and of its files",
    "limits": "limits of memory, open files, file size and processes",
    "cgroup": "one limit of memory and processes for all untrusted runs together",
}
"""The walls, outermost first, and the promise of each."""
_NEEDED: Final[frozenset[LayerName]] = frozenset(("landlock", "seccomp", "no_new_privs", "limits"))
"""Without one of these the sandbox is no boundary. The others are second walls behind them: a container often allows no namespaces."""


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
    def active(self) -> list[str]:
        return [layer.name for layer in self.layers if layer.state == "active"]

    @property
    def is_real(self) -> bool:
        """Code can reach nothing outside: a boundary, not only a process of its own."""
        return set(self.active) >= _NEEDED

    @property
    def label(self) -> str:
        """One short text for people and models."""
        return f"sandboxed: {', '.join(self.active)}" if self.is_real else f"none: {NOT_A_BOUNDARY}"
