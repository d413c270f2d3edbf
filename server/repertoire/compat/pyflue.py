"""PyFlue: the names of the module `pyflue`, for files with `from pyflue import FlueContext, create_agent, init`. Used by `hook`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, NoReturn

from ..agents.definition import (
    AgentDefinition,
    AgentProfile,
    AgentRuntimeConfig,
    CompactionConfig,
    Skill,
    ToolDefinition,
    create_agent,
    define_agent_profile,
    define_tool,
    extend_agent_profile,
)
from ..agents.handles import CallHandle
from ..agents.harness import Harness, Sessions, start
from ..agents.harness_files import Files
from ..agents.prompt_response import PromptCost, PromptImage, PromptModel, PromptResponse, PromptUsage, SessionEvent
from ..agents.skills import load_skill, load_skills
from ..authoring.context import Context as FlueContext
from ..values.refusals import NotAvailable

PyFlueContext = FlueContext
CreatedAgent = AgentDefinition
PromptResultResponse = PromptResponse
PyFlueAgent = Harness
PyFlueEvent = SessionEvent
PyFlueFs = Files
PyFlueSessions = Sessions
ToolDef = ToolDefinition
createAgent = create_agent
defineAgentProfile = define_agent_profile

__all__ = [
    "AgentDefinition",
    "AgentProfile",
    "AgentRuntimeConfig",
    "CallHandle",
    "CompactionConfig",
    "CreatedAgent",
    "FlueContext",
    "PromptCost",
    "PromptImage",
    "PromptModel",
    "PromptResultResponse",
    "PromptUsage",
    "PyFlueAgent",
    "PyFlueClient",
    "PyFlueContext",
    "PyFlueEvent",
    "PyFlueFs",
    "PyFlueSessions",
    "Skill",
    "ToolDef",
    "ToolDefinition",
    "createAgent",
    "create_agent",
    "defineAgentProfile",
    "define_agent_profile",
    "define_tool",
    "extend_agent_profile",
    "init",
    "init_agent",
    "is_created_agent",
    "load_skill",
    "load_skills",
    "local",
]

_CLIENT: Final = "use repertoire_client.RepertoireClient, or any MCP client: every workflow is a tool"
_INSTEAD: Final = {
    "create_flue_client": _CLIENT,
    "createFlueClient": _CLIENT,
    "connect_mcp_server": "name the server in mcp.json, and give the agent tools=[tools.NAME]",
    "connect_mcp_server_stdio": "name the server in mcp.json, and give the agent tools=[tools.NAME]",
    "define_command": "give the agent a function as a tool",
    "dispatch": "use workflows.invoke(name), or run_workflow with wait_s=0",
    "observe": "read the events of a run: get_run, or `repertoire logs RUN --follow`",
    "register_harness": "the loop of every agent is pydantic-ai's",
}


class PyFlueClient:
    """A stand-in for the client of PyFlue's HTTP server. Making one raises NotAvailable and names the replacement."""

    def __init__(self, base_url: str = "", **options: Any) -> None:
        raise NotAvailable(
            "PyFlueClient speaks to PyFlue's server, and this is Repertoire",
            hint="Use repertoire_client.RepertoireClient, or any MCP client: every workflow is a tool.",
        )


def init(**options: Any) -> Harness | Awaitable[Harness]:
    """An agent's harness from options alone: `await init(model="openai:gpt-4o")`."""
    return start(FlueContext(), None, options)


def init_agent(agent: Any, **options: Any) -> Harness | Awaitable[Harness]:
    """The harness of an agent that `create_agent` has defined."""
    if agent is None:
        raise ValueError("init_agent(agent): wants what create_agent(...) gives")
    return start(FlueContext(options.get("payload"), run_id=options.get("id", "default")), agent, options)


def is_created_agent(value: object) -> bool:
    return isinstance(value, AgentDefinition)


def local(**options: Any) -> NoReturn:
    """PyFlue's sandbox over the whole machine. Raises NotAvailable: an agent works in the workspace of its run."""
    raise NotAvailable(
        "local() would give the agent all files of this machine",
        hint="Leave sandbox out. harness.fs and harness.shell work in the run's own folder; bring files in with fs.write_file.",
    )


def __getattr__(name: str) -> NoReturn:
    """Raise ImportError: for `from pyflue import name`, Python replaces the message of any AttributeError."""
    if name.startswith("__"):
        raise AttributeError(name)
    instead = _INSTEAD.get(name, f"there are {', '.join(__all__)}")
    raise ImportError(f"Repertoire has no {name!r} in place of pyflue's; {instead}", name=f"pyflue.{name}")
