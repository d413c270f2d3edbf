"""The verbs: search, list, get, create, delete, run, get_run, cancel, answer. Every surface translates into one of these and back.

Here a caller's name and session become a version and a session, and rights are checked. Nothing here knows of a protocol.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from .engine.live import Live
from .engine.retention import Retention
from .engine.runner import Runner, unknown_run
from .engine.waits import Waits, check_answer
from .errors import BadArguments, NotDeletable, Refused, UnknownSession, UnknownWorkflow
from .model.run import Run, RunEvent, envelope, iso, result_part
from .model.session import Caller, Session
from .model.workflow import Finding, Origin, WorkflowVersion, name_problem, version_hash
from .names import new_run_id, new_session_id
from .registry.catalog import Catalog
from .registry.classes import ClassWorkflow
from .registry.folder import with_schemas
from .registry.listing import listed
from .registry.search import Finder, Match
from .registry.source import analyse
from .registry.view import View
from .settings import Settings
from .store import Store
from .wire import Fault

_NOT_ISOLATED = Finding(
    "isolation", "info", "Runs in a process of its own with a memory and time limit, but not isolated from this user's files and network.",
)  # fmt: skip
_MAX_NAMED_SESSIONS = 10_000
_MAX_KEY_CHARS = 200
_REPEATED_WITHIN_S = 120.0
_MAX_UNDELIVERED = 1_000
_MAX_EVENTS = 500
"""Events in one answer of get_run; `after_event` fetches the next ones."""
_MAX_CALLS = 1_000
"""Calls of one run in its tree."""
_LOOK_AGAIN_S = 1.0


class Service:
    def __init__(
        self, settings: Settings, store: Store, catalog: Catalog, runner: Runner, waits: Waits, retention: Retention, finder: Finder
    ) -> None:  # fmt: skip
        self._finder = finder
        self._waits = waits
        self._undelivered = Undelivered()
        self._retention = retention
        self._settings = settings
        self._limits = settings.limits
        self._store = store
        self._catalog = catalog
        self._runner = runner
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._listed: dict[tuple[str, ...], tuple[int, list[WorkflowVersion]]] = {}
        self._publishing = anyio.Lock()

    def view(self, caller: Caller) -> View:
        return self._catalog.view(caller.roots)

    def on_change(self, listener: Any) -> None:
        """Call `listener()` whenever the set of workflows has changed."""
        self._catalog.on_change(listener)

    @property
    def own_env(self) -> dict[str, str]:
        """For callers who have no environment of their own here, as over HTTP."""
        return self._settings.own_env()

    @property
    def own_roots(self) -> tuple[str, ...]:
        """The folders that this process's own command line names: what HTTP callers see."""
        return self._settings.roots

    async def refresh(self, caller: Caller) -> None:
        """Read changed files now: a command line just written to expects to be obeyed."""
        await self._catalog.rescan(caller.roots)

    async def settled(self, caller: Caller, seconds: float = 5.0) -> None:
        """Wait until the caller's folders have been read once, or `seconds` are over."""
        await self._catalog.settled(caller.roots, seconds)

    async def listed(self, caller: Caller, fixed: int) -> list[WorkflowVersion]:
        """What tools/list shows besides the `fixed` tools. Changes only when the catalog does."""
        known = self._listed.get(caller.roots)
        if known is None or known[0] != self._catalog.generation:
            generation, view = self._catalog.generation, self.view(caller)
            places = max(self._limits.max_listed_tools - fixed, 0)
            usage = await self._store.usage() if len(view.names) > places else {}
            names = listed(view, places, self._catalog.newest(), usage)
            known = self._listed[caller.roots] = (generation, [view.names[name] for name in names])
        return known[1]

    async def search(
        self, caller: Caller, query: str, limit: int = 5, tags: Sequence[str] | None = None, include_source: bool = False, *,
        wait_s: float | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """What fits the query, of the workflows with all `tags`. `ranking` is semantic only if the encoder gave every score.

        `wait_s`: how long to wait for an encoder that is starting or indexing, before words have to do.
        """
        view = self.view(caller)
        limit = max(1, min(limit, 100))
        found = await self._finder.find(caller.roots, view, query, limit, tuple(tags or ()), wait_s=wait_s)
        matches = [_match(view.names[one.name], one, include_source) for one in found.matches]
        answer: dict[str, Any] = {"matches": matches, "ranking": found.ranking}
        if found.note:
            answer["note"] = found.note
        if not matches:
            answer["hint"] = "Nothing fits. Try other words, or write the workflow and publish it with create_workflow."
        return answer

    @property
    def indexing(self) -> tuple[int, int] | None:
        """How many of how many new workflows the encoder has taken in, while it has any to do."""
        return self._finder.meaning.progress if self._finder.meaning is not None else None

    async def list_workflows(self, caller: Caller, cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
        """A page of all workflows in alphabetical order; `cursor` is the last name of the page before."""
        view = self.view(caller)
        limit = max(1, min(limit, 1000))
        rest = [version for name, version in view.names.items() if cursor is None or name > cursor]
        page = rest[:limit]
        return {
            "workflows": [_item(version) for version in page],
            "broken": [] if cursor else [_broken(file.path, file.findings) for file in view.broken],
            "next_cursor": page[-1].name if len(rest) > limit else None,
        }

    async def get(self, caller: Caller, name: str) -> dict[str, Any]:
        """Everything about one workflow, its source included; `versions` are all that the name ever had, newest first."""
        version = self.find(caller, name)
        versions = await self._store.versions_of(version.name)
        return {
            **_item(version),
            "input_schema": version.input_schema,
            "output_schema": version.output_schema,
            "options": msgspec.to_builtins(version.options),
            "file": version.path,
            "findings": [msgspec.to_builtins(finding) for finding in version.findings],
            "versions": [{"version": known.short, "created_at": iso(known.created_at)} for known in versions],
            "source": version.source,
        }

    def find(self, caller: Caller, name: str) -> WorkflowVersion:
        """Raises UnknownWorkflow, with close names."""
        view = self.view(caller)
        version = view.find(name)
        if version is None:
            close = view.close_to(name)
            hint = (
                f"Did you mean {' or '.join(close)}?"
                if close
                else "search_workflows and list_workflows show what there is."
            )
            raise UnknownWorkflow(f"There is no workflow {name[:100]!r}.", hint)
        return version

    async def create(
        self, caller: Caller, name: str, source: str, description: str | None = None, replace: bool = False
    ) -> dict[str, Any]:
        """Check, load once in a fresh process, publish. Raises Refused with what to correct; nothing of a refused source runs."""
        self._check_authoring()
        self._check_name(name, replace)
        version = await self._checked(name, source, description, "tool", caller)
        async with self._publishing:
            self._check_name(name, replace)  # another call may have taken it meanwhile
            await self._catalog.publish(version, version.created_at)
        answer = _published(version)
        return {**answer, "findings": [*answer["findings"], msgspec.to_builtins(_NOT_ISOLATED)]}

    async def delete(self, caller: Caller, name: str) -> bool:
        """Take a created workflow away; its runs stay readable. False: there is none. Raises NotDeletable for a file's."""
        self._check_authoring()
        if self._catalog.created(name) is None:
            version = self.view(caller).find(name)
            if version is not None:
                raise NotDeletable(
                    f"{name!r} comes from the file {version.path}.", "Remove or change that file instead."
                )
        return await self._catalog.unpublish(name)

    async def add_file(self, caller: Caller, name: str, source: str, replace: bool = False) -> dict[str, Any]:
        """The operator's create: checked as above, then kept as HOME/workflows/NAME.py, to be edited there."""
        path = self._own_file(name)
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        known = self.view(caller).find(name)
        if known is not None and not (replace and known.path == path):
            where = known.path or "a workflow that was created through a tool"
            raise Refused(
                f"The name {name!r} is taken by {where}.", "Choose another name, or use --replace.", code="name_taken"
            )
        version = await self._checked(name, source, None, "operator", caller)
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        await anyio.Path(path).write_text(source, encoding="utf-8")
        await self._catalog.rescan(caller.roots)
        return {**_published(version), "file": path}

    async def remove(self, caller: Caller, name: str) -> bool:
        """The operator's delete: also a file in HOME/workflows."""
        version = self.view(caller).find(name)
        if version is not None and version.path == self._own_file(name):
            await anyio.Path(version.path).unlink(missing_ok=True)
            await self._catalog.rescan(caller.roots)
            return True
        return await self.delete(caller, name)

    def _own_file(self, name: str) -> str:
        return os.path.join(self._settings.home, "workflows", f"{name}.py")

    async def _checked(
        self, name: str, source: str, description: str | None, origin: Origin, caller: Caller
    ) -> WorkflowVersion:
        """Parse, then load once in a worker of the origin's kind. Raises Refused with what to correct."""
        analysis = await anyio.to_thread.run_sync(
            lambda: analyse(source, max_bytes=self._limits.max_source_bytes, description=description)
        )
        entry = _class_to_run(analysis.classes, name, is_file=origin == "operator")
        text = (description or "").strip() or (entry.description if entry else "") or analysis.description
        version = WorkflowVersion(
            hash=version_hash(name, source, text, analysis.options, ()), name=name, origin=origin, source=source,
            description=text, options=analysis.options, input_schema={}, output_schema={}, uses_state=analysis.uses_state,
            entry=entry.entry if entry else None, author=caller.principal, created_at=time.time(),
        )  # fmt: skip
        read = await self._runner.inspect(version, caller.env)
        if isinstance(read, Fault):
            raise Refused(read.message, read.hint, code=read.code, line=read.line)
        return with_schemas(version, read)

    async def run(
        self,
        caller: Caller,
        name: str,
        arguments: Any,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Live:
        """Start a run and give back its handle at once.

        With a key that was used before, for the same workflow and arguments, the run that it started then, whatever has become of it.
        """
        version = self.find(caller, name)
        if not isinstance(arguments, dict):
            raise BadArguments(
                "`arguments` must be an object with the workflow's parameters.", f"get_workflow({name!r}) shows them."
            )
        text = json.dumps(arguments)  # ASCII: a lone surrogate in it must not break the store or the wire
        if (size := len(text)) > self._limits.max_arguments_bytes:
            raise BadArguments(
                f"The arguments are {size} bytes of JSON; at most {self._limits.max_arguments_bytes} are allowed.",
                "Put large input into a file and give its path.",
            )
        session = await self._session(caller, session_id)
        if idempotency_key is None and (lost := self._undelivered.take(caller.principal, session, version.name, text)):
            known = self._runner.live(lost) or await self._ended(lost)
            if known is not None:
                return known
        if idempotency_key is None:
            return self._runner.start(version, text, session, caller.principal, caller.env)
        run_id = await self._first_of(caller, version.name, idempotency_key, text)
        known = self._runner.live(run_id) or await self._ended(run_id)
        return known or self._runner.start(version, text, session, caller.principal, caller.env, run_id=run_id)

    async def _ended(self, run_id: str) -> Live | None:
        """A handle for a run that is not live here."""
        run = await self._store.run(run_id)
        version = run and await self._store.version(run.version)
        return self._runner.handle(run, version) if run and version else None

    async def _first_of(self, caller: Caller, workflow: str, key: str, arguments: str) -> str:
        if not 0 < len(key) <= _MAX_KEY_CHARS:
            raise BadArguments(f"`idempotency_key` must have 1 to {_MAX_KEY_CHARS} characters.")
        hashed = hashlib.sha256(json.dumps(json.loads(arguments), sort_keys=True).encode()).hexdigest()
        try:
            return await self._store.idempotent(
                caller.principal, workflow, key, hashed, new_run_id(workflow), self._limits.idempotency_ttl_s
            )
        except ValueError as error:
            raise BadArguments(
                f"The idempotency key {key!r} stands for {error} already, which had other arguments.",
                "Use a new key for a new request.",
            ) from None

    def undelivered(self, run_id: str) -> None:
        """Its caller is gone before it was told the result. Who makes the same call again soon is answered by this run."""
        run = self._runner.current(run_id)
        if run is None or run.parent is not None:
            return
        self._undelivered.put(run.principal, run.session_id, run.workflow, run.arguments, run.id)

    async def wait(self, live: Live, seconds: float | None) -> Run:
        """The run when it has ended or asks somebody, or as it is after `seconds`."""
        return await self._runner.wait(live.run.id, seconds) or live.run

    async def finish(self, live: Live) -> Run:
        """The run when it has ended, whoever has to be asked on the way."""
        run = await self.wait(live, None)
        while not run.is_final:
            async for _ in self._runner.follow(run.id, run.last_event):
                pass
            run = await self.wait(live, None)
        return run

    async def news(self, caller: Caller, run_id: str, asked: Collection[str] = ()) -> Run:
        """The run when it has ended, or asks something that is not among the questions `asked`."""
        while True:
            changed = self._runner.watch.next(run_id)
            try:
                run = await self.own_run(caller, run_id)
                if run.is_final or any(question.id not in asked for question in run.questions):
                    return run
                with anyio.move_on_after(_LOOK_AGAIN_S):  # nobody tells of a question of a run below one that is parked
                    await changed
            finally:
                self._runner.watch.forget(run_id, changed)

    async def gc(self, keep_s: float | None = None, keep: int | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Delete runs that need not be kept and versions that nothing refers to; or say only how much that would be."""
        gone = await self._retention.now(keep_s, keep, dry_run=dry_run)
        return {**msgspec.to_builtins(gone), "dry_run": dry_run}

    async def answer(self, caller: Caller, run_id: str, answer: Any, question_id: str | None = None) -> dict[str, Any]:
        """Answer what a run asks; with one open question its id may be left out. The envelope as it is afterwards."""
        run = await self.own_run(caller, run_id)
        if not run.questions:
            raise BadArguments(f"{run_id} asks nothing now (it is {run.status}).")
        if question_id is None and len(run.questions) > 1:
            ids = ", ".join(f"{one.id} ({one.question[:60]})" for one in run.questions)
            raise BadArguments("The run asks several questions: say with question_id which one this answers.", ids)
        return await self.answer_many(caller, run_id, {question_id or run.questions[0].id: answer})

    async def answer_many(self, caller: Caller, run_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        """Answers by question. All of them are checked before the first is given."""
        run = await self.own_run(caller, run_id)
        open_ones = {one.id: one for one in run.questions}
        for question_id, answer in answers.items():
            if question_id not in open_ones:
                raise BadArguments(f"{run_id} has no open question {question_id[:100]!r}.")
            check_answer(open_ones[question_id], answer)
        for question_id, answer in answers.items():
            await self._waits.answer(open_ones[question_id], answer)
        return self.envelope(await self.own_run(caller, run_id))

    async def resume(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """Go on with a run that waits for somebody to decide that."""
        await self.own_run(caller, run_id)
        await self._runner.resume(run_id, env=caller.env, forced=True)
        return self.envelope(await self.own_run(caller, run_id))

    async def rerun(self, caller: Caller, run_id: str, before: str | None = None, source: str | None = None) -> Live:
        """A new run of the same version and arguments (or of another source) that takes the recorded answers up to call `before`;
        without it, all of them."""
        run = await self.own_run(caller, run_id)
        version = await self._store.version(run.version)
        if version is None:
            raise UnknownWorkflow(f"The version of {run_id} is gone.")
        if source is not None:
            version = await self._checked(version.name, source, None, version.origin, caller)
            version = msgspec.structs.replace(version, path=None, root="")
            await self._store.keep_version(version)
        number = await self._number_of(run_id, before)
        new_id = new_run_id(run.workflow)
        await self._store.copy_calls(run_id, new_id, number)
        return self._runner.start(
            version, run.arguments, new_session_id(), caller.principal, caller.env, run_id=new_id, rerun_of=run_id
        )

    async def _number_of(self, run_id: str, path: str | None) -> int | None:
        if path is None:
            return None
        calls = await self._store.calls(run_id)
        for call in calls:
            if call["path"] == path:
                return int(call["n"])
        known = ", ".join(call["path"] for call in calls[:20]) or "none"
        raise BadArguments(f"{run_id} has no recorded call {path!r}.", f"Its calls are: {known}.")

    async def tree(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """The run with its calls and, below those that are runs, theirs; calls that are still open come last."""
        run = await self.own_run(caller, run_id)
        below = await self._store.runs(caller.principal, parent=run_id, limit=_MAX_CALLS)
        children = {child.parent_path or "": child.id for child in reversed(below)}
        calls, recorded = [], await self._store.calls(run_id)
        for call in recorded[:_MAX_CALLS]:
            error = call.pop("error")
            child = call.pop("child") or children.get(call["path"])
            children.pop(call["path"], None)
            row = {**call, "began_at": iso(call["began_at"]), "ended_at": iso(call["ended_at"])}
            row["duration_s"] = round(call["ended_at"] - call["began_at"], 6)
            row["cancelled"], row["covered"] = bool(call["cancelled"]), bool(call["covered"])
            row["error"] = None if error is None else {"type": error.type, "message": error.message}
            if child is not None:
                row["run"] = await self.tree(caller, child)
            calls.append(row)
        for path, open_child in sorted(children.items(), key=lambda one: one[1]):
            inner = await self.tree(caller, open_child)
            calls.append({"path": path, "op": "workflow", "label": inner["workflow"], "ended_at": None, "run": inner})
        left_out = max(len(recorded) - _MAX_CALLS, 0)
        return {**run.summary(), **self.envelope(run), "calls": calls, "calls_left_out": left_out}

    async def get_run(
        self, caller: Caller, run_id: str, wait_s: float = 0, after_event: int = 0, part: int | None = None
    ) -> dict[str, Any]:
        """The envelope with events numbered after `after_event`; `part` gives a piece of a long result instead."""
        run = await self.own_run(caller, run_id)
        if wait_s > 0 and not run.is_final:
            run = await self._runner.wait(run_id, min(wait_s, self._limits.inline_deadline_s)) or await self.own_run(
                caller, run_id
            )
        answer = self.envelope(run)
        if part is not None:
            piece = result_part(run, part, self._limits.inline_result_chars)
            if piece is None:
                raise BadArguments(
                    f"There is no part {part} of this result.", f"Parts go from 1 to {answer.get('parts', 1)}."
                )
            return {**answer, "result": None, "part": part, "text": piece}
        events = await self._store.events(run_id, max(after_event, 0), _MAX_EVENTS + 1)
        answer["events"] = [event.public() for event in events[:_MAX_EVENTS]]
        answer["more_events"] = len(events) > _MAX_EVENTS
        return answer

    async def cancel(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """Stop it if it is going on; the envelope as it is afterwards."""
        await self.own_run(caller, run_id)
        await self._runner.cancel(run_id)
        return self.envelope(await self.own_run(caller, run_id))

    async def own_run(self, caller: Caller, run_id: str) -> Run:
        """Raises UnknownRun, for a foreign run too."""
        run = self._runner.current(run_id) or await self._store.run(run_id)
        if run is None or run.principal != caller.principal:
            raise unknown_run(run_id)
        return run

    def follow(self, run_id: str, after: int = 0, *, nested: bool = False) -> AsyncIterator[RunEvent]:
        """The events of a run that the caller has been shown to own; `nested`: also of the runs below it."""
        return self._runner.follow(run_id, after, nested=nested)

    async def runs(self, caller: Caller, **filters: Any) -> list[dict[str, Any]]:
        """Newest first; filters: workflow, session_id, status, since and until (ISO 8601), limit, top (those that no run began)."""
        for name in ("since", "until"):
            if isinstance(filters.get(name), str):
                filters[name] = _moment(name, filters[name])
        runs = await self._store.runs(caller.principal, **filters)
        return [(self._runner.current(run.id) or run).summary() for run in runs]

    async def sessions(self, caller: Caller) -> list[dict[str, Any]]:
        rows = await self._store.sessions(caller.principal)
        return [_session_row(session, workflows) for session, workflows in rows]

    def broken(self, caller: Caller) -> list[dict[str, Any]]:
        return [_broken(file.path, file.findings) for file in self.view(caller).broken]

    def envelope(self, run: Run) -> dict[str, Any]:
        return envelope(run, self._limits.inline_result_chars)

    def _check_authoring(self) -> None:
        if self._settings.authoring == "off":
            raise Refused("This server does not let clients create or delete workflows.", code="authoring_off")

    def _check_name(self, name: str, replace: bool) -> None:
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        if path := self._catalog.file_of(name):
            raise Refused(f"The name {name!r} belongs to the file {path}.", "Choose another name.", code="name_taken")
        if self._catalog.created(name) is not None and not replace:
            raise Refused(
                f"A workflow {name!r} exists already.",
                "Choose another name, or create it again with replace=true.",
                code="name_taken",
            )

    async def _session(self, caller: Caller, session_id: str | None) -> str:
        if session_id is None and caller.session_name is not None:
            return await self._named_session(caller.principal, caller.session_name)
        if session_id is None or session_id == "new":
            return new_session_id()
        session = await self._store.session(session_id)
        if session is None or session.principal != caller.principal:
            raise UnknownSession(
                f"There is no session {session_id[:100]!r}.", 'Leave session_id out, or give "new" for a fresh one.'
            )
        if time.time() - session.used_at > self._limits.session_ttl_s:
            raise UnknownSession(f"The session {session_id!r} has expired.", 'Give "new" for a fresh one.')
        return session.id

    async def _named_session(self, principal: str, name: str) -> str:
        known = self._named.get((principal, name))
        if known is None:
            known = (await self._store.named_session(principal, name)).id
            self._named[principal, name] = known
            if len(self._named) > _MAX_NAMED_SESSIONS:
                self._named.popitem(last=False)
        return known


class Undelivered:
    """Runs whose caller was gone before the end, for two minutes: clients repeat a call whose connection broke."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str, str, str], tuple[str, float]] = OrderedDict()

    def put(self, principal: str, session_id: str, workflow: str, arguments: str, run_id: str) -> None:
        self._runs[principal, session_id, workflow, arguments] = run_id, time.monotonic()
        while len(self._runs) > _MAX_UNDELIVERED:
            self._runs.popitem(last=False)

    def take(self, principal: str, session_id: str, workflow: str, arguments: str) -> str | None:
        """Once: the call after that is a new one."""
        run_id, at = self._runs.pop((principal, session_id, workflow, arguments), ("", 0.0))
        return run_id if run_id and time.monotonic() - at < _REPEATED_WITHIN_S else None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(name: str, text: str) -> float:
    try:
        return _utc(datetime.fromisoformat(text)).timestamp()
    except ValueError:
        raise BadArguments(f"`{name}` must be a time as in 2026-05-01T12:00:00Z, got {text[:60]!r}.") from None


def _class_to_run(classes: tuple[ClassWorkflow, ...], name: str, *, is_file: bool) -> ClassWorkflow | None:
    """The one class that the new workflow is; None where the source has a `run`. A file's workflow is called after its class."""
    if not classes:
        return None
    known = {one.name: one for one in classes}
    if name in known:
        return known[name]
    if len(classes) == 1 and not is_file:
        return classes[0]
    names = ", ".join(f"{one.entry} ({one.name})" for one in classes)
    raise Refused(
        f"The source has the workflow classes {names}, none of them called {name!r}.",
        f"Call it {' or '.join(known)}.", code="class_name",
    )  # fmt: skip


def _published(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.short,
        "description": version.description,
        "input_schema": version.input_schema,
        "output_schema": version.output_schema,
        "findings": [msgspec.to_builtins(finding) for finding in version.findings],
    }


def _item(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "title": version.title,
        "description": version.description,
        "version": version.short,
        "origin": version.origin,
        "tags": list(version.options.tags),
    }


def _match(version: WorkflowVersion, found: Match, include_source: bool) -> dict[str, Any]:
    match = {
        "name": version.name,
        "description": version.description,
        "score": found.score,
        "why": {"meaning": found.meaning, "words": list(found.words)},
        "input_schema": version.input_schema,
        "version": version.short,
    }
    return {**match, "source": version.source} if include_source else match


def _broken(path: str, findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {"file": path, "findings": [msgspec.to_builtins(finding) for finding in findings]}


def _session_row(session: Session, workflows: list[str]) -> dict[str, Any]:
    row = msgspec.to_builtins(session)
    return {"session_id": row["id"], "name": row["name"], "workflows_with_state": workflows} | {
        "created_at": iso(session.created_at),
        "used_at": iso(session.used_at),
    }
