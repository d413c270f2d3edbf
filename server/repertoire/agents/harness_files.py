"""Workspace: `harness.fs` and `harness.shell`: the files and commands of a run, by calls that the host executes and records.

All of it works with and without `await`. A path is relative to the harness's `cwd`. `/workspace` and `/` are the workspace itself.
Used by `harness` and `session`. Not the execution of the calls: `repertoire.workspace` does that, in the host or in a script.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..authoring import ambient
from ..authoring.awaited_values import Ready
from ..authoring.door import Door
from ..authoring.local_workspace import LocalWorkspace
from ..values.records import CallError
from ..workspace.faults import builtin

DEFAULT_TIMEOUT_S: Final = 120
_script: Final = LocalWorkspace()
"""The workspace of a plain script, as long as its process lives."""


class _Request(NamedTuple):
    op: str
    args: dict[str, Any]
    label: str


class Files:
    """`read_file(path)`, `read_bytes(path)`, `write_file(path, text_or_bytes)`, `stat(path)`, `readdir(path)`, `list(path)`,
    `exists(path)`, `mkdir(path)` and `rm(path, recursive=False, force=False)`.

    Errors are those of Python's own functions: FileNotFoundError, IsADirectoryError, FileExistsError, PermissionError for a path that
    leads out of the workspace. `list` gives a row for each entry, with `recursive=True` of all folders below too.
    """

    def __init__(self, cwd: str = ".") -> None:
        self.cwd = cwd
        at = self.path

        def read(path: str) -> _Request:
            return _Request("fs.read", {"path": at(path)}, path)

        def read_bytes(path: str) -> _Request:
            return _Request("fs.read", {"path": at(path), "bytes": True}, path)

        def write(path: str, content: str | bytes) -> _Request:
            return _Request("fs.write", {"path": at(path), **_content(content)}, path)

        def stat(path: str) -> _Request:
            return _Request("fs.stat", {"path": at(path)}, path)

        def exists(path: str) -> _Request:
            return _Request("fs.stat", {"path": at(path), "missing_ok": True}, path)

        def entries(path: str = ".", *, recursive: bool = False) -> _Request:
            return _Request("fs.list", {"path": at(path), "recursive": recursive, "make": at(path) == at(".")}, path)

        def mkdir(path: str, *, recursive: bool = True) -> _Request:
            return _Request("fs.mkdir", {"path": at(path), "recursive": recursive}, path)

        def rm(path: str, *, recursive: bool = False, force: bool = False) -> _Request:
            return _Request("fs.rm", {"path": at(path), "recursive": recursive, "force": force}, path)

        self.read_file = self.readFile = _door("read_file", read, str)
        self.read_bytes = self.readBytes = self.read_file_buffer = self.readFileBuffer = _door(
            "read_bytes", read_bytes, base64.b64decode
        )
        self.write_file = self.writeFile = self.write_bytes = _door("write_file", write, _nothing)
        self.stat = _door("stat", stat, _with_other_names)
        self.exists = _door("exists", exists, lambda found: found is not None)
        self.list = _door("list", entries, list)
        self.readdir = _door("readdir", entries, lambda rows: [row["path"].rpartition("/")[2] for row in rows])
        self.mkdir = _door("mkdir", mkdir, _nothing)
        self.rm = _door("rm", rm, _nothing)

    def path(self, path: str) -> str:
        """The path from the root of the workspace."""
        text = _text(path)
        if self.cwd == "." or text.startswith("/"):
            return text
        return f"{self.cwd}/{text}"

    def __repr__(self) -> str:
        return f"<files of the workspace, in {self.cwd}>"


def shell_door(
    files: Files, own_env: Mapping[str, str] | None = None, allowed: Sequence[str] | None = None
) -> Door[..., dict[str, Any]]:
    """`shell(command, timeout=120, cwd=None, env=None)` → {stdout, stderr, exit_code}. Raises TimeoutError and PermissionError.

    `allowed`: the only programs that a command may begin with; then it is a single program, without `;`, `|` and the like.
    """

    def request(
        command: str, *, timeout: float | None = DEFAULT_TIMEOUT_S, cwd: str | None = None, env: Any = None
    ) -> _Request:
        if allowed is not None:
            _check_program(_text(command), allowed)
        where = files.path(cwd) if cwd else files.cwd
        variables = {**(own_env or {}), **(env or {})}
        args = {"command": _text(command), "timeout": timeout, "cwd": where, "env": variables, "make": not cwd}
        return _Request("shell", args, command)

    return _door("shell", request, dict)


def _check_program(command: str, allowed: Sequence[str]) -> None:
    """Raises PermissionError for anything but one allowed program with its arguments."""
    try:
        words = shlex.shlex(command, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        parts = list(words)
    except ValueError as error:
        raise PermissionError(f"the command cannot be read: {error}") from None
    if "`" in command or "$(" in command or "\n" in command or any(set(part) <= set("();<>|&") for part in parts):
        raise PermissionError(
            "with allowed_commands a command is one program with its arguments, without ; | & < > and the like"
        )
    if not parts or parts[0] not in allowed:
        raise PermissionError(
            f"{parts[0] if parts else command!r} is not one of allowed_commands: {', '.join(allowed)}"
        )


def _door(name: str, request: Callable[..., _Request], read: Callable[[Any], Any]) -> Door[..., Any]:
    def blocking(*args: Any, **kwargs: Any) -> Any:
        op, given, label = request(*args, **kwargs)
        doors = ambient.doors()
        try:
            return read(_script.perform(op, given) if doors is None else doors.call(op, given, label))
        except CallError as error:
            raise _own(error) from None

    def awaited(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        op, given, label = request(*args, **kwargs)
        doors = ambient.doors()
        found = Ready(None) if doors is None else doors.acall(op, given, label)
        return _later(found, lambda value: read(_script.perform(op, given) if doors is None else value))

    blocking.__name__ = name
    return Door(blocking, awaited)


async def _later(found: Awaitable[Any], read: Callable[[Any], Any]) -> Any:
    try:
        return read(await found)
    except CallError as error:
        raise _own(error) from None


def _own(error: CallError) -> Exception:
    """The exception of Python that such a failure is; any other CallError itself."""
    return builtin(error.code, error.message, error.hint) or error


def _content(content: object) -> dict[str, Any]:
    if isinstance(content, bytes | bytearray | memoryview):
        return {"content": base64.b64encode(bytes(content)).decode(), "bytes": True}
    if not isinstance(content, str):
        raise TypeError(f"write_file(path, content): the content is text or bytes, got {type(content).__name__}")
    return {"content": content}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a path or a command is a text, got {type(value).__name__}")
    return value


def _nothing(value: Any) -> None:
    return None


def _with_other_names(row: dict[str, Any]) -> dict[str, Any]:
    """PyFlue's names of the same facts too."""
    return {
        **row,
        "is_directory": row["is_dir"],
        "isDirectory": row["is_dir"],
        "isFile": row["is_file"],
        "isSymbolicLink": row["is_symbolic_link"],
    }
