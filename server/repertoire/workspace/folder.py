"""Folder: reads and writes files below one folder, and below it only; used by `operations` and `shell`.

Theory of operation.

1. A path is a text such as `notes/a.md`. `/notes/a.md` and `/workspace/notes/a.md` mean the same: the folder itself is the root.
2. A path is walked part by part with open descriptors, and no part is opened through a symbolic link. So nobody can put a link into the
   way between the check and the use.
3. A link is read and walked like text. One that leads out of the folder is refused, and so is `..` above the root.
4. Only regular files are read and written: a FIFO would block the server's thread.
5. `_size` is counted once and then kept up to date by the writes here. After a command has run it is counted anew.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from .faults import WorkspaceFault

ROOT_NAME: Final = "workspace"
_MOST_LINKS: Final = 40
"""As Linux has it."""
_MOST_PATH_CHARS: Final = 4096
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Bounds(NamedTuple):
    """The limits of one workspace. Files of any size may lie in it; `file_bytes` is for one that is read or written whole."""

    bytes: int = 1024 * 1024 * 1024
    files: int = 20_000
    file_bytes: int = 2 * 1024 * 1024


class Size(NamedTuple):
    bytes: int
    files: int


class Folder:
    """`root` is an absolute path. It is made if it is not there."""

    def __init__(self, root: str, bounds: Bounds | None = None) -> None:
        os.makedirs(root, mode=0o700, exist_ok=True)
        self.root = os.path.realpath(root)
        self.bounds = bounds or Bounds()
        self._size: Size | None = None
        self._lock = threading.Lock()

    def read(self, path: str) -> bytes:
        with self._opened(path, _READ) as fd:
            if os.fstat(fd).st_size > self.bounds.file_bytes:
                raise _too_large(path, self.bounds)
            with os.fdopen(os.dup(fd), "rb") as file:
                data = file.read(self.bounds.file_bytes + 1)
        if len(data) > self.bounds.file_bytes:
            raise _too_large(path, self.bounds)
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write the file and the folders above it. A file of that path is replaced."""
        if len(data) > self.bounds.file_bytes:
            raise _too_large(path, self.bounds)
        with self._lock:
            before, size = self.describe(path), self._counted()
            after = Size(size.bytes + len(data) - (before["size"] if before else 0), size.files + (before is None))
            if after.bytes > self.bounds.bytes or after.files > self.bounds.files:
                raise _full(self.bounds)
            with self._opened(path, _WRITE, make=True) as fd:
                os.ftruncate(fd, 0)
                with os.fdopen(os.dup(fd), "wb") as file:
                    file.write(data)
            self._size = after

    def describe(self, path: str) -> dict[str, Any] | None:
        """Kind, size and time of a path; None if there is nothing. A link is followed."""
        try:
            with self._place(path, follow=True) as (fd, name):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _fault(error, path) from None
        return _row(_shown(path), found)

    def entries(self, path: str, *, recursive: bool = False) -> list[dict[str, Any]]:
        """The files and folders in a folder, by name. A link is shown as a link. At most `bounds.files`."""
        with self._opened(path, _FOLDER) as fd:
            return sorted(self._walk(fd, _shown(path), recursive), key=lambda row: str(row["path"]))

    def make_folder(self, path: str, *, recursive: bool = True) -> None:
        try:
            with self._place(path, make=recursive) as (fd, name):
                if name == ".":
                    if not recursive:
                        raise FileExistsError(errno.EEXIST, "File exists")
                    return
                try:
                    os.mkdir(name, 0o700, dir_fd=fd)
                except FileExistsError:
                    if not (recursive and stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)):
                        raise
        except OSError as error:
            raise _fault(error, path) from None
        self.forget_size()

    def remove(self, path: str, *, recursive: bool = False, force: bool = False) -> None:
        """Delete a file, a link, or with `recursive` a folder. `force`: nothing to delete is no error."""
        try:
            with self._place(path) as (fd, name):
                if name == ".":
                    raise WorkspaceFault(
                        "not_a_file", "The workspace itself cannot be removed.", "Remove what is in it."
                    )
                if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=fd)
                elif recursive:
                    shutil.rmtree(name, dir_fd=fd)
                else:
                    hint = "Remove it with recursive=True."
                    raise WorkspaceFault("not_a_file", f"{_shown(path)} is a folder.", hint)
        except FileNotFoundError as error:
            if not force:
                raise _fault(error, path) from None
        except OSError as error:
            raise _fault(error, path) from None
        self.forget_size()

    def real_folder(self, path: str, *, make: bool = False) -> str:
        """The real path of a folder, for a program that begins in it."""
        if make:
            self.make_folder(path)
        with self._opened(path, _FOLDER):
            real = os.path.realpath(os.path.join(self.root, *_parts(path)))
        if real != self.root and not real.startswith(self.root + os.sep):
            raise _outside(path)
        return real

    def forget_size(self) -> None:
        with self._lock:
            self._size = None

    def is_full(self) -> bool:
        with self._lock:
            size = self._counted()
        return size.bytes > self.bounds.bytes or size.files > self.bounds.files

    def _counted(self) -> Size:
        if self._size is None:
            total = files = 0
            for folder, folders, names in os.walk(self.root):
                files += len(folders) + len(names)
                for name in names:
                    try:
                        total += os.lstat(os.path.join(folder, name)).st_size
                    except OSError:  # a command deletes while we count
                        continue
                if files > self.bounds.files:
                    break
            self._size = Size(total, files)
        return self._size

    def _walk(self, fd: int, shown: str, recursive: bool) -> Iterator[dict[str, Any]]:
        found, waiting = 0, deque([(os.dup(fd), shown)])
        try:
            while waiting:
                inner, above = waiting.popleft()
                try:
                    with os.scandir(inner) as entries:
                        for entry in entries:
                            if (found := found + 1) > self.bounds.files:
                                return
                            row = _row(f"{above}/{entry.name}".removeprefix("./"), entry.stat(follow_symlinks=False))
                            yield row
                            if recursive and row["is_dir"]:
                                waiting.append((os.open(entry.name, _FOLDER, dir_fd=inner), row["path"]))
                                if len(waiting) > 500:  # open descriptors
                                    recursive = False
                finally:
                    os.close(inner)
        finally:
            for inner, _ in waiting:
                os.close(inner)

    @contextmanager
    def _opened(self, path: str, flags: int, *, make: bool = False) -> Iterator[int]:
        try:
            with self._place(path, make=make, follow=True) as (folder, name):
                if name == "." and not flags & os.O_DIRECTORY:
                    raise IsADirectoryError(errno.EISDIR, "Is a directory")
                fd = os.open(name, flags, 0o600, dir_fd=folder)
        except OSError as error:
            raise _fault(error, path) from None
        try:
            kind = os.fstat(fd).st_mode
            if not flags & os.O_DIRECTORY and not stat.S_ISREG(kind):
                what = "a folder" if stat.S_ISDIR(kind) else "not a regular file"
                raise WorkspaceFault("not_a_file", f"{_shown(path)} is {what}.", "fs.readdir(path) lists a folder.")
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _place(self, path: str, *, make: bool = False, follow: bool = False) -> Iterator[tuple[int, str]]:
        """The descriptor of the folder that holds the path's last part, and that part: "." for the root itself.

        `make`: make the folders on the way. `follow`: also walk a link at the end. Raises OSError.
        """
        stack = [os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        try:
            parts, links = deque(_parts(path)), 0
            while parts:
                part = parts.popleft()
                if part == "..":
                    if len(stack) == 1:
                        raise _outside(path)
                    os.close(stack.pop())
                    continue
                if (follow or parts) and (target := _link(part, stack[-1])) is not None:
                    if (links := links + 1) > _MOST_LINKS:
                        raise OSError(errno.ELOOP, "Too many levels of symbolic links")
                    if target.startswith("/"):
                        target = self._below(target, path)
                        while len(stack) > 1:
                            os.close(stack.pop())
                    parts.extendleft(reversed(_split(target)))
                    continue
                if not parts:
                    yield stack[-1], part
                    return
                if make:
                    try:
                        os.mkdir(part, 0o700, dir_fd=stack[-1])
                    except FileExistsError:
                        pass
                stack.append(os.open(part, _FOLDER, dir_fd=stack[-1]))
            yield stack[-1], "."
        finally:
            while stack:
                os.close(stack.pop())

    def _below(self, target: str, path: str) -> str:
        """An absolute target of a link as a path below the root."""
        if target != self.root and not target.startswith(self.root + "/"):
            raise _outside(path)
        return target[len(self.root) :]


def _parts(path: object) -> list[str]:
    """The parts of a path from outside. Raises WorkspaceFault."""
    if not isinstance(path, str):
        raise WorkspaceFault("no_such_file", f"A path is a text, got {type(path).__name__}.")
    if len(path) > _MOST_PATH_CHARS or "\0" in path or not _encodes(path):
        raise WorkspaceFault(
            "no_such_file", "That text cannot be a path.", "Use a short path without control characters."
        )
    parts = _split(path)
    return parts[1:] if path.startswith("/") and parts[:1] == [ROOT_NAME] else parts


def _encodes(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _shown(path: str) -> str:
    return "/".join(_parts(path)) or "."


def _link(name: str, folder: int) -> str | None:
    """The target of a symbolic link; None for anything else."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _row(path: str, found: os.stat_result) -> dict[str, Any]:
    kind = found.st_mode
    return {
        "path": path,
        "is_file": stat.S_ISREG(kind),
        "is_dir": stat.S_ISDIR(kind),
        "is_symbolic_link": stat.S_ISLNK(kind),
        "size": 0 if stat.S_ISDIR(kind) else found.st_size,
        "mtime": found.st_mtime,
    }


def _outside(path: str) -> WorkspaceFault:
    return WorkspaceFault(
        "outside_workspace",
        f"{path[:200]!r} leads out of the run's workspace.",
        "Use a path in the workspace, such as notes/a.md, without .. and without links that lead out of it.",
    )


def _too_large(path: str, bounds: Bounds) -> WorkspaceFault:
    return WorkspaceFault(
        "workspace_full",
        f"{_shown(path)} is larger than {bounds.file_bytes} bytes, the most for a file that is read or written whole.",
        "Work on it in parts, keep it as an artifact, or raise max_workspace_file_bytes.",
    )


def _full(bounds: Bounds) -> WorkspaceFault:
    return WorkspaceFault(
        "workspace_full",
        f"The run's workspace is full: {bounds.bytes} bytes in {bounds.files} files are the most.",
        "Remove files with fs.rm(path), or raise max_workspace_bytes or max_workspace_files.",
    )


def _fault(error: OSError, path: str) -> WorkspaceFault:
    """The fault for an error of the system."""
    shown = _shown(path)
    if isinstance(error, FileNotFoundError):
        return WorkspaceFault("no_such_file", f"There is no {shown} in the workspace.", "fs.readdir('.') lists it.")
    if isinstance(error, FileExistsError):
        return WorkspaceFault("file_exists", f"{shown} exists already.")
    if isinstance(error, IsADirectoryError):
        return WorkspaceFault("not_a_file", f"{shown} is a folder.", "fs.readdir(path) lists a folder.")
    if isinstance(error, NotADirectoryError):
        return WorkspaceFault("not_a_folder", f"{shown}: a part of it is not a folder.")
    if error.errno == errno.ELOOP:
        return WorkspaceFault("outside_workspace", f"{shown}: its symbolic links cannot be followed.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WorkspaceFault("workspace_full", "The disk is full.", "The operator makes room on it.")
    return WorkspaceFault("no_such_file", f"{shown}: {error.strerror or 'the system refuses it'}.")


__all__ = ["Bounds", "Folder", "Size"]
