"""Scratch: the folders that runs of created workflows begin in, all below the home; made by the pool, swept when a home is opened.

A killed server leaves its folders behind. They are below the home, so whoever owns the home next knows that they are nobody's; and no
home ever looks at another's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile

import anyio.to_thread

logger = logging.getLogger(__name__)


class Scratch:
    """Give it a folder of its own. Only the home's owner may make one: what it finds there is deleted by `sweep`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._left = os.listdir(folder)

    def new(self) -> str:
        """An empty folder, for this user only."""
        try:
            return tempfile.mkdtemp(prefix="run-", dir=self.folder)
        except FileNotFoundError:  # somebody tidied up
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            return tempfile.mkdtemp(prefix="run-", dir=self.folder)

    async def sweep(self) -> None:
        """Delete what earlier owners of the home left. One after the other, in a thread: a body may have filled its folder."""
        if self._left:
            logger.info("%d scratch folders were left by an earlier server; they are deleted", len(self._left))
        while self._left:
            path = os.path.join(self.folder, self._left.pop())
            await anyio.to_thread.run_sync(_delete, path)


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
