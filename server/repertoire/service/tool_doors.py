"""ToolDoors: the doors `tool`, `tools.list` and `tools.search` of a body; decides if a call is allowed, and asks a person where it must.

The call itself is made by `ToolCalls`, and recorded by CallExecutor as any call is. Rules:

1. A version may use the tools that it was made with (`registry.used_tools`). Untrusted code may use only those of them that the operator
   lists in `untrusted_tools`.
2. A destructive tool is asked about first, with the exact call. The question is stored under the call's path, as that of `ask` is: so the run
   can be parked, and a body that is begun again finds the answer. "Approve for this run" answers for later calls of the same tool.
3. A tool that asks in the middle of its call keeps its run from being parked, because its call would be lost. After a restart the call is
   made again with the same idempotency key, and the same question then has its answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from ..engine.doors import Door, DoorCall, DoorResult
from ..engine.live_run import Live
from ..errors import BadArguments
from ..model.run import Question
from ..registry.used_tools import permits, tools_of
from ..settings import Settings
from ..store import Store
from ..text import escaped
from ..upstream.tool import Blob, Tool, ToolContext, ToolNotAllowed, ToolRefused, ToolUnavailable, UnknownTool
from .artifacts import Artifacts
from .tool_calls import ToolCalls
from .tools import Tools

ONCE: Final = "once"
FOR_THIS_RUN: Final = "approve for this run"
REFUSE: Final = "refuse"
APPROVAL: Final = {"type": "string", "enum": [ONCE, FOR_THIS_RUN, REFUSE]}
_SHOWN_CHARS: Final = 8_000
_LEAST_SHOWN: Final = 200
_QUESTION_CHARS: Final = 4_000
"""Of a call that a person is asked to approve."""
_EVERY_S: Final = 0.2
"""Progress of a tool is stored at most so often."""
_MOST_EVENTS: Final = 500
"""Progress events of one call."""
_MESSAGE_CHARS: Final = 500


class ToolDoors:
    def __init__(
        self,
        tools: Tools,
        calls: ToolCalls,
        store: Store,
        settings: Settings,
        artifacts: Artifacts,
        ask: Door,
        forget_question: Callable[[Question], None],
    ) -> None:
        """`ask` is the door for questions of bodies."""
        self._tools = tools
        self._calls = calls
        self._store = store
        self._settings = settings
        self._artifacts = artifacts
        self._ask_door = ask
        self._forget_question = forget_question

    @property
    def doors(self) -> dict[str, Door]:
        return {"tool": self._call, "tools.list": self._list, "tools.search": self._search}

    async def _list(self, call: DoorCall) -> DoorResult:
        return DoorResult((await self._tools.list_tools())["tools"])

    async def _search(self, call: DoorCall) -> DoorResult:
        query, limit = call.args.get("query"), call.args.get("limit", 5)
        if not isinstance(query, str):
            raise BadArguments("tools.search(query, limit=5): the query is a text.")
        return DoorResult((await self._tools.search(query, limit))["tools"])

    async def _call(self, call: DoorCall) -> DoorResult:
        path, arguments = str(call.args["tool"]), dict(call.args["arguments"])
        try:
            source, tool = await self._tools.catalog.find(path)
        except (UnknownTool, ToolUnavailable):
            if (described := await self._tools.describe_verb(path)) is None:
                raise
            return DoorResult(described)
        await self._check_allowed(call.live, tool)
        arguments = await self._calls.complete_arguments(tool, arguments, call.key)
        await self._check_approved(call, tool, arguments)
        progress, questions = _Progress(call.live, self._store, self._calls.mask), _Questions(self, call)
        context = ToolContext(call.key, progress.tell, questions.ask, dict(call.live.env))
        try:
            text = await self._calls.call(
                source,
                tool,
                arguments,
                context,
                keep_blob=partial(self._keep_blob, call.live),
                retries=int(call.args.get("retries", 0)),
                timeout=call.args.get("timeout"),
                note=progress.warn,
            )
        except Exception:  # not on cancellation: then the record of the call closes them
            await questions.close()
            raise
        finally:
            progress.close()
        await questions.close()
        return DoorResult(result=text)

    async def _check_allowed(self, live: Live, tool: Tool) -> None:
        version = live.version
        entries = version.tools if version.tools is not None else await asyncio.to_thread(tools_of, version)
        if not permits(entries, tool.path):
            raise ToolNotAllowed(
                f"{version.name} may not use tools.{tool.path}: its source does not name it.",
                f'For a name that is built at run time, declare it: __workflow__ = {{"tools": ["{tool.path}"]}}.',
            )
        listed = self._settings.untrusted_tools
        if not version.is_trusted and not permits(listed, tool.path):
            raise ToolNotAllowed(
                f"{version.name} may not use tools.{tool.path}: it came through a tool, and such code may use only {_named(listed)} here.",
                "The operator allows it in the setting untrusted_tools, or approves the workflow with `repertoire approve`.",
            )

    async def _check_approved(self, call: DoorCall, tool: Tool, arguments: dict[str, Any]) -> None:
        if not self._needs_approval(tool):
            return
        run_id, name = call.live.run.id, f"approve {tool.path}"
        if await self._store.was_answered(run_id, name, json.dumps(FOR_THIS_RUN)):
            return
        answer = await self.ask(call, name, _approval_question(tool, arguments), APPROVAL, parks=True)
        if answer not in (ONCE, FOR_THIS_RUN):
            raise ToolRefused(
                f"A person did not allow tools.{tool.path}.", "Go on without it, or ask what to do instead."
            )

    def _needs_approval(self, tool: Tool) -> bool:
        if self._settings.tool_approval == "destructive":
            return tool.is_destructive
        return self._settings.tool_approval == "all" and not tool.only_reads

    async def _keep_blob(self, live: Live, tool: Tool, blob: Blob) -> dict[str, Any]:
        """The entry of the artifact that the bytes become."""
        return await self._artifacts.keep_blob(live.run.principal, tool.source, blob.data, blob.mime_type, live.run.id)

    async def ask(self, call: DoorCall, name: str, question: str, schema: dict[str, Any], *, parks: bool) -> Any:
        """The answer to a question of this call. `name` tells the call's questions from one another."""
        asked = call._replace(
            path=question_path(call.path, name),
            args={"question": self._calls.mask(question), "schema": schema},
            wait_for=call.wait_for if parks else lambda parking: None,
        )
        try:
            return (await self._ask_door(asked)).value
        finally:
            call.wait_for(None)

    async def close_question(self, live: Live, path: str) -> None:
        """Nobody waits for its answer any more."""
        if (known := await self._store.find_question(live.run.id, path)) is not None and known[1] is None:
            await self._store.close_wait(live.run, path)
            self._forget_question(known[0])


class _Questions:
    """The questions of one tool in the middle of its call."""

    def __init__(self, doors: ToolDoors, call: DoorCall) -> None:
        self._doors = doors
        self._call = call
        self._open: set[str] = set()
        self._asked: Counter[str] = Counter()

    async def ask(self, question: str, schema: dict[str, Any]) -> Any:
        """The same question has the same name when the call is made again. The second of one text is another question."""
        text = json.dumps([question, schema], sort_keys=True)
        question = f"tools.{self._call.args['tool']} asks: {escaped(question[:_QUESTION_CHARS])}"
        name = f"ask {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self._asked[name] += 1
        if self._asked[name] > 1:
            name += f" {self._asked[name]}"
        path = question_path(self._call.path, name)
        self._open.add(path)
        answer = await self._doors.ask(self._call, name, question, schema, parks=False)
        self._open.discard(path)
        return answer

    async def close(self) -> None:
        """The call has ended."""
        for path in self._open:
            await self._doors.close_question(self._call.live, path)


class _Progress:
    """Stores a tool's progress as events of the run: the latest, at most every `_EVERY_S`."""

    def __init__(self, live: Live, store: Store, mask: Callable[[str], str]) -> None:
        self._live = live
        self._store = store
        self._mask = mask
        self._latest: dict[str, Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left = _MOST_EVENTS

    def tell(self, done: float, total: float | None, message: str | None) -> None:
        if not _is_number(done) or (total is not None and not _is_number(total)):
            return
        text = None if message is None else self._mask(str(message))[:_MESSAGE_CHARS]
        self._latest = {"done": done, "total": total, "message": text}
        if self._timer is None:
            self._flush()
            self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._due)

    def warn(self, message: str) -> None:
        self._add("log", {"level": "warning", "message": message})

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._flush()

    def _due(self) -> None:
        self._timer = None
        if self._latest is not None:
            self._flush()
            self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._due)

    def _flush(self) -> None:
        if self._latest is not None and self._left > 0:
            self._left -= 1
            self._add("progress", self._latest)
        self._latest = None

    def _add(self, kind: Literal["log", "progress"], data: dict[str, Any]) -> None:
        if self._live.done.is_set() or self._live.is_parking:
            return
        first = self._live.number_events(1)
        self._store.add_events(self._live.run, first, [(kind, time.time(), data)]).add_done_callback(self._on_stored)

    def _on_stored(self, stored: asyncio.Future[None]) -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._live.announce()


def question_path(path: str, name: str) -> str:
    """The path of a question that a call asks by the way. `store.unfinished` takes the call's path from it."""
    return f"{path}?{name}"


def _approval_question(tool: Tool, arguments: dict[str, Any]) -> str:
    """`repr` shows characters that are invisible, or that would turn the text around."""
    given = [f"{_shown_name(name)}={value!r}" for name, value in arguments.items()]
    room = max(_SHOWN_CHARS // max(len(given), 1), _LEAST_SHOWN)
    shown = f"tools.{tool.path}({', '.join(one if len(one) <= room else f'{one[:room]}...' for one in given)})"
    if len(shown) > _SHOWN_CHARS + 2 * _LEAST_SHOWN or any(len(one) > room for one in given):
        whole = hashlib.sha256(", ".join(given).encode("utf-8", "backslashreplace")).hexdigest()[:16]
        shown = f"{shown[: 2 * _SHOWN_CHARS]} (cut; sha256 of all arguments: {whole})"
    return f"May this workflow call {shown}? It may change or delete something."


def _shown_name(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else repr(name)


def _named(entries: tuple[str, ...]) -> str:
    return ", ".join(f"tools.{one}" for one in entries) or "no tools"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
