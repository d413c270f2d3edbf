"""What bodies reach through doors besides time and people: the registry and its workflows. Here a name becomes a version.

A door is a function of a DoorCall under the name of its call; further ones (tools, artifacts, agents) are added to `doors` alike.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from ..engine.child_runs import Children
from ..engine.doors import Door, DoorCall, DoorResult
from ..engine.live_run import Live
from ..errors import BadArguments, UnknownWorkflow
from ..model.session import Caller
from ..model.workflow import WorkflowVersion
from ..names import new_session_id
from ..store import Store
from . import Service

_FIRST_LOOK_S: Final = 10.0
"""A folder that is being read: with one file that hangs on import, what the others hold is good enough after this."""
_BRIEF_LOOK_S: Final = 3.0
"""For the calls during which a run keeps its worker's place: reading a file may need it."""


class WorkflowDoors:
    def __init__(self, service: Service, children: Children, store: Store) -> None:
        self._service = service
        self._children = children
        self._store = store

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
        """A run below this one. `session_id`: "parent" (or its id) shares the parent's session; left out, the child has its own."""
        name, arguments = str(call.args["name"]), dict(call.args["arguments"])
        wanted = arguments.pop("session_id", None)
        if (known := await self._children.earlier_run(call)) is not None:
            self._children.check_same(call, known, await self._stored(known.version), name, arguments)
            return await self._children.wait(call, known.id)
        session_id = self._session(call, wanted)
        version = await self._version(call, name)
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
        """The run's first call of a name decides for all its later ones, after a resume as well, whatever is published meanwhile. An
        example that calls itself calls the version that is being checked."""
        if call.live.run.is_example and (checked := _checked_version(call.live)).name == name:
            return checked
        pins = call.live.pins
        await self._children.recall_pins(call.live)
        if name not in pins:
            version = self._pinned_as(call, name) or await self._found(call, name)
            return call.live.pin(name, version)
        return pins[name]

    def _pinned_as(self, call: DoorCall, alias: str) -> WorkflowVersion | None:
        """A class or a file may have another name by now, or none, but the run has called it by this one."""
        if alias in self._service.view(_caller(call)).names:
            return None
        return next((version for version in call.live.pins.values() if version.answers_to(alias)), None)

    async def _found(self, call: DoorCall, name: str) -> WorkflowVersion:
        """What the name means now to the run's caller. Raises UnknownWorkflow.

        After a restart this run may be the first to look into these folders, and waits until they are read.
        """
        caller = await self._settled(call, _FIRST_LOOK_S)
        if self._service.view(caller).find(name) is None:  # it may be in a file that is not read yet
            await self._service.settled(caller, math.inf)
        return self._service.find(caller, name)

    async def _settled(self, call: DoorCall, seconds: float) -> Caller:
        """The run's caller, whose folders have been read."""
        caller = _caller(call)
        await self._service.settled(caller, seconds)
        return caller

    async def _stored(self, hash: str) -> WorkflowVersion:
        version = await self._store.version(hash, patient=True)
        if version is None:
            raise UnknownWorkflow(f"The version {hash} is gone.")
        return version

    async def _search(self, call: DoorCall) -> DoorResult:
        limit = int(call.args.get("limit") or 5)
        caller = await self._settled(call, _BRIEF_LOOK_S)
        found = await self._service.search(caller, str(call.args.get("query", "")), limit)
        return DoorResult(found["matches"])

    async def _list(self, call: DoorCall) -> DoorResult:
        """All of them, as the namespace of the same name elsewhere gives them."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        caller = await self._settled(call, _BRIEF_LOOK_S)
        while True:
            page = await self._service.list_workflows(caller, cursor, 1000)
            items += page["workflows"]
            cursor = page["next_cursor"]
            if cursor is None:
                return DoorResult(items)

    async def _get(self, call: DoorCall) -> DoorResult:
        """None where there is no such workflow."""
        caller = await self._settled(call, _BRIEF_LOOK_S)
        try:
            known = await self._service.get(caller, str(call.args.get("name", "")))
        except UnknownWorkflow:
            return DoorResult(None)
        return DoorResult(known if known["status"] == "published" else None)

    async def _create(self, call: DoorCall) -> DoorResult:
        if (known := await self._done_before(call)) is not None:
            return known
        args = call.args
        created = await self._service.create(
            _caller(call), str(args.get("name", "")), str(args.get("source", "")), args.get("description") or None,
            bool(args.get("replace")), args.get("examples"), _strings(args.get("tags")),
        )  # fmt: skip
        return DoorResult(created)

    async def _delete(self, call: DoorCall) -> DoorResult:
        if (known := await self._done_before(call)) is not None:
            return known
        return DoorResult(
            await self._service.delete(_caller(call), str(call.args.get("name", "")), bool(call.args.get("force")))
        )

    async def _done_before(self, call: DoorCall) -> DoorResult | None:
        """The server may have died between what this call changed and its record."""
        known = await self._store.effect(call.live.run.id, call.path) if call.live.begun_again else None
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
    """A body sees what its caller saw. A run that an older server began has no folders with it: it sees that of its file."""
    live = call.live
    root = live.version.root
    roots = live.run.roots or ((root,) if root else ())
    return Caller(
        principal=live.run.principal,
        roots=roots,
        env=live.env,
        client=live.run.id,
        call=(live.run.id, call.path),
        lane=live.lane,
    )
