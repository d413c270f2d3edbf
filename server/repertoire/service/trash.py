"""Trash: keeps workflow files that were deleted at the command line, in HOME/trash as NAME.VERSION.py; used by `OwnFiles`.

Nothing deletes them: they are the operator's own texts.
"""

from __future__ import annotations

import os
import re
import shutil
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

    async def give_back(self, kept: str, path: str) -> None:
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        await anyio.to_thread.run_sync(shutil.move, kept, path)
