"""Workspaces: finds the folder of a run's files, and deletes the folders of runs that are gone; used by WorkspaceDoors, Retention and the app.

A folder is made by the first call that needs it. It outlives workers and the server, as the run's journal does, and it goes with the
run's record.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import OrderedDict
from typing import Final
from urllib.parse import quote, unquote

import anyio.to_thread

from ..limits import Limits
from ..model.run import Run
from ..store import Store
from ..workspace.folder import Bounds, Folder

logger = logging.getLogger(__name__)

_OPEN: Final = 256
"""So many folders are remembered with their sizes, so that not each write counts the files anew."""


class Workspaces:
    """`folder` is used for nothing else: each entry is named after a run."""

    def __init__(self, folder: str, store: Store, limits: Limits) -> None:
        self._folder = folder
        self._store = store
        self._bounds = Bounds(limits.max_workspace_bytes, limits.max_workspace_files, limits.max_workspace_file_bytes)
        self._known: OrderedDict[str, Folder] = OrderedDict()

    async def of(self, run: Run) -> Folder:
        """The run's folder, made if there is none. A rerun begins with a copy of the files that its former run has left."""
        if (known := self._known.get(run.id)) is not None:
            self._known.move_to_end(run.id)
            return known
        made = await anyio.to_thread.run_sync(self._make, run)
        made = self._known.setdefault(run.id, made)
        while len(self._known) > _OPEN:
            self._known.popitem(last=False)
        return made

    def _make(self, run: Run) -> Folder:
        path = os.path.join(self._place(run.id), "files")
        former = os.path.join(self._place(run.rerun_of), "files") if run.rerun_of else ""
        if former and os.path.isdir(former) and not os.path.exists(path):
            shutil.copytree(former, path, symlinks=True)
        return Folder(path, self._bounds)

    def note_path(self, run_id: str, name: str) -> str:
        """A file beside the run's own files, which the run does not see."""
        return os.path.join(self._place(run_id), name)

    def _place(self, run_id: str) -> str:
        return os.path.join(self._folder, quote(run_id, safe=""))

    async def sweep(self) -> int:
        """Delete the folders of runs that have no record any more. Returns their number."""
        names = await anyio.to_thread.run_sync(_names_in, self._folder)
        gone = set(names) - {quote(one, safe="") for one in await self._store.existing_runs(map(unquote, names))}
        for name in gone:
            self._known.pop(unquote(name), None)
            await anyio.to_thread.run_sync(_delete, os.path.join(self._folder, name))
        if gone:
            logger.info("%d workspaces of deleted runs were deleted", len(gone))
        return len(gone)


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _delete(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
