"""Harness: what `ctx.init(agent)` gives: the agent's files, its shell and its sessions, for one run. Used by workflow files.

`start` is the way in for `ctx.init` and for PyFlue's `init`. A definition that is async is awaited there; else `await` changes nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..authoring.ambient import log, note_refusal
from ..authoring.awaited_values import in_a_loop
from ..values.refusals import NotAvailable
from .definition import (
    FIELDS,
    MERGED,
    AgentDefinition,
    AgentProfile,
    call_definition,
    config_of,
    extend_agent_profile,
    merged_profile,
)
from .harness_files import Files, shell_door
from .skills import load_skills

if TYPE_CHECKING:
    from .session import Session

_MOST_ID_CHARS: Final = 255

_OWN: Final = ("id", "env", "payload", "skills_dir", "allow_shell", "allowed_commands", "allow_compound_commands")
_NO_EFFECT: Final = {
    "harness": "the loop of every agent is pydantic-ai's",
    "config_path": "the settings are those of Repertoire",
    "allow_write": "the agent's files are those of its run, and it may write them",
    "providers": "keys and addresses come from the environment of the server",
    "on_event": "watchers see the events of the run",
}
_REFUSED: Final = {
    "mcp_servers": "Name the servers in mcp.json, and give the agent tools=[tools.NAME].",
    "python_backend": "Write the Python into the workflow, or use harness.shell.",
    "commands": "Give the agent functions as tools=[...].",
}


@dataclass(frozen=True, kw_only=True)
class HarnessOptions:
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    persist: bool = False
    allow_shell: bool = False
    allowed_commands: tuple[str, ...] | None = None


class Harness:
    """`fs` has the files of the run's workspace, `shell(command)` runs a command in it, `session(id)` gives a conversation.

    The files are kept as long as the run's record, and all sessions of a run have the same ones.
    """

    def __init__(self, profile: AgentProfile, options: HarnessOptions) -> None:
        self.profile = profile
        self.name = profile.name
        self.cwd = _folder(options.cwd)
        self.fs = Files(self.cwd)
        self.shell = shell_door(self.fs, options.env, options.allowed_commands)
        self.allows_shell = options.allow_shell
        """The agent's model may run commands too."""
        self.persists = options.persist
        self.sessions = Sessions(self)

    def session(self, id: str | None = None, *, role: str | None = None) -> Session:
        """The conversation of this name, always the same object. `role`: a subagent whose instructions it has."""
        return self.sessions.open(id, role)

    def destroy(self) -> None:
        """Nothing is open in a harness."""

    def __await__(self) -> Generator[Any, None, Harness]:
        return self
        yield

    def __repr__(self) -> str:
        return f"<harness of {self.name or 'an agent'}>"


class Sessions:
    """`get(id)` gives a session that there is, `create(id)` a new one, `delete(id)` forgets one."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._known: dict[str, Session] = {}

    def open(self, id: str | None, role: str | None = None) -> Session:
        from .session import Session

        name = "default" if id is None else id
        if not isinstance(name, str) or not 0 < len(name) <= _MOST_ID_CHARS:
            raise ValueError(f"session(id): the id is a text of 1 to {_MOST_ID_CHARS} characters")
        if name not in self._known:
            profile = self._harness.profile
            self._known[name] = made = Session(self._harness, name, profile)
            if role is not None:
                made.profile = made.with_role(role)
        return self._known[name]

    def get(self, id: str | None = None, *, role: str | None = None) -> Session:
        if not self._is_known(id or "default"):
            raise KeyError(f"there is no session {id or 'default'!r}")
        return self.open(id, role)

    def create(self, id: str | None = None, *, role: str | None = None) -> Session:
        if self._is_known(id or "default"):
            raise FileExistsError(f"there is a session {id or 'default'!r} already")
        return self.open(id, role)

    def delete(self, id: str | None = None) -> Any:
        session = self.open(id)
        self._known.pop(session.id)
        return session.delete.aio() if in_a_loop() else session.delete()

    def _is_known(self, id: str) -> bool:
        from .session import stored_histories

        return id in self._known or id in stored_histories(self._harness)


def start(context: Any, agent: Any, options: Mapping[str, Any]) -> Harness | Awaitable[Harness]:
    """The harness of an agent. Without an agent, the options are its definition: `ctx.init(model="openai:gpt-4o")`."""
    _check_options(options, has_agent=agent is not None)
    if agent is None:
        definition: Any = {name: value for name, value in options.items() if name in FIELDS}
        options = {name: value for name, value in options.items() if name not in FIELDS}
    elif isinstance(agent, AgentDefinition):
        definition = agent.definition
    elif isinstance(agent, Mapping | AgentProfile):
        definition = agent
    else:
        raise ValueError(f"ctx.init(agent): wants what create_agent(...) gives, got {type(agent).__name__}")
    value, persist = call_definition(definition, context), bool(getattr(context, "_continues", False))
    if not inspect.isawaitable(value):
        return _harness(value, options, persist)
    if in_a_loop():
        return _later(value, options, persist)
    return asyncio.run(_later(value, options, persist))


async def _later(value: Awaitable[Any], options: Mapping[str, Any], persist: bool) -> Harness:
    return _harness(await value, options, persist)


def _harness(value: Any, options: Mapping[str, Any], persist: bool) -> Harness:
    config = config_of(value)
    profile = merged_profile(config)
    profile = extend_agent_profile(profile, **{name: options[name] for name in MERGED if options.get(name)})
    if options.get("skills_dir"):
        profile = extend_agent_profile(profile, skills=tuple(load_skills(options["skills_dir"]).values()))
    commands = options.get("allowed_commands")
    return Harness(
        profile,
        HarnessOptions(
            cwd=config.cwd,
            env=options.get("env") or {},
            persist=persist if config.persist is None else bool(config.persist),
            allow_shell=bool(options.get("allow_shell")),
            allowed_commands=None if commands is None else tuple(commands),
        ),
    )


def _check_options(options: Mapping[str, Any], *, has_agent: bool) -> None:
    """Raises ValueError for an unknown option, NotAvailable for one that is refused. The others that have no effect are logged."""
    known = (*((*MERGED, "name") if has_agent else FIELDS), *_OWN, *_NO_EFFECT, *_REFUSED)
    if unknown := options.keys() - set(known):
        shown = ", ".join(sorted(map(repr, unknown)))
        raise ValueError(f"ctx.init(): unknown {shown}. The options are {', '.join(known)}.")
    for name, value in options.items():
        if name in _REFUSED and value:
            raise note_refusal(NotAvailable(f"ctx.init({name}=...) is not there in Repertoire", hint=_REFUSED[name]))
        if name in _NO_EFFECT and value is not None:
            log.warning(f"ctx.init({name}=...) has no effect: {_NO_EFFECT[name]}")


def _folder(cwd: str | None) -> str:
    """A working folder as a path from the root of the workspace. `/workspace` is the root."""
    parts = [part for part in (cwd or "").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"cwd={cwd!r} leads out of the workspace; it is a path in it, as /workspace/repo")
    if (cwd or "").startswith("/") and parts[:1] == ["workspace"]:
        parts = parts[1:]
    return "/".join(parts) or "."
