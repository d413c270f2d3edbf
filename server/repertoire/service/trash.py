"""Trash: keeps workflow files that were deleted at the command line, in HOME/trash as NAME.VERSION.py; used by `OwnFiles`, Retention.

A file is deleted when it has lain here for `keep_runs_s`. Moving a file changes the time of its status, not that of its text.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

import anyio

from .. import home as homes
from ..model.workflow_version import NAME, WorkflowVersion


class Trash:
    def __init__(self, home: str) -> None:
        self._folder = homes.trash_path(home)

    async def keep(self, version: WorkflowVersion) -> str | None:
        """Move the version's file here, and return its new path. None: the file was gone already."""
        assert version.path is not None
        kept = os.path.join(self._folder, f"{version.name}.{version.short}.py")
        await anyio.Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            await anyio.to_thread.run_sync(shutil.move, version.path, kept)
        except FileNotFoundError:
            return None
        return kept

    async def find(self, name: str, version: str) -> str | None:
        """The one file of the name whose version begins with `version`."""
        if not NAME.fullmatch(name) or not re.fullmatch("[0-9a-f]{1,64}", version):
            return None
        pattern = f"{name}.{version[:12]}*.py"
        found = await anyio.to_thread.run_sync(lambda: sorted(Path(self._folder).glob(pattern)))
        return str(found[0]) if len(found) == 1 else None

    async def empty(self, older_than_s: float, *, dry_run: bool = False) -> int:
        """Delete the files that were moved here longer ago, or only count them. Returns their number."""
        return await anyio.to_thread.run_sync(self._empty, time.time() - older_than_s, dry_run)

    def _empty(self, before: float, dry_run: bool) -> int:
        count = 0
        for path in Path(self._folder).glob("*.py"):
            with contextlib.suppress(OSError):
                if path.lstat().st_ctime < before:
                    if not dry_run:
                        path.unlink()
                    count += 1
        return count

    async def give_back(self, kept: str, path: str) -> None:
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        await anyio.to_thread.run_sync(shutil.move, kept, path)
