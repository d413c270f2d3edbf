"""Find duplicate files in a folder: files with the same content, and the space that their copies take.

Shows streaming: `run` is a generator, and each group that it yields reaches the caller at once. Files are compared by
size first, then by the hash of their beginning, and only then by the hash of everything: most are never read in full.
"""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repertoire import log, progress

__workflow__ = {
    "title": "Find duplicate files",
    "tags": ["files", "disk", "cleanup"],
    "timeout_s": 900,
    "read_only": True,
}

HEAD_BYTES = 64 * 1024
"""Files of one size mostly differ early; longer ones are compared by this much before they are read in full."""
CHUNK_BYTES = 1024 * 1024
MAX_FILES = 500_000
"""Bounds the memory of the walk: about 300 bytes a file."""


@dataclass(frozen=True)
class DuplicateGroup:
    """Files with the same content. `wasted_bytes` is what removing all but one of them would free."""

    size_bytes: int
    sha256: str
    paths: list[str]
    wasted_bytes: int


def run(
    folder: str, min_bytes: int = 1, include_hidden: bool = False, max_groups: int = 1000
) -> Iterator[DuplicateGroup]:
    """Walk a folder and yield each group of identical files, the largest files first.

    Symbolic links are not followed, hard links to one file count as one, what cannot be read is logged and left out.

    Args:
        folder: The folder to search, with everything below it. An absolute path is safest.
        min_bytes: Leave out files smaller than this.
        include_hidden: Also look at files and folders whose name starts with a dot.
        max_groups: Stop after this many groups.

    Yields:
        One group of identical files, its paths sorted.

    Raises:
        NotADirectoryError: `folder` is not a folder.
        ValueError: A number is out of range, or the folder holds more files than one run takes.
    """
    if min_bytes < 1 or max_groups < 1:
        raise ValueError("min_bytes and max_groups must be at least 1.")
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder. Give the absolute path of a folder that exists.")

    by_size = _same_size(root, min_bytes, include_hidden)
    total = sum(len(paths) for paths in by_size.values())
    progress(0, total, f"{total} files share their size with another")
    done = groups = 0
    for size in sorted(by_size, reverse=True):
        for digest, paths in _same_content(by_size[size], size):
            yield DuplicateGroup(size, digest, sorted(paths), size * (len(paths) - 1))
            groups += 1
            if groups == max_groups:
                log(f"Stopped after {groups} groups; raise max_groups to see more.")
                return
        done += len(by_size[size])
        progress(done, total, f"compared files of {size} bytes")


def _same_size(root: Path, min_bytes: int, include_hidden: bool) -> dict[int, list[str]]:
    """The files below `root` by size, only sizes that occur more than once."""
    by_size: dict[int, list[str]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    count = 0
    for parent, folders, names in os.walk(
        root, onerror=lambda error: log(f"Left out {error.filename}: {error.strerror}.")
    ):
        if not include_hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
            names = [name for name in names if not name.startswith(".")]
        folders.sort()
        for name in names:
            path = os.path.join(parent, name)
            try:
                info = os.lstat(path)
            except OSError as error:
                log(f"Left out {path}: {error.strerror}.")
                continue
            if not stat.S_ISREG(info.st_mode) or info.st_size < min_bytes or (info.st_dev, info.st_ino) in seen:
                continue
            count += 1
            if count > MAX_FILES:
                raise ValueError(
                    f"{root} holds more than {MAX_FILES} files. Search its subfolders one by one, or raise min_bytes."
                )
            if info.st_nlink > 1:
                seen.add((info.st_dev, info.st_ino))
            by_size[info.st_size].append(path)
    return {size: paths for size, paths in by_size.items() if len(paths) > 1}


def _same_content(paths: list[str], size: int) -> Iterator[tuple[str, list[str]]]:
    """The groups of identical files among files of one size, each with its hash."""
    if size <= HEAD_BYTES:
        yield from _same_hash(paths, size)
        return
    for _, candidates in _same_hash(paths, HEAD_BYTES):
        yield from _same_hash(candidates, None)


def _same_hash(paths: list[str], limit: int | None) -> Iterator[tuple[str, list[str]]]:
    by_hash: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        try:
            by_hash[_sha256(path, limit)].append(path)
        except OSError as error:
            log(f"Left out {path}: {error.strerror}.")
    yield from ((digest, group) for digest, group in by_hash.items() if len(group) > 1)


def _sha256(path: str, limit: int | None) -> str:
    """The hash of the file, or of its first `limit` bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if limit is not None:
            digest.update(file.read(limit))
        else:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
