"""Disks: mounts file systems in memory; used by the chaos and by the tests of disks. Imports nothing of either."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[bool]:
    """A file system in memory at `folder`; False where this user may not mount."""
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    try:
        may = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        may = False
    try:
        yield may
    finally:
        if may:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
