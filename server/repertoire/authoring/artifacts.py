"""Artifacts: `artifacts.save`, `load`, `get`, `list`, `exists` and `delete` in a body, through the run's doors; used by workflow files.

Text, JSON values and bytes become bytes here, and come back from them. Not how they reach the host: that is `Doors`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from .door import Door
from .doors import Content, Doors
from .durable import in_a_run

if TYPE_CHECKING:
    from .door_types import ArtifactCalls

_WANTED: Final = "text, bytes, the Path of a file, or JSON values"


class _Save(NamedTuple):
    """One call of `save`."""

    args: dict[str, Any]
    content: Content


def _save(
    name: str,
    data: Any,
    description: str = "",
    metadata: dict[str, Any] | None = None,
    *,
    mime_type: str | None = None,
) -> dict[str, Any]:
    call, doors = _save_call(name, data, description, metadata, mime_type), _doors("save")
    saved: dict[str, Any] = doors.call("artifacts.save", call.args, name, call.content)
    return saved


def _asave(
    name: str,
    data: Any,
    description: str = "",
    metadata: dict[str, Any] | None = None,
    *,
    mime_type: str | None = None,
) -> Awaitable[dict[str, Any]]:
    call, doors = _save_call(name, data, description, metadata, mime_type), _doors("save")
    return doors.acall("artifacts.save", call.args, name, call.content)


def _load(name: str) -> Any:
    doors = _doors("load")
    return _decoded(doors, doors.call("artifacts.load", {"name": _text(name)}, name))


async def _decode_later(doors: Doors, found: Awaitable[Any]) -> Any:
    return _decoded(doors, await found)


def _aload(name: str) -> Awaitable[Any]:
    doors = _doors("load")
    return _decode_later(doors, doors.acall("artifacts.load", {"name": _text(name)}, name))


def _get(name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _doors("get").call("artifacts.get", {"name": _text(name)}, name)
    return found


def _aget(name: str) -> Awaitable[dict[str, Any] | None]:
    return _doors("get").acall("artifacts.get", {"name": _text(name)}, name)


def _list(prefix: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _doors("list").call("artifacts.list", {"prefix": _text(prefix)}, prefix)
    return found


def _alist(prefix: str = "") -> Awaitable[list[dict[str, Any]]]:
    return _doors("list").acall("artifacts.list", {"prefix": _text(prefix)}, prefix)


def _exists(name: str) -> bool:
    return bool(_doors("exists").call("artifacts.exists", {"name": _text(name)}, name))


def _aexists(name: str) -> Awaitable[bool]:
    return _doors("exists").acall("artifacts.exists", {"name": _text(name)}, name)


def _delete(name: str) -> bool:
    return bool(_doors("delete").call("artifacts.delete", {"name": _text(name)}, name))


def _adelete(name: str) -> Awaitable[bool]:
    return _doors("delete").acall("artifacts.delete", {"name": _text(name)}, name)


class Artifacts:
    """Named texts, JSON values and files that outlive the run. All runs of the same user share them.

    `save(name, data, description="", metadata=None, mime_type=None)` gives what `get(name)` gives: name, uri, kind, mime_type, size, sha256,
    description, metadata, times. `load(name)` gives the data: a text, a JSON value, or bytes for bytes and files. `list(prefix="")`,
    `exists(name)`, `delete(name)`.
    """

    __slots__ = ()

    save: Final = Door(_save, _asave)
    load: Final = Door(_load, _aload)
    get: Final = Door(_get, _aget)
    list: Final = Door(_list, _alist)
    exists: Final = Door(_exists, _aexists)
    delete: Final = Door(_delete, _adelete)

    def __repr__(self) -> str:
        return "<artifacts>"


artifacts: Final = cast("ArtifactCalls", Artifacts())


def _doors(verb: str) -> Doors:
    return in_a_run(f"artifacts.{verb}")


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"artifacts: a name is a text, got {type(name).__name__}")
    return name


def _save_call(name: object, data: Any, description: object, metadata: Any, mime_type: object) -> _Save:
    kind, content = _encoded(_text(name), data)
    # A file's bytes are no argument: after a crash it may be gone, although its call is recorded.
    digest = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else None
    given = {"description": description, "metadata": metadata or {}, "mime_type": mime_type}
    return _Save({"name": name, "kind": kind, "sha256": digest, **given}, content)


def _encoded(name: str, data: Any) -> tuple[str, Content]:
    if isinstance(data, str):
        return "text", data.encode("utf-8", "strict")
    if isinstance(data, bytes | bytearray | memoryview):
        return "bytes", bytes(data)
    if isinstance(data, os.PathLike):
        return "bytes", Path(data)
    try:
        return "json", json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "strict")
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"artifacts.save({name!r}, data): the data must be {_WANTED}: {error}") from None


def _decoded(doors: Doors, found: dict[str, Any]) -> Any:
    data = doors.read_content(found["sha256"])
    if found["kind"] == "bytes":
        return data
    text = data.decode("utf-8")
    return json.loads(text) if found["kind"] == "json" else text


__all__ = ["Artifacts", "artifacts"]
