"""ContentFiles: the bytes of artifacts, as files that are named by their sha256; used by Artifacts. Call it in threads.

A body hands a content over as a file in `incoming`. The body's process may still hold that file open and change it, so it is copied, and
the copy is what was hashed. A copy is complete and on the disk before it gets its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterable
from typing import BinaryIO, Final, NamedTuple

from ..errors import ArtifactTooLarge, BadArguments, DamagedArtifact, StorageError
from ..home import advice, content_path

_PIECE: Final = 1024 * 1024
_LEFT_S: Final = 3600.0
"""A file that was handed over, and not taken for so long, is left over from a process that was killed."""


class Staged(NamedTuple):
    """A complete copy that has no name yet."""

    path: str
    hash: str
    size: int


class ContentFiles:
    """`folder` is HOME/artifacts. Only the owner of the home may create one."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._incoming = os.path.join(folder, "incoming")
        for one in (self._incoming, os.path.join(folder, "files")):
            os.makedirs(one, mode=0o700, exist_ok=True)

    def stage_file(self, path: str, max_bytes: int) -> Staged:
        """Copy and hash a file. Raises BadArguments, ArtifactTooLarge, StorageError."""
        try:
            # not blocking: a FIFO without a writer would be waited for
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise BadArguments(f"The artifact's content cannot be read: {error.strerror}.") from error
        with open(fd, "rb") as source:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise BadArguments("The artifact's content is not a regular file.")
            _check_size(found.st_size, max_bytes)
            return self._copy(source, max_bytes)

    def stage(self, data: bytes, max_bytes: int) -> Staged:
        import io

        _check_size(len(data), max_bytes)
        return self._copy(io.BytesIO(data), max_bytes)

    def keep(self, staged: Staged) -> None:
        """Give the copy its name. Raises StorageError."""
        path = content_path(self.folder, staged.hash)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.replace(staged.path, path)
        except OSError as error:
            raise _storage_error(error) from error

    @staticmethod
    def discard(path: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(path)

    def read(self, hash: str) -> bytes:
        """Raises DamagedArtifact."""
        return read_content(self.folder, hash)

    def path(self, hash: str) -> str:
        return content_path(self.folder, hash)

    def delete(self, hashes: Iterable[str]) -> None:
        for hash in hashes:
            self.discard(content_path(self.folder, hash))

    def delete_strays(self, known: set[str]) -> int:
        """Delete the files that have no row (their owner was killed in between), and what was handed over and never taken."""
        count = 0
        for place, _, names in os.walk(os.path.join(self.folder, "files")):
            for name in names:
                if name not in known:
                    self.discard(os.path.join(place, name))
                    count += 1
        with os.scandir(self._incoming) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < time.time() - _LEFT_S:
                        os.unlink(entry.path)
        return count

    def _copy(self, source: BinaryIO, max_bytes: int) -> Staged:
        digest, size, path = hashlib.sha256(), 0, ""
        try:
            os.makedirs(self._incoming, mode=0o700, exist_ok=True)
            fd, path = tempfile.mkstemp(prefix="copy-", dir=self._incoming)
            with open(fd, "wb", buffering=0) as target:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    _check_size(size, max_bytes)  # the file may grow while it is read
                    digest.update(piece)
                    _write_all(target, piece)
                os.fsync(target.fileno())
        except OSError as error:
            self.discard(path)
            raise _storage_error(error) from error
        except ArtifactTooLarge:
            self.discard(path)
            raise
        return Staged(path, digest.hexdigest(), size)


def read_content(folder: str, hash: str) -> bytes:
    """The bytes of a content. Raises DamagedArtifact when its file is gone or has other bytes."""
    try:
        with open(content_path(folder, hash), "rb") as file:
            data = file.read()
    except OSError as error:
        raise DamagedArtifact(f"The artifact's file cannot be read: {error.strerror}.", "Save it again.") from error
    if hashlib.sha256(data).hexdigest() != hash:
        raise DamagedArtifact("The artifact's file was changed.", "Save it again.")
    return data


def _write_all(target: BinaryIO, piece: bytes) -> None:
    """A raw file may take a part only, when the disk is nearly full."""
    view = memoryview(piece)
    while view:
        view = view[target.write(view) :]


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ArtifactTooLarge(
            f"An artifact of {size} bytes is too large: `max_artifact_bytes` is {max_bytes}.", "Save it in parts."
        )


def _storage_error(error: OSError) -> StorageError:
    return StorageError(f"An artifact cannot be stored: {error.strerror}.", advice(error) or None)
