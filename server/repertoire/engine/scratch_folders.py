"""Scratch: makes folders for zygotes where nothing can be mounted, all below the home; used by SandboxedZygotes and the app.

A killed server leaves its folders behind. They lie below the home, so the home's next owner knows that no process uses them, and
deletes them. No home looks at the folders of another.
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
    """`folder` must be used for nothing else. Only the owner of the home may create a Scratch: `sweep` deletes everything found there."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._leftovers = os.listdir(folder)

    def new(self) -> str:
        """An empty folder, for this user only."""
        try:
            return tempfile.mkdtemp(prefix="zygote-", dir=self.folder)
        except FileNotFoundError:  # another program has deleted the folder
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            return tempfile.mkdtemp(prefix="zygote-", dir=self.folder)

    async def sweep(self) -> None:
        """Delete the folders of earlier owners, one after the other, in a thread: a folder may hold many files."""
        if self._leftovers:
            logger.info("%d scratch folders were left by an earlier server; they are deleted", len(self._leftovers))
        while self._leftovers:
            path = os.path.join(self.folder, self._leftovers.pop())
            await anyio.to_thread.run_sync(_delete, path)


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
