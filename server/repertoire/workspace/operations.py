"""Operations: the table of file operations of a workspace, from JSON arguments to a JSON value; used by doors, LocalDoors and scripts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

from ..text import well_formed
from .faults import WorkspaceFault
from .folder import Folder


def _read(folder: Folder, args: dict[str, Any]) -> Any:
    """A text, or with `bytes` base64. Bytes that are not UTF-8 become U+FFFD in a text."""
    data = folder.read(args["path"])
    return base64.b64encode(data).decode() if args.get("bytes") else data.decode("utf-8", "replace")


def _write(folder: Folder, args: dict[str, Any]) -> None:
    data = args["content"]
    if not isinstance(data, str):
        raise WorkspaceFault("not_a_file", f"The content of a file is a text or bytes, got {type(data).__name__}.")
    try:
        content = base64.b64decode(data, validate=True) if args.get("bytes") else well_formed(data).encode()
    except binascii.Error:
        raise WorkspaceFault("not_a_file", "The content is not base64.") from None
    folder.write(args["path"], content)


def _stat(folder: Folder, args: dict[str, Any]) -> Any:
    found = folder.describe(args["path"])
    if found is None and not args.get("missing_ok"):
        raise WorkspaceFault(
            "no_such_file", f"There is no {args['path'][:200]} in the workspace.", "fs.readdir('.') lists it."
        )
    return found


def _list(folder: Folder, args: dict[str, Any]) -> Any:
    if args.get("make"):
        folder.make_folder(args["path"])
    return folder.entries(args["path"], recursive=bool(args.get("recursive")))


def _mkdir(folder: Folder, args: dict[str, Any]) -> None:
    folder.make_folder(args["path"], recursive=bool(args.get("recursive", True)))


def _rm(folder: Folder, args: dict[str, Any]) -> None:
    folder.remove(args["path"], recursive=bool(args.get("recursive")), force=bool(args.get("force")))


OPERATIONS: Final[dict[str, Callable[[Folder, dict[str, Any]], Any]]] = {
    "fs.read": _read,
    "fs.write": _write,
    "fs.stat": _stat,
    "fs.list": _list,
    "fs.mkdir": _mkdir,
    "fs.rm": _rm,
}


def perform(folder: Folder, op: str, args: dict[str, Any]) -> Any:
    """Carry out a file operation. Raises WorkspaceFault."""
    return OPERATIONS[op](folder, args)
