"""Unavailable features: a stand-in for `deps`, and the exception for agents, which this version does not have.

A file that only mentions them loads and is published. Any use of them raises NotAvailable with a sentence that says so.
Used by workflow files, `context`, `classes` and `compat`.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..values.refusals import NotAvailable
from . import ambient, artifacts, durable
from .tools import tools

_INSTEAD: Final = {
    "agents": "Call the model's own Python package, with its key named in the setting worker_env.",
    "deps": "Install the package into the Python that runs workflows.",
}


class Later:
    """A stand-in for a namespace and for any name in it: `artifacts.save`."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Later:
        if name.startswith("__"):  # Python itself looks such names up
            raise AttributeError(name)
        return Later(f"{self._path}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise not_yet(f"{self._path}(...)", self._root)

    def __getitem__(self, key: object) -> NoReturn:
        raise not_yet(f"{self._path}[{key!r}]", self._root)

    def __contains__(self, key: object) -> NoReturn:
        raise not_yet(f"{key!r} in {self._path}", self._root)

    def __iter__(self) -> NoReturn:
        raise not_yet(f"iterating over {self._path}", self._root)

    def __repr__(self) -> str:
        return f"<{self._path}: comes with a later version of Repertoire>"

    @property
    def _root(self) -> str:
        return self._path.partition(".")[0]


def not_yet(what: str, name: str, instead: str | None = None) -> NotAvailable:
    """The exception for a use of a missing feature, noted. `what`: the body's call; `name`: the feature that it belongs to."""
    verb = "come" if name.endswith("s") else "comes"
    message = f"{what}: {name} {verb} with a later version of Repertoire"
    refusal = NotAvailable(message, hint=instead or _INSTEAD.get(name))
    ambient.note_refusal(refusal)
    return refusal


deps: Any = Later("deps")

BY_NAME: Final[dict[str, Any]] = {
    "tools": tools,
    "workflows": durable.workflows,
    "artifacts": artifacts.artifacts,
    "deps": deps,
}
"""The values of `run`'s parameters with these names. All but `deps` are also globals of every workflow module."""
