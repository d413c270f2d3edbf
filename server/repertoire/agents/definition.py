"""Definition: `create_agent` and `define_agent_profile`: what an agent of PyFlue's style is, before a run has started it.

`resolve` merges a definition, its profile and the options of `ctx.init` into one `Profile`. A field that is unknown raises ValueError with
the known ones. A field that we cannot honour is refused (NotAvailable) or named in a warning. Used by workflow files and `harness`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

from ..authoring.ambient import note_refusal
from ..values.refusals import NotAvailable

ThinkingLevel = Literal["off", "minimal", "low", "medium", "high", "xhigh"]
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MERGED: Final = ("tools", "skills", "subagents")
"""Fields whose entries are added to those of the profile. Any other field replaces the profile's."""


@dataclass(frozen=True)
class CompactionConfig:
    """When the history of a session is shortened: beyond `context_window_tokens - reserve_tokens`, all but the newest
    `keep_recent_tokens` become a summary, written by `model` or by the agent's own model."""

    enabled: bool = True
    context_window_tokens: int = 128_000
    reserve_tokens: int = 16_384
    keep_recent_tokens: int = 20_000
    model: str | None = None


@dataclass(frozen=True)
class Skill:
    """Instructions for one kind of work. `session.skill(name)` sends them; the model is told of each by its description."""

    name: str
    description: str = ""
    instructions: str = ""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    path: Any = None


@dataclass(frozen=True)
class ToolDefinition:
    """A tool with a JSON Schema of its own. `execute` gets the arguments as one dict."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    execute: Callable[[dict[str, Any]], Any] | None = None


@dataclass(frozen=True)
class AgentProfile:
    """What an agent is to its model. Other agents may share it, and extend it."""

    name: str | None = None
    description: str | None = None
    model: Any = None
    """`provider:model`, a model class, or None for the host's default model. False: this agent has none."""
    instructions: str | None = None
    thinking_level: ThinkingLevel | None = None
    skills: Sequence[Skill] | None = None
    tools: Sequence[Any] | None = None
    subagents: Sequence[AgentProfile] | None = None
    compaction: CompactionConfig | Literal[False] | None = None


@dataclass(frozen=True)
class AgentRuntimeConfig(AgentProfile):
    """A profile, and where its agent works."""

    profile: AgentProfile | None = None
    cwd: str | None = None
    sandbox: Any = None
    persist: Any = None
    """True: the sessions go on in later runs of the same session."""


_PROFILE_FIELDS: Final = tuple(one.name for one in fields(AgentProfile))
FIELDS: Final = tuple(one.name for one in fields(AgentRuntimeConfig))

Definition = Callable[..., Any] | Mapping[str, Any] | AgentProfile


class AgentDefinition:
    """The result of `create_agent`. `ctx.init(agent)` starts it."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition

    @property
    def initialize(self) -> Definition:
        return self.definition

    def __repr__(self) -> str:
        return "<agent of create_agent>"


def create_agent(definition: Definition) -> AgentDefinition:
    """Define an agent by a dict of `model`, `instructions` and the like, or by a function from the Context to such a dict.

    The function is called by `ctx.init(agent)`. It may take no argument, and it may be async.
    """
    if not callable(definition) and not isinstance(definition, Mapping | AgentProfile):
        raise TypeError(f"create_agent(definition): wants a function or a dict, got {type(definition).__name__}")
    if not callable(definition):
        config_of(definition)
    return AgentDefinition(definition)


def define_agent_profile(profile: AgentProfile | Mapping[str, Any]) -> AgentProfile:
    """Check a profile, and return it. Raises ValueError that names the field."""
    return _checked(_profile(profile, "define_agent_profile()"), "define_agent_profile()", ())


def extend_agent_profile(profile: AgentProfile, **more: Sequence[Any] | None) -> AgentProfile:
    """The profile with more `skills`, `tools` and `subagents`."""
    if unknown := more.keys() - set(MERGED):
        raise ValueError(_unknown("extend_agent_profile()", unknown, MERGED))
    added: dict[str, Any] = {name: _merged(getattr(profile, name), value) for name, value in more.items()}
    return _checked(replace(profile, **added), "extend_agent_profile()", ())


def config_of(value: Any) -> AgentRuntimeConfig:
    """What a definition gives, checked. Raises ValueError."""
    label = "create_agent()"
    if isinstance(value, AgentRuntimeConfig):
        config = value
    elif isinstance(value, AgentProfile):
        config = AgentRuntimeConfig(**{name: getattr(value, name) for name in _PROFILE_FIELDS})
    elif isinstance(value, Mapping):
        if unknown := value.keys() - set(FIELDS):
            raise ValueError(_unknown(label, unknown, FIELDS))
        config = AgentRuntimeConfig(**_typed(value, label))
    else:
        raise ValueError(f"{label}: its function must return a dict, got {type(value).__name__}")
    if config.profile is not None:
        _checked(config.profile, f"{label} profile", ())
    _checked(config, label, ())
    if config.cwd is not None:
        _text(config.cwd, f"{label} cwd")
    _check_sandbox(config.sandbox)
    return config


def merged_profile(config: AgentRuntimeConfig) -> AgentProfile:
    """The fields of the config over those of its profile."""
    base = config.profile or AgentProfile()
    values: dict[str, Any] = {}
    for name in _PROFILE_FIELDS:
        own, of_base = getattr(config, name), getattr(base, name)
        values[name] = _merged(of_base, own) if name in MERGED else of_base if own is None else own
    return AgentProfile(**values)


def call_definition(definition: Definition, context: Any) -> Any:
    """The value of a definition: a dict, a profile, or an awaitable of either."""
    if not callable(definition):
        return definition
    try:
        parameters = inspect.signature(definition).parameters.values()
    except (TypeError, ValueError):
        return definition(context)
    takes = any(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.VAR_POSITIONAL) for one in parameters)
    return definition(context) if takes else definition()


def define_tool(
    name: str, execute: Any = None, *, description: str = "", parameters: dict[str, Any] | None = None
) -> ToolDefinition:
    """A tool whose function gets its arguments as one dict."""
    schema = parameters or {"type": "object", "properties": {}}
    return ToolDefinition(_text(name, "define_tool() name"), description, schema, execute)


# Checks.


def _typed(value: Mapping[str, Any], label: str) -> dict[str, Any]:
    """The fields with dicts turned into the types that they stand for."""
    found = dict(value)
    if found.get("profile") is not None:
        found["profile"] = _profile(found["profile"], f"{label} profile")
    if found.get("subagents") is not None:
        found["subagents"] = tuple(_profile(one, f"{label} subagents") for one in found["subagents"])
    if isinstance(compaction := found.get("compaction"), Mapping):
        known = tuple(one.name for one in fields(CompactionConfig))
        if unknown := compaction.keys() - set(known):
            raise ValueError(_unknown(f"{label} compaction", unknown, known))
        found["compaction"] = CompactionConfig(**compaction)
    return found


def _profile(value: Any, label: str) -> AgentProfile:
    if isinstance(value, Mapping):
        if unknown := value.keys() - set(_PROFILE_FIELDS):
            raise ValueError(_unknown(label, unknown, _PROFILE_FIELDS))
        return AgentProfile(**_typed(value, label))
    if isinstance(value, AgentRuntimeConfig) or not isinstance(value, AgentProfile):
        raise ValueError(f"{label}: wants a profile or a dict of its fields, got {type(value).__name__}")
    return value


def _checked(profile: AgentProfile, label: str, above: tuple[AgentProfile, ...]) -> AgentProfile:
    if any(profile is one for one in above):
        raise ValueError(f"{label}: a subagent contains itself")
    if profile.name is not None and not (isinstance(profile.name, str) and _NAME.fullmatch(profile.name)):
        raise ValueError(f"{label} name: a letter, then letters, digits, _ and -, got {profile.name!r}")
    for name in ("description", "instructions"):
        if (value := getattr(profile, name)) is not None:
            _text(value, f"{label} {name}")
    if isinstance(profile.model, str):
        _text(profile.model, f"{label} model")
    if profile.thinking_level is not None and profile.thinking_level not in get_args(ThinkingLevel):
        raise ValueError(
            f"{label} thinking_level: one of {', '.join(get_args(ThinkingLevel))}, got {profile.thinking_level!r}"
        )
    if not (
        profile.compaction is None or profile.compaction is False or isinstance(profile.compaction, CompactionConfig)
    ):
        raise ValueError(f"{label} compaction: a dict, a CompactionConfig or False, got {profile.compaction!r}")
    for name in MERGED:
        _check_entries(getattr(profile, name), f"{label} {name}")
    for one in profile.subagents or ():
        if one.name is None:
            raise ValueError(f"{label} subagents: each needs a name")
        _checked(one, f"{label} subagents", (*above, profile))
    return profile


def _check_entries(values: Any, label: str) -> None:
    if values is None:
        return
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
        raise ValueError(f"{label}: a list, got {type(values).__name__}")
    names = [name for one in values if isinstance(name := getattr(one, "name", None), str)]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{label}: {double[0]!r} is there twice")


def _check_sandbox(sandbox: Any) -> None:
    if sandbox in (None, "virtual", "local"):  # PyFlue's string "local" is another name of its virtual one
        return
    what = sandbox if isinstance(sandbox, str) else getattr(sandbox, "__name__", type(sandbox).__name__)
    refusal = NotAvailable(
        f"sandbox={what!r}: an agent works in the workspace of its run, a folder of its own",
        hint="Leave sandbox out. harness.fs and harness.shell work there; bring files in with fs.write_file.",
    )
    raise note_refusal(refusal)


def _text(value: Any, label: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{label}: a text with something in it, got {value!r}")
    return value


def _merged(base: Sequence[Any] | None, more: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if base is None and more is None else (*(base or ()), *(more or ()))


def _unknown(label: str, names: Any, known: Sequence[str]) -> str:
    shown = ", ".join(sorted(repr(name) for name in names))
    return f"{label}: unknown {shown}. The fields are {', '.join(known)}."
