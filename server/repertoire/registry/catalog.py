"""Catalog: keeps all opened folders and all created workflows up to date, and tells listeners of changes; used by the service.

It watches the folders. `Folder` reads the files of one; `View` is what a single caller sees.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import msgspec

from ..errors import RepertoireError
from ..limits import Limits
from ..model.example import Checked
from ..model.workflow_version import Approval, WorkflowVersion
from ..store import Store
from ..store.audit import By
from ..store.publications import Making
from .caller_view import View
from .folder import Folder, Inspector

logger = logging.getLogger(__name__)

_ANNOUNCE_S = 0.5
"""Listeners hear of a scan in progress at most this often."""


class Catalog:
    """`always` are folders that every caller sees after their own, in order of precedence. Without `watch`, folders are read once."""

    def __init__(
        self,
        store: Store,
        inspect: Inspector,
        limits: Limits,
        tasks: anyio.abc.TaskGroup,
        always: tuple[str, ...],
        *,
        watch: bool = True,
    ) -> None:
        self._store = store
        self._inspect = inspect
        self._limits = limits
        self._tasks = tasks
        self._always = always
        self._watch = watch
        self._folders: dict[str, Folder] = {}
        self._ready: dict[str, anyio.Event] = {}
        self._created: dict[str, WorkflowVersion] = {}
        self._created_lock = anyio.Lock()
        """Held while `_created` and the store change together."""
        self._makers: dict[str, Making] = {}
        self.pins: list[str] = []
        """Names that are always listed, in the order of pinning. There may be no such workflow now."""
        self._views: dict[tuple[str, ...], View] = {}
        self._listeners: list[Callable[[], Awaitable[None]]] = []
        self._announced_at = time.monotonic()
        self.generation = 0

    async def load(self) -> None:
        """Load the created workflows and start reading the folders that every caller sees."""
        for version in await self._store.published():
            self._created[version.name] = version
        self._makers = await self._store.makers()
        self.pins = await self._store.pins()
        self.open(())

    def open(self, roots: tuple[str, ...]) -> None:
        """Start reading and watching these folders, unless they are open already."""
        for root in (*roots, *self._always):
            if root not in self._folders:
                self._folders[root] = Folder(root, self._store, self._inspect, self._limits)
                self._ready[root] = anyio.Event()
                self._tasks.start_soon(self._keep, root)

    async def wait_until_settled(self, roots: tuple[str, ...], seconds: float) -> bool:
        """Open these folders and wait until each has been read once. False: it takes longer than `seconds`."""
        self.open(roots)
        if all(self._ready[root].is_set() for root in (*roots, *self._always)):
            return True
        with anyio.move_on_after(seconds):
            for root in (*roots, *self._always):
                await self._ready[root].wait()
            return True
        return False

    def view(self, roots: tuple[str, ...]) -> View:
        view = self._views.get(roots)
        if view is None:
            self.open(roots)
            ordered = dict.fromkeys((*roots, *self._always))
            view = self._views[roots] = View([self._folders[root] for root in ordered], self._created)
        return view

    def file_of(self, name: str) -> str | None:
        """The path of a workflow file of this name, in any folder, also in folders of other callers."""
        for folder in self._folders.values():
            for path, entry in folder.items():
                if isinstance(entry, WorkflowVersion) and entry.name == name:
                    return path
        return None

    def everything(self) -> list[WorkflowVersion]:
        """All published workflows of all folders, also of other callers, and all created ones."""
        files = [entry for folder in self._folders.values() for _, entry in folder.items()]
        return [*self._created.values(), *(entry for entry in files if isinstance(entry, WorkflowVersion))]

    def created(self) -> list[WorkflowVersion]:
        """All published workflows that came through a tool."""
        return list(self._created.values())

    def find_created(self, name: str) -> WorkflowVersion | None:
        return self._created.get(name)

    def made(self, name: str) -> Making:
        """Who created the workflow of this name, who changed it last, and when. Empty for a file."""
        return self._makers.get(name, Making())

    def newest(self) -> list[str]:
        """Names of created workflows, last published first."""
        return sorted(self._created, key=lambda name: -self.made(name).changed_at)

    async def publish(self, version: WorkflowVersion, by: By, checked: Checked | None = None) -> None:
        # Shielded: a caller that is cancelled after the store's commit must not leave this catalog without the version.
        with anyio.CancelScope(shield=True):
            async with self._created_lock:
                made = await self._store.publish(version, by, checked)
                approval = await self._store.approval(version.hash)
                self._created[version.name] = msgspec.structs.replace(version, approval=approval)
                self._makers[version.name] = made
            await self._notify()

    async def approve(self, version: WorkflowVersion, approval: Approval, by: By) -> None:
        with anyio.CancelScope(shield=True):
            async with self._created_lock:
                await self._store.approve(version, approval, by)
                await self._read_approval(version)
            await self._notify()

    async def revoke(self, version: WorkflowVersion, by: By) -> bool:
        """Take the version's approval back. False: it had none."""
        with anyio.CancelScope(shield=True):
            async with self._created_lock:
                changed = await self._store.revoke(version, by)
                await self._read_approval(version)
            await self._notify()
        return changed

    async def _read_approval(self, version: WorkflowVersion) -> None:
        known = self._created.get(version.name)
        if known is not None and known.hash == version.hash:
            approval = await self._store.approval(version.hash)
            self._created[version.name] = msgspec.structs.replace(known, approval=approval)

    async def unpublish(self, name: str, by: By) -> bool:
        with anyio.CancelScope(shield=True):
            async with self._created_lock:
                removed = await self._store.unpublish(name, by)
                known = self._created.pop(name, None)
                self._makers.pop(name, None)
            if known is not None:
                await self._notify()
        return removed

    async def set_pinned(self, name: str, pinned: bool, by: By) -> bool:
        """List it always, or no longer. False: it was so already."""
        with anyio.CancelScope(shield=True):
            changed = await self._store.set_pinned(name, pinned, by)
            if changed:
                self.pins = await self._store.pins()
                await self._notify()
        return changed

    def on_change(self, listener: Callable[[], Awaitable[None]]) -> None:
        self._listeners.append(listener)

    async def rescan(self, roots: tuple[str, ...]) -> None:
        """Read changed files now, without waiting for the watcher."""
        self.open(roots)
        changed = [await self._read(root) for root in dict.fromkeys((*roots, *self._always))]
        if any(changed):
            await self._notify()

    async def _keep(self, root: str) -> None:
        """Read a folder, then again whenever a file in it changes."""
        await self._scan(root)
        self._ready[root].set()
        if not self._watch or not os.path.isdir(root):
            return
        from watchfiles import PythonFilter, awatch  # 35 ms: after the first answer, not before

        try:
            # Files written between the scan above and the watcher's start would be missed, so the folder is scanned once more.
            caught_up = False
            changes = awatch(
                root, watch_filter=PythonFilter(), debounce=200, step=50, rust_timeout=500, yield_on_timeout=True
            )
            async for changed in changes:
                if changed or not caught_up:
                    await self._scan(root)
                    caught_up = True
        except (OSError, RuntimeError):
            logger.exception("%s cannot be watched: its changes are seen at the next start", root)

    async def _scan(self, root: str) -> None:
        try:
            changed = await self._read(root)
        except RepertoireError as error:  # the store cannot be used now
            logger.warning("reading %s: %s", root, error)
            return
        if changed or not self._ready[root].is_set():
            await self._notify()

    async def _read(self, root: str) -> bool:
        """Bring one folder up to date. True: something has changed."""
        try:
            return await self._folders[root].scan(self._on_file_read)
        except RepertoireError:  # the store failed: the caller reports it
            raise
        except Exception:  # one folder that cannot be read must not stop the server, nor a command
            logger.exception("reading %s", root)
            return False

    async def _on_file_read(self) -> None:
        """Make one file of a scan visible at once, so that it need not wait for a slow one. Listeners hear of it at most every half second."""
        self.generation += 1
        self._views.clear()
        if time.monotonic() - self._announced_at > _ANNOUNCE_S:
            await self._notify()

    async def _notify(self) -> None:
        self.generation += 1
        self._views.clear()
        self._announced_at = time.monotonic()
        for listener in self._listeners:
            await listener()
