"""Retention: deletes old runs, artifacts, empty sessions and trash every hour, also unused versions on request; used by app and command line.

`Store` decides which runs are old (`store/deletion`). Retention only paces the transactions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import anyio
import msgspec

from ..errors import RepertoireError
from ..limits import Limits
from ..store import Store
from ..store.audit import By
from ..store.deletion import Gone, Keep

logger = logging.getLogger(__name__)

_EVERY_S: Final = 3600.0
_TREES: Final = 50
"""Trees of runs hidden in one transaction."""
_ROWS: Final = 1_000
"""Rows deleted in one transaction: about ten milliseconds, for which other writes wait."""
_VERSIONS: Final = 200
_FILES: Final = 100
"""Files of long results deleted in one transaction."""
_PAUSE_S: Final = 0.05
"""Pause between two transactions in the background, so that other writes come first."""


class CollectArtifacts(Protocol):
    """Deletes artifacts that are not kept, or only counts them."""

    def __call__(self, *, dry_run: bool = False) -> Awaitable[int]: ...


class EmptyTrash(Protocol):
    """Deletes workflow files that were deleted at the command line longer ago, or only counts them."""

    def __call__(self, older_than_s: float, *, dry_run: bool = False) -> Awaitable[int]: ...


class Retention:
    def __init__(
        self,
        store: Store,
        limits: Limits,
        collect_artifacts: CollectArtifacts,
        empty_trash: EmptyTrash,
        sweep_workspaces: Callable[[], Awaitable[object]],
    ) -> None:
        """`sweep_workspaces` deletes the files of runs that are gone."""
        self._store = store
        self._sweep_workspaces = sweep_workspaces
        self._collect_artifacts = collect_artifacts
        self._empty_trash = empty_trash
        self._empty_ttl_s = limits.empty_session_ttl_s
        self._keep = Keep(seconds=limits.keep_runs_s, runs=limits.keep_runs)
        self._keep_audit_s = limits.keep_audit_s

    async def every_hour(self) -> None:
        """Runs until cancelled. After storage trouble it tries again in an hour."""
        while True:
            try:
                await self._store.drop_stray_files()
                gone = await self._delete_runs(self._keep, _PAUSE_S)
                if gone.runs:
                    logger.info("%d runs were deleted that need not be kept any longer", gone.runs)
                await self._drop_empty_sessions()
                if count := await self._collect_artifacts():
                    logger.info("%d artifacts were deleted that nobody has used for long", count)
                if count := await self._drop_trash(self._keep):
                    logger.info("%d deleted workflow files were removed from the trash", count)
                if count := await self._cut_audit(self._audit_bound(None), By(), _PAUSE_S):
                    logger.info("%d lines of the audit log were deleted that need not be kept any longer", count)
            except RepertoireError as error:
                logger.warning("deleting old runs: %s", error)
            await anyio.sleep(_EVERY_S)

    async def now(
        self,
        keep_s: float | None = None,
        keep: int | None = None,
        *,
        audit_before: float | None = None,
        by: By | None = None,
        dry_run: bool = False,
    ) -> Gone:
        """Delete now, also versions that nothing refers to. `keep_s`, `keep` and `audit_before` replace the settings `keep_runs_s`,
        `keep_runs` and `keep_audit_s`."""
        by, audit_bound = by or By(), self._audit_bound(audit_before)
        chosen = Keep(
            seconds=self._keep.seconds if keep_s is None else keep_s, runs=self._keep.runs if keep is None else keep
        )
        if dry_run:
            would = await self._store.would_go(chosen)
            artifacts = await self._collect_artifacts(dry_run=True)
            trash, audit = await self._drop_trash(chosen, dry_run=True), await self._store.would_cut_audit(audit_bound)
            return msgspec.structs.replace(would, artifacts=artifacts, trash=trash, audit=audit)
        await self._store.note("runs_deleted", by, subject=f"runs beyond {chosen.seconds:g} s or {chosen.runs} runs")
        gone = await self._delete_runs(chosen, 0.0)
        await self._drop_empty_sessions()
        while versions := await self._store.delete_unused_versions(_VERSIONS):
            gone += Gone(versions=versions)
        gone += Gone(artifacts=await self._collect_artifacts(), trash=await self._drop_trash(chosen))
        return gone + Gone(audit=await self._cut_audit(audit_bound, by, 0.0))

    def _audit_bound(self, before: float | None) -> float:
        """Lines of the audit log before this time are deleted. It is never later than now: the line about the deletion stays."""
        if before is not None:
            return min(before, time.time())
        return time.time() - self._keep_audit_s if self._keep_audit_s else 0.0

    async def _cut_audit(self, before: float, by: By, pause_s: float) -> int:
        cut = count = await self._store.cut_audit(before, _ROWS, by)
        while count:
            await anyio.sleep(pause_s)
            cut += (count := await self._store.cut_audit(before, _ROWS, None))
        return cut

    async def _drop_trash(self, keep: Keep, *, dry_run: bool = False) -> int:
        return await self._empty_trash(keep.seconds, dry_run=dry_run) if keep.seconds else 0

    async def _drop_empty_sessions(self) -> None:
        await self._store.drop_empty_sessions(time.time() - self._empty_ttl_s)

    async def _delete_runs(self, keep: Keep, pause_s: float) -> Gone:
        gone = Gone()
        while await self._store.take_away(keep, _TREES):
            await anyio.sleep(pause_s)
        while (swept := await self._store.sweep(_ROWS)).rows:
            gone += swept
            await anyio.sleep(pause_s)
        await self._sweep_workspaces()
        while await self._store.drop_record_files(_FILES):
            await anyio.sleep(pause_s)
        if self._keep.seconds:
            await self._store.drop_cached(time.time() - self._keep.seconds)
        return gone
