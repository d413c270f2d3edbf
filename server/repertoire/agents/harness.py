"""Harness: what `ctx.init(agent)` gives: the agent's files, its shell and its sessions, for one run. Used by workflow files.

`start` is the way in for `ctx.init` and for PyFlue's `init`. A definition that is async is awaited there; else `await` changes nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Generator, Mapping
from typing import Any, Final, NoReturn

from ..authoring.ambient import log
from ..authoring.awaited_values import in_a_loop
from ..authoring.unavailable import not_yet
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
from .workspace import Files, shell_door

_OWN: Final = ("id", "env", "payload")
_NO_EFFECT: Final = {
    "harness": "the loop of every agent is pydantic-ai's",
    "config_path": "the settings are those of Repertoire",
    "allow_write": "the agent's files are those of its run, and it may write them",
    "providers": "keys and addresses come from the environment of the server",
    "skills_dir": "give skills=[load_skill(path)]",
    "on_event": "watchers see the events of the run",
}
_REFUSED: Final = {
    "mcp_servers": "Name the servers in mcp.json, and give the agent tools=[tools.NAME].",
    "python_backend": "Write the Python into the workflow, or use harness.shell.",
    "commands": "Give the agent functions as tools=[...].",
    "allow_shell": "Call harness.shell in the workflow, or give the agent a function of yours as a tool.",
    "allowed_commands": "Call harness.shell in the workflow, or give the agent a function of yours as a tool.",
}


class Harness:
    """`fs` has the files of the run's workspace, `shell(command)` runs a command in it, `session(id)` gives a conversation.

    The files are kept as long as the run's record, and all sessions of a run have the same ones.
    """

    def __init__(self, profile: AgentProfile, cwd: str | None = None, env: Mapping[str, str] | None = None) -> None:
        self.profile = profile
        self.name = profile.name
        self.cwd = _folder(cwd)
        self.fs = Files(self.cwd)
        self.shell = shell_door(self.fs, env)

    def session(self, id: str | None = None, **options: Any) -> NoReturn:
        """A conversation with the agent's model. Raises NotAvailable: models come with a later version."""
        raise not_yet("harness.session()", "agents")

    def __await__(self) -> Generator[Any, None, Harness]:
        return self
        yield

    def __repr__(self) -> str:
        return f"<harness of {self.name or 'an agent'}>"


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
    value = call_definition(definition, context)
    if not inspect.isawaitable(value):
        return _harness(value, options)
    if in_a_loop():
        return _later(value, options)
    return asyncio.run(_later(value, options))


async def _later(value: Awaitable[Any], options: Mapping[str, Any]) -> Harness:
    return _harness(await value, options)


def _harness(value: Any, options: Mapping[str, Any]) -> Harness:
    config = config_of(value)
    profile = merged_profile(config)
    profile = extend_agent_profile(profile, **{name: options[name] for name in MERGED if options.get(name)})
    return Harness(profile, config.cwd, options.get("env"))


def _check_options(options: Mapping[str, Any], *, has_agent: bool) -> None:
    """Raises ValueError for an unknown option, NotAvailable for one that is refused. The others that have no effect are logged."""
    known = (*((*MERGED, "name") if has_agent else FIELDS), *_OWN, *_NO_EFFECT, *_REFUSED)
    if unknown := options.keys() - set(known):
        shown = ", ".join(sorted(map(repr, unknown)))
        raise ValueError(f"ctx.init(): unknown {shown}. The options are {', '.join(known)}.")
    for name, value in options.items():
        if name in _REFUSED and value:
            raise NotAvailable(f"ctx.init({name}=...) is not there in Repertoire", hint=_REFUSED[name])
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
