"""ArtifactDoors: the doors through which a body saves, loads, lists and deletes artifacts; `app` gives them to the runner.

A content never crosses the worker's socket. The body hands it over as a file (`home.incoming_path`), and gets a hash to read
(`home.content_path`). So the journal has names and hashes, and a replay reads no content twice over the host.
"""

from __future__ import annotations

import anyio.to_thread

from ..engine.doors import Door, DoorCall, DoorResult
from ..home import incoming_path
from ..model.artifact import checked_name, new_artifact
from ..store import Store
from ..store.content_files import ContentFiles
from .artifacts import Artifacts
from .workflow_doors import answer_before_crash


class ArtifactDoors:
    def __init__(self, artifacts: Artifacts, files: ContentFiles, store: Store) -> None:
        self._artifacts = artifacts
        self._files = files
        self._store = store

    @property
    def doors(self) -> dict[str, Door]:
        return {
            "artifacts.save": self._save,
            "artifacts.load": self._load,
            "artifacts.get": self._get,
            "artifacts.list": self._list,
            "artifacts.exists": self._exists,
            "artifacts.delete": self._delete,
        }

    async def _save(self, call: DoorCall) -> DoorResult:
        if (known := await answer_before_crash(self._store, call)) is not None:
            return known
        run, args = call.live.run, call.args
        path = incoming_path(self._files.folder, run.id, call.path)
        try:
            new = new_artifact(
                args.get("name"),
                args.get("kind"),
                mime_type=args.get("mime_type"),
                description=args.get("description"),
                metadata=args.get("metadata"),
                run_id=run.id,
            )
            expected = args.get("sha256")
            saved = await self._artifacts.save_file(
                run.principal, new, path, expected=expected and str(expected), call=(run.id, call.path)
            )
        finally:
            await anyio.to_thread.run_sync(self._files.discard, path)
        return DoorResult(saved.public())

    async def _load(self, call: DoorCall) -> DoorResult:
        """The kind and the hash. The body reads the file by its hash."""
        found = await self._artifacts.use(call.live.run.principal, _name(call), call.live.run.id)
        return DoorResult({"name": found.name, "kind": found.kind, "sha256": found.hash, "size": found.size})

    async def _get(self, call: DoorCall) -> DoorResult:
        found = await self._store.artifact(call.live.run.principal, _name(call))
        return DoorResult(None if found is None else found.public())

    async def _list(self, call: DoorCall) -> DoorResult:
        found = await self._artifacts.list_all(call.live.run.principal, str(call.args.get("prefix") or ""))
        return DoorResult([artifact.brief() for artifact in found])

    async def _exists(self, call: DoorCall) -> DoorResult:
        return DoorResult(await self._store.artifact(call.live.run.principal, _name(call)) is not None)

    async def _delete(self, call: DoorCall) -> DoorResult:
        if (known := await answer_before_crash(self._store, call)) is not None:
            return known
        run = call.live.run
        return DoorResult(await self._artifacts.delete(run.principal, _name(call), (run.id, call.path)))


def _name(call: DoorCall) -> str:
    return checked_name(call.args.get("name"))
