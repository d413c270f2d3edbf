"""WorkflowDoors: the doors through which a body searches, creates, deletes and runs workflows; `app` gives them to the runner.

A door is a function that takes a DoorCall, under the name of its call. Here a name in a body becomes a version, and a run keeps that
version for all later calls of the name. Not the doors for time and questions: those are in `engine.long_waits`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import msgspec

from ..engine.child_runs import Children
from ..engine.doors import Door, DoorCall, DoorResult
from ..engine.live_run import Live
from ..errors import BadArguments, StorageError, UnknownWorkflow
from ..model.session import Caller
from ..model.workflow_version import WorkflowVersion
from ..names import new_session_id
from ..store import Store
from .library import Library
from .publishing import Publishing
from .references import References, has_references
from .trust import TrustRules
from .versions import Versions

logger = logging.getLogger(__name__)

_FIRST_LOOK_S: Final = 10.0
"""How long a call waits for folders that are being read. After that it does without a file that hangs on import."""
_BRIEF_LOOK_S: Final = 3.0
"""The same for calls during which a run keeps its worker: reading a file may need that worker."""
_TRY_AGAIN_S: Final = 0.5
"""Pause before a change that could not be stored is tried again."""


class WorkflowDoors:
    def __init__(
        self,
        library: Library,
        versions: Versions,
        publishing: Publishing,
        children: Children,
        store: Store,
        references: References,
        rules: TrustRules,
    ) -> None:
        self._library = library
        self._versions = versions
        self._publishing = publishing
        self._children = children
        self._store = store
        self._references = references
        self._rules = rules

    @property
    def doors(self) -> dict[str, Door]:
        return {
            "workflow": self._invoke,
            "workflows.search": self._search,
            "workflows.list": self._list,
            "workflows.get": self._get,
            "workflows.create": self._create,
            "workflows.delete": self._delete,
        }

    async def _invoke(self, call: DoorCall) -> DoorResult:
        """Start a run below this one and wait for it. `session_id`: "parent" (or its id) shares the parent's session; left out, the child
        has its own."""
        name, arguments = str(call.args["name"]), dict(call.args["arguments"])
        wanted = arguments.pop("session_id", None)
        if (known := await self._children.earlier_run(call)) is not None:
            if has_references(arguments):  # their values are there, and the journal compares the references
                arguments = json.loads(known.arguments)
            self._children.check_same(call, known, await self._stored_version(known.version), name, arguments)
            return await self._children.wait(call, known.id)
        arguments = await self._references.resolve_own(call.live.run.principal, arguments)
        session_id = self._session(call, wanted)
        version = await self._version(call, name)
        await self._check_allowed(call.live, version)
        return await self._children.run(call, version, arguments, session_id)

    def _session(self, call: DoorCall, wanted: Any) -> str:
        own = call.live.run.session_id
        if wanted in ("parent", own):
            return own
        if wanted in (None, "new"):
            return new_session_id()
        raise BadArguments(
            f"There is no session {str(wanted)[:100]!r} for a workflow that another one calls.",
            'Give "parent", "new" or nothing.',
        )

    async def _version(self, call: DoorCall, name: str) -> WorkflowVersion:
        """The version that a name means in this run. The run's first call of a name pins it for all later calls, also after a resume and
        after another publish. An example that calls its own workflow gets the version that is being checked."""
        if call.live.run.is_example and (checked := _checked_version(call.live)).name == name:
            return checked
        pins = call.live.pins
        await self._children.recall_pins(call.live)
        if name not in pins:
            version = self._pinned_as(call, name) or await self._find(call, name)
            return call.live.pin(name, version)
        return pins[name]

    async def _check_allowed(self, live: Live, version: WorkflowVersion) -> None:
        """Raises WorkflowNotAllowed. A pinned version may have lost its approval since it was pinned."""
        if version.trust == "approved":
            version = msgspec.structs.replace(version, approval=await self._store.approval(version.hash))
        self._rules.check_may_call(live.version, version)

    def _pinned_as(self, call: DoorCall, alias: str) -> WorkflowVersion | None:
        """A pinned version that this alias meant when the run called it first. Its class or file may have another name by now."""
        if alias in self._library.view(_caller(call)).names:
            return None
        return next((version for version in call.live.pins.values() if version.answers_to(alias)), None)

    async def _find(self, call: DoorCall, name: str) -> WorkflowVersion:
        """The version that the name means now to the run's caller. Raises UnknownWorkflow.

        After a restart this run may be the first to open these folders. Then it waits until they have been read.
        """
        caller = await self._settled_caller(call, _FIRST_LOOK_S)
        if self._library.view(caller).find(name) is None:  # it may be in a file that is not read yet
            await self._library.wait_until_settled(caller, math.inf)
        return await self._library.find_or_explain(caller, name)

    async def _settled_caller(self, call: DoorCall, seconds: float) -> Caller:
        """The run's caller, after its folders have been read or `seconds` have passed."""
        caller = _caller(call)
        await self._library.wait_until_settled(caller, seconds)
        return caller

    async def _stored_version(self, hash: str) -> WorkflowVersion:
        version = await self._store.version(hash, patient=True)
        if version is None:
            raise UnknownWorkflow(f"The version {hash} is gone.")
        return version

    async def _search(self, call: DoorCall) -> DoorResult:
        limit = int(call.args.get("limit") or 5)
        caller = await self._settled_caller(call, _BRIEF_LOOK_S)
        found = await self._library.search(caller, str(call.args.get("query", "")), limit)
        return DoorResult(found["matches"])

    async def _list(self, call: DoorCall) -> DoorResult:
        """All pages in one list."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        caller = await self._settled_caller(call, _BRIEF_LOOK_S)
        while True:
            page = await self._library.list_workflows(caller, cursor, 1000)
            items += page["workflows"]
            cursor = page["next_cursor"]
            if cursor is None:
                return DoorResult(items)

    async def _get(self, call: DoorCall) -> DoorResult:
        """The workflow, or None if no such workflow is published."""
        caller = await self._settled_caller(call, _BRIEF_LOOK_S)
        try:
            known = await self._versions.get(caller, str(call.args.get("name", "")))
        except UnknownWorkflow:
            return DoorResult(None)
        return DoorResult(known if known["status"] == "published" else None)

    async def _create(self, call: DoorCall) -> DoorResult:
        if (known := await answer_before_crash(self._store, call)) is not None:
            return known
        args = call.args

        async def create() -> Any:
            return await self._publishing.create(
                _caller(call),
                str(args.get("name", "")),
                str(args.get("source", "")),
                args.get("description") or None,
                bool(args.get("replace")),
                args.get("examples"),
                _strings(args.get("tags")),
            )

        return DoorResult(await _when_it_can_be_stored(create))

    async def _delete(self, call: DoorCall) -> DoorResult:
        if (known := await answer_before_crash(self._store, call)) is not None:
            return known

        async def delete() -> Any:
            return await self._publishing.delete(
                _caller(call), str(call.args.get("name", "")), bool(call.args.get("force"))
            )

        return DoorResult(await _when_it_can_be_stored(delete))


async def _when_it_can_be_stored(change: Callable[[], Awaitable[Any]]) -> Any:
    """Make a change that is one transaction. A full disk or a lock is no failure of the run: it waits, as for its records."""
    while True:
        try:
            return await change()
        except StorageError:
            logger.warning("a body's change of workflows waits until it can be stored")
            await anyio.sleep(_TRY_AGAIN_S)


async def answer_before_crash(store: Store, call: DoorCall) -> DoorResult | None:
    """The answer of this call, if the server died after the change and before the call was recorded."""
    known = await store.effect(call.live.run.id, call.path) if call.live.begun_again else None
    return None if known is None else DoorResult(json.loads(known))


def _checked_version(live: Live) -> WorkflowVersion:
    while live.parent is not None:
        live = live.parent
    return live.version


def _strings(value: Any) -> list[str]:
    if not isinstance(value or [], list) or not all(isinstance(one, str) for one in value or ()):
        raise BadArguments("`tags` must be a list of strings.")
    return value or []


def _caller(call: DoorCall) -> Caller:
    """The run's caller: a body sees the folders that its caller saw. A run that an older server started has none stored; it sees the
    folder of its own file."""
    live = call.live
    root = live.version.root
    roots = live.run.roots or ((root,) if root else ())
    return Caller(
        principal=live.run.principal,
        roots=roots,
        env=live.env,
        provider_env=dict(live.provider_env),
        client=live.run.id,
        call=(live.run.id, call.path),
        lane=live.lane,
    )
