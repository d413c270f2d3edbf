"""Stand-ins: objects for names of Agno, phi and buddy that we do not have, so that a file which only mentions them loads. Used by `hook`.

Each can be imported, made, and given to an agent or a workflow. Any real use of it raises NotAvailable: the sentence names the replacement.
A class is made once for each name, so `isinstance` and subclasses work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final, NoReturn

from ..classes.stored_sessions import Storage
from ..distributions import distribution_of
from ..values.refusals import NotAvailable
from .import_tables import AREAS

_NEVER: Final = frozenset({"session_id", "run", "arun", "run_id", "content", "event", "model_dump"})
"""Attributes by which agents, responses and models are recognised. A stand-in is none of these."""


_USUAL: Final = {"host": "localhost", "port": 5432, "connection": "postgresql+psycopg://localhost:5432/db"}
"""What a part of a deployment says that was not told it."""


def refusal(path: str) -> NotAvailable:
    """The exception for a use of this name, such as `agno.vectordb.pgvector.PgVector`."""
    package, _, below = path.partition(".")
    hint = f"In its place: {AREAS.get(below.partition('.')[0], 'write what it does in Python')}. {prefer(package)}"
    return NotAvailable(f"Repertoire has no {path}: the file may name it, but not use it", hint=hint)


def prefer(package: str) -> str:
    """The way to the real package."""
    return f"Or install '{distribution_of(package) or package}' and set prefer_installed."


class Unusable:
    """A function, a method or a member of an enumeration that we do not have. Only calling it raises."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Unusable:
        if name.startswith("_") or name in _NEVER:
            raise AttributeError(name)
        return Unusable(f"{self._path}.{name}")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise refusal(self._path)

    def __repr__(self) -> str:
        return f"<{self._path}: not in Repertoire>"


class _Kind(type):
    """The class of stand-in classes: any attribute of one is there, such as the members of an enumeration."""

    _path: str

    def __getattr__(cls, name: str) -> Unusable:
        if name.startswith("_") or name in _NEVER:
            raise AttributeError(name)
        return Unusable(f"{cls._path}.{name}")


class StandIn(metaclass=_Kind):
    """An object that keeps its arguments as attributes and can do nothing."""

    _path = "agno"

    def __init__(self, *args: Any, **options: Any) -> None:
        self.__dict__.update(options)

    def __getattr__(self, name: str) -> Unusable:
        if name.startswith("_") or name in _NEVER:
            raise AttributeError(name)
        return Unusable(f"{self._path}.{name}")

    def get_app(self, *_: Any, **__: Any) -> StandIn:
        """The web application of a playground. Files make it at their top level, where it must not fail."""
        return StandIn()


class Deployment(StandIn):
    """A part of a deployment: a container, a cloud resource. A method `get_db_user` gives the argument that ends with `user`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in _NEVER:
            raise AttributeError(name)
        word = name.removesuffix("_local").rpartition("_")[2]
        given = [value for option, value in vars(self).items() if option.endswith(word)]
        return lambda *_, **__: given[0] if given else _USUAL.get(word, "")


class ForeignStorage(Storage):
    """A storage of a database that we do not use. On a server it is left alone; in a script the first run raises."""

    _path = "agno.storage.base.Storage"

    def __init__(self, *args: Any, **options: Any) -> None:
        self.mode: Any = None
        self.__dict__.update(options)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("mode", "wait_s") or name in object.__getattribute__(self, "__dict__"):
            return object.__getattribute__(self, name)
        raise refusal(object.__getattribute__(self, "_path"))


@cache
def stand_in(package: str, below: str, name: str) -> Any:
    """The object for a name that is in no table of ours: `stand_in("agno", "vectordb.pgvector", "PgVector")`."""
    path = f"{package}.{below}.{name}"
    if not name[:1].isupper() or name.isupper():
        return Unusable(path)
    make = _MAKERS.get(below.partition(".")[0], _plain_class)
    return make(path, name, below)


def _plain_class(path: str, name: str, below: str) -> Any:
    return _Kind(name, (StandIn,), {"__module__": path.rpartition(".")[0], "_path": path})


def _deployment_class(path: str, name: str, below: str) -> Any:
    return _Kind(name, (Deployment,), {"__module__": path.rpartition(".")[0], "_path": path})


def _storage_class(path: str, name: str, below: str) -> Any:
    return type(name, (ForeignStorage,), {"__module__": path.rpartition(".")[0], "_path": path})


def _toolkit_class(path: str, name: str, below: str) -> Any:
    return import_module("repertoire.agents.toolkits").toolkit_class(path, name)


def _model_class(path: str, name: str, below: str) -> Any:
    base = import_module("repertoire.agents.models").Model
    provider = (below.split(".") + [""])[1]
    return type(name, (base,), {"__module__": path.rpartition(".")[0], "provider": provider})


_MAKERS: Final[dict[str, Callable[[str, str, str], Any]]] = {
    "aws": _deployment_class,
    "db": _storage_class,
    "docker": _deployment_class,
    "infra": _deployment_class,
    "models": _model_class,
    "storage": _storage_class,
    "resource": _deployment_class,
    "tools": _toolkit_class,
    "workspace": _deployment_class,
}
