"""Session: a conversation with an agent's model: `prompt`, `stream`, `skill` and `task`. Used by workflow files; `harness` makes it.

Prompts of one session build on each other. Other sessions of the same harness have histories of their own and the same files.
A history is made anew when a run is replayed, from the recorded answers. With `persist` it also goes on in the next run of the
Repertoire session: it is stored with the session's state, under a key that no body sees.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..authoring import ambient
from ..authoring.awaited_values import Ready, in_a_loop
from ..authoring.door import Door
from ..values.refusals import NotAvailable
from . import compaction
from .definition import AgentProfile, Skill
from .drive import AsyncOutlet, Outlet, adrive, drive, drive_to_end
from .file_tools import file_tools, recorded_tools
from .handles import CallHandle
from .prompt_response import PromptResponse, SessionEvent
from .skills import load_skills
from .turn import Asked, Turn, skill_prompt

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

    from .harness import Harness

KEY: Final = "__sessions__"
"""Key in the stored state: agent → session → its messages."""
_SKILLS: Final = Path(".agents/skills")
"""Beside the workflow's file, as in projects of PyFlue: skills that a session finds by name."""
_MOST_DEPTH: Final = 8
"""Of tasks within tasks."""
_REFUSED: Final = {
    "secrets": "Variables of a run are named in the setting worker_env; a command gets them, and env= gives it more.",
    "commands": "Give functions as tools=[...].",
}
_OPTIONS: Final = ("result", "role", "model", "thinking_level", "retries", "stream", "images", "tools")


class Session:
    """`await session.prompt(text)` gives a PromptResponse; in a sync body it works without `await`."""

    def __init__(self, harness: Harness, id: str, profile: AgentProfile, depth: int = 0) -> None:
        self.harness = harness
        self.id = self.session_id = id
        self.profile = profile
        self.fs = harness.fs
        self.shell = harness.shell
        self.read_file, self.read_bytes, self.write_file = self.fs.read_file, self.fs.read_bytes, self.fs.write_file
        self._depth = depth
        self._tasks = 0
        self._busy: str | None = None
        self._handle: CallHandle[Any] | None = None
        self._messages: list[ModelMessage] | None = None
        self.abort = Door(self._abort, lambda: Ready(self._abort()))
        self.delete = Door(self._delete, lambda: Ready(self._delete()))

    def prompt(self, text: str, **options: Any) -> Any:
        """Ask the model. In an async body: a CallHandle, which is awaited. Options: `result=Model`, `model`, `thinking_level`, `retries`,
        `images`, `tools`, `role` (the name of a subagent whose instructions are used)."""
        asked, profile = self._asked(text, options, "prompt")
        return self._begin("prompt", lambda outlet: self._prompt(asked, profile, outlet))

    def stream(self, text: str, **options: Any) -> _Stream:
        """Ask the model, and iterate over events as they come: `delta` with `text`, `tool_start`, `tool_end`, `end`."""
        asked, profile = self._asked(text, {**options, "stream": True}, "stream")
        return _Stream(self._guarded("stream", lambda outlet: self._prompt(asked, profile, outlet)))

    def skill(self, name: str, *, args: dict[str, Any] | None = None, **options: Any) -> Any:
        """Ask the model with the instructions of a skill."""
        return self.prompt(skill_prompt(self._skill(name), args), **options)

    def task(self, prompt: str, *, agent: str | None = None, task_id: str | None = None, **options: Any) -> Any:
        """Ask in a session of its own, with the same files. `agent`: the name of a subagent."""
        child = self._child(agent, task_id)
        return child.prompt(prompt, **options)

    subagent = task

    def compact(self, *, keep_recent_tokens: int = 0) -> Any:
        """Put a summary in place of the older messages."""

        async def work(outlet: Outlet) -> None:
            self._keep(await compaction.compacted(self.profile, await self._history(), keep_recent_tokens))

        return self._begin("compact", work)

    @property
    def messages(self) -> list[ModelMessage]:
        """The history, as pydantic-ai's messages."""
        return list(self._messages or self._stored())

    # One operation.

    def _begin(self, what: str, work: Callable[[Outlet], Awaitable[Any]]) -> Any:
        guarded = self._guarded(what, work)
        if not in_a_loop():
            return drive_to_end(guarded)
        self._handle = CallHandle(guarded(AsyncOutlet(lambda _: None)))
        return self._handle

    def _guarded(self, what: str, work: Callable[[Outlet], Awaitable[Any]]) -> Callable[[Outlet], Any]:
        """The work as the only one of this session. Raises RuntimeError at once when another goes on."""
        if self._busy is not None or (self._handle is not None and not self._handle.done()):
            raise RuntimeError(
                f"session {self.id!r} answers another {self._busy or 'prompt'} now: await it first, or open another session"
            )

        async def guarded(outlet: Outlet) -> Any:
            if self._busy is not None:
                raise RuntimeError(f"session {self.id!r} answers another {self._busy} now")
            self._busy = what
            try:
                return await work(outlet)
            finally:
                self._busy = None

        return guarded

    async def _prompt(self, asked: Asked, profile: AgentProfile, outlet: Outlet) -> PromptResponse:
        history = await self._history()
        if compaction.is_due(self.profile, history):
            history = await compaction.compacted(self.profile, history)
        turn = Turn(profile, asked, history, outlet, self, self._own_tools())
        response, messages = await turn.perform()
        self._keep(messages)
        return response

    def _own_tools(self) -> list[Any]:
        made: list[Any] = file_tools(self.fs, self.shell if self.harness.allows_shell else None)
        functions: list[Any] = []
        if self.profile.skills:

            async def skill(name: str) -> str:
                """Read the instructions of a skill."""
                return self._skill(name).instructions

            functions.append(skill)
        if self.profile.subagents and self._depth < _MOST_DEPTH:

            async def task(prompt: str, agent: str) -> str:
                """Let another agent do a task. It sees the same files and nothing of this conversation."""
                answer: PromptResponse = await self._child(agent).prompt(prompt)
                return answer.text

            functions.append(task)
        return made + recorded_tools(functions)

    def _asked(self, text: str, options: Mapping[str, Any], what: str) -> tuple[Asked, AgentProfile]:
        for name in options.keys() & _REFUSED.keys():
            if options[name]:
                refusal = NotAvailable(f"session.{what}({name}=...) is not there in Repertoire", hint=_REFUSED[name])
                raise ambient.note_refusal(refusal)
        given = {name: value for name, value in options.items() if name not in _REFUSED and value is not None}
        if unknown := given.keys() - set(_OPTIONS):
            raise TypeError(
                f"session.{what}(): unknown {', '.join(sorted(map(repr, unknown)))}. The options are {', '.join(_OPTIONS)}."
            )
        profile = self.profile if (role := given.pop("role", None)) is None else self.with_role(role)
        for name in ("tools", "images"):
            if name in given:
                given[name] = tuple(given[name])
        return Asked(text=text, **given), profile

    def with_role(self, role: str) -> AgentProfile:
        """The profile with a subagent's instructions, model and thinking level."""
        other = self._subagent(role)
        texts = [text for text in (self.profile.instructions, other.instructions) if text]
        return replace(
            self.profile,
            instructions="\n\n".join(texts) or None,
            model=self.profile.model if other.model is None else other.model,
            thinking_level=other.thinking_level or self.profile.thinking_level,
        )

    def _child(self, agent: str | None, task_id: str | None = None) -> Session:
        if self._depth >= _MOST_DEPTH:
            raise RuntimeError(f"tasks within tasks: at most {_MOST_DEPTH}")
        self._tasks += 1
        profile = self.profile if agent is None else _as_child(self._subagent(agent), self.profile)
        return Session(self.harness, task_id or f"{self.id}:task:{self._tasks}", profile, self._depth + 1)

    def _subagent(self, name: str) -> AgentProfile:
        found: AgentProfile = _named(self.profile.subagents, name, "subagent")
        return found

    def _skill(self, name: str) -> Skill:
        known = list(self.profile.skills or ())
        if all(one.name != name for one in known) and _SKILLS.is_dir():
            known += load_skills(_SKILLS).values()
        found: Skill = _named(known, name, "skill")
        return found

    # History.

    async def _history(self) -> list[ModelMessage]:
        if self._messages is None:
            self._messages = self._stored()
        return self._messages

    def _stored(self) -> list[ModelMessage]:
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        return ModelMessagesTypeAdapter.validate_python(self._histories().get(self.id) or [])

    def _keep(self, messages: list[ModelMessage]) -> None:
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        self._messages = messages
        if _is_kept(self.harness):
            self._histories()[self.id] = ModelMessagesTypeAdapter.dump_python(messages, mode="json")

    def _histories(self) -> dict[str, Any]:
        """The stored histories of the agent. Those of tasks are not kept."""
        return stored_histories(self.harness) if self._depth == 0 else {}

    def _abort(self) -> bool:
        """End the prompt that is under way. False: there is none."""
        return self._handle is not None and self._handle.abort("session.abort()")

    def _delete(self) -> bool:
        """Forget the history. False: none was stored."""
        self._messages = []
        return self._histories().pop(self.id, None) is not None

    def close(self) -> None:
        """Nothing is open in a session."""

    def __await__(self) -> Generator[Any, Any, Session]:
        return self
        yield

    def __repr__(self) -> str:
        return f"<session {self.id!r}>"


class _Stream:
    """The events of one prompt, for `async for` and for `for`."""

    def __init__(self, produce: Callable[[Outlet], Any]) -> None:
        self._produce = produce

    def __aiter__(self) -> AsyncGenerator[SessionEvent, None]:
        return adrive(self._produce)

    def __iter__(self) -> Generator[SessionEvent, None, Any]:
        return drive(self._produce)


def stored_histories(harness: Harness) -> dict[str, Any]:
    """The messages of the agent's sessions by their ids, as they are stored with the session's state; {} where they are not kept."""
    if not _is_kept(harness):
        return {}
    found: dict[str, Any] = ambient.aside.setdefault(KEY, {}).setdefault(harness.name or "", {})
    return found


def _is_kept(harness: Harness) -> bool:
    return harness.persists and ambient.doors() is not None


def _named(values: Sequence[Any] | None, name: str, kind: str) -> Any:
    for one in values or ():
        if one.name == name:
            return one
    known = ", ".join(str(one.name) for one in values or ()) or "none"
    raise KeyError(f"there is no {kind} {name!r}; there are: {known}")


def _as_child(profile: AgentProfile, above: AgentProfile) -> AgentProfile:
    """A subagent without a model of its own has that of the agent above it."""
    return replace(profile, model=above.model) if profile.model is None else profile
