"""Class style: the table from names of Agno v1, its older name phi, and buddy to modules of ours, by import path. Used by `hook`.

A path is written without the package: `models.openai` stands for `agno.models.openai`, `phi.model.openai` and `buddy.models.openai`.
A page is closed: a name that it lacks is refused, because the file could not work. Every other path below an area is open: `stand_ins`
makes its names.
"""

from __future__ import annotations

from typing import Final

_RESPONSE: Final = "repertoire.classes.response"
_EVENTS: Final = "repertoire.classes.events"
_AGENTS: Final = "repertoire.agents.agent"
_TEAMS: Final = "repertoire.agents.team"
_MODELS: Final = "repertoire.agents.models"
_TOOLKITS: Final = "repertoire.agents.toolkits"
_STORAGE: Final = "repertoire.classes.sqlite_storage"
_SHOW: Final = "repertoire.classes.pprint"
_SAY: Final = "repertoire.classes.logging"
_UTILITIES: Final = "repertoire.compat.utilities"
_MEDIA: Final = "repertoire.compat.media"

_WORKFLOW: Final = {
    "RunEvent": _RESPONSE,
    "RunResponse": _RESPONSE,
    "RunResponseEvent": _EVENTS,
    "Workflow": "repertoire.classes.workflow",
    "WorkflowCompletedEvent": _RESPONSE,
    "WorkflowRunResponseEvent": _RESPONSE,
    "WorkflowRunResponseStartedEvent": _RESPONSE,
    "WorkflowSession": "repertoire.classes.stored_sessions:SessionRecord",
}
_EVENTS_OF_AGENTS: Final = dict.fromkeys(
    (
        "BaseAgentRunResponseEvent", "IntermediateRunResponseContentEvent", "MemoryUpdateCompletedEvent", "MemoryUpdateStartedEvent",
        "OutputModelResponseCompletedEvent", "OutputModelResponseStartedEvent", "ParserModelResponseCompletedEvent",
        "ParserModelResponseStartedEvent", "ReasoningCompletedEvent", "ReasoningStartedEvent", "ReasoningStepEvent",
        "RunResponseCancelledEvent", "RunResponseCompletedEvent", "RunResponseContentEvent", "RunResponseContinuedEvent",
        "RunResponseErrorEvent", "RunResponseEvent", "RunResponsePausedEvent", "RunResponseStartedEvent", "ToolCallCompletedEvent",
        "ToolCallStartedEvent",
    ),
    _EVENTS,
)  # fmt: skip
_RUN: Final = {
    "RunEvent": _RESPONSE,
    "RunResponse": _RESPONSE,
    "RunResponseExtraData": _EVENTS,
    "RunStatus": _EVENTS,
    **_EVENTS_OF_AGENTS,
}
_OF_TEAMS: Final = {
    "RunResponse": _RESPONSE,
    "RunStatus": _EVENTS,
    "TeamRunEvent": _EVENTS,
    "TeamRunResponse": _EVENTS,
    "TeamRunResponseEvent": f"{_EVENTS}:RunResponseEvent",
    **{name: f"{_EVENTS}:Team{name}" for name in _EVENTS_OF_AGENTS if name != "RunResponseEvent"},
}
_RUN_OF_2: Final = {
    "RunCompletedEvent": f"{_EVENTS}:RunResponseCompletedEvent",
    "RunContentEvent": f"{_EVENTS}:RunResponseContentEvent",
    "RunEvent": _RESPONSE,
    "RunOutput": f"{_RESPONSE}:RunResponse",
    "RunOutputEvent": f"{_EVENTS}:RunResponseEvent",
    "RunStartedEvent": f"{_EVENTS}:RunResponseStartedEvent",
}
_OF_AGENT_PAGES: Final = {"Agent": _AGENTS, **_RUN}
_LOG: Final = dict.fromkeys(
    (
        "agent_logger", "build_logger", "configure_agno_logging", "get_logger", "log_debug", "log_error", "log_exception", "log_info",
        "log_warning", "logger", "set_log_level_to_debug", "set_log_level_to_error", "set_log_level_to_info", "set_log_level_to_warning",
        "team_logger", "use_agent_logger", "use_team_logger", "use_workflow_logger", "workflow_logger",
    ),
    _SAY,
)  # fmt: skip
_TOOLS: Final = dict.fromkeys(("Function", "FunctionCall", "Tool", "ToolRegistry", "Toolkit", "tool"), _TOOLKITS)

PAGES: Final[dict[str, dict[str, str]]] = {
    "": {"Agent": _AGENTS, "Team": _TEAMS},
    "agent": _OF_AGENT_PAGES,
    "agent.agent": _OF_AGENT_PAGES,
    "models": {},
    "models.anthropic": {"Claude": _MODELS},
    "models.google": {"Gemini": _MODELS},
    "models.openai": {"OpenAIChat": _MODELS},
    "models.openai.chat": {"OpenAIChat": _MODELS},
    "run": _RUN,
    "run.agent": _RUN_OF_2,
    "run.base": {"RunResponseExtraData": _EVENTS, "RunStatus": _EVENTS},
    "run.response": _RUN,
    "run.team": _OF_TEAMS,
    "run.workflow": {name: home for name, home in _WORKFLOW.items() if name not in ("RunResponse", "Workflow")},
    "storage": {},
    "storage.sqlite": {"SqliteStorage": _STORAGE},
    "team": {"Team": _TEAMS, **_RUN, **_OF_TEAMS},
    "team.team": {"Team": _TEAMS, **_RUN, **_OF_TEAMS},
    "tools": _TOOLS,
    "utils": {},
    "utils.log": _LOG,
    "utils.pprint": {
        "apprint_run_response": _SHOW, "pprint_run_response": _SHOW,
        "pprint_agent_response_stream": f"{_SHOW}:pprint_run_response",
    },
    "workflow": _WORKFLOW,
    "workflow.workflow": _WORKFLOW,
}  # fmt: skip
"""Path below the package → name → our module that has the object, under the same name or as `module:name`."""

CLOSED: Final = frozenset({"", "run.workflow", "storage.sqlite", "workflow", "workflow.workflow"})
"""Pages whose other names are refused at once, because a file that needs them is written for something that we do not have."""

KNOWN: Final[dict[str, dict[str, str]]] = {
    "tools": _TOOLS,
    "storage": {
        "InMemoryStorage": _STORAGE,
        "SqlAgentStorage": f"{_STORAGE}:SqliteStorage",
        "SqlWorkflowStorage": f"{_STORAGE}:SqliteStorage",
        "SqliteAgentStorage": f"{_STORAGE}:SqliteStorage",
        "SqliteStorage": _STORAGE,
        "SqliteWorkflowStorage": f"{_STORAGE}:SqliteStorage",
        "WorkflowSession": "repertoire.classes.stored_sessions:SessionRecord",
    },
    "media": dict.fromkeys(
        ("Audio", "AudioArtifact", "AudioResponse", "File", "Image", "ImageArtifact", "Media", "Video", "VideoArtifact"), _MEDIA
    ),
    "models": {"Message": _MEDIA, **dict.fromkeys(("Claude", "Gemini", "Groq", "OpenAIChat", "OpenAIResponses"), _MODELS)},
    "memory": {"WorkflowSession": "repertoire.classes.stored_sessions:SessionRecord"},
    "run": _RUN,
    "utils": {
        **_LOG,
        **dict.fromkeys(
            (
                "Timer", "current_datetime", "current_datetime_utc", "get_from_env", "hash_string_sha256", "merge_dictionaries",
                "open_html_file", "pickle_object_to_file", "read_json_file", "read_yaml_file", "remove_indent", "unpickle_object_from_file",
                "url_safe_string", "write_json_file", "write_yaml_file", "dataclass_to_dict",
            ),
            _UTILITIES,
        ),
    },
}  # fmt: skip
"""First part of a path → names that we have, anywhere below it."""

_NO_SERVER: Final = "`repertoire serve` makes every workflow a tool of an MCP server"
_DOCUMENTS: Final = "read and search the documents with a Python package in run()"

AREAS: Final[dict[str, str]] = {
    "agent": "give the agent what it needs as text, tools and session_state",
    "api": "there is no service of theirs here",
    "app": _NO_SERVER,
    "assistant": "write it as an Agent",
    "aws": "deploy with tools of your own",
    "cli": "the command is repertoire",
    "constants": "write the value itself",
    "db": "the home stores state and runs; a script uses SqliteStorage",
    "debug": "set debug_mode=True",
    "docker": "deploy with tools of your own",
    "document": _DOCUMENTS,
    "embedder": "call the model's own Python package",
    "eval": "examples check a workflow: repertoire guide examples",
    "exceptions": "catch Exception",
    "file": _DOCUMENTS,
    "guardrails": "check the text in run()",
    "infra": "deploy with tools of your own",
    "knowledge": _DOCUMENTS,
    "llm": "write it as an Agent with a model",
    "media": "give content as text, a dict or a pydantic model",
    "memory": "session_state keeps what has to last",
    "models": "OpenAIChat, Claude, Gemini and Groq are there",
    "os": _NO_SERVER,
    "playground": _NO_SERVER,
    "prompt": "write it as an f-string",
    "reasoning": "ask for the reasoning in the agent's instructions",
    "reranker": _DOCUMENTS,
    "resource": "deploy with tools of your own",
    "run": "RunResponse and RunEvent are there",
    "storage": "the home stores state and runs; a script uses SqliteStorage",
    "task": "write it as a function",
    "team": "Team is there",
    "tools": "write a function of your own and give it to the agent",
    "utils": "write what it does in Python",
    "vectordb": _DOCUMENTS,
    "workspace": "deploy with tools of your own",
}
"""First part of a path → what to do instead of a name that we do not have. Imports from these never fail; uses of such names do."""

INSTEAD: Final[dict[str, str]] = {**AREAS, "workflow": "write a class with run(), as workflow.Workflow"}
"""The advice for a name that we do not have, by the first part of its path."""

OLDER_PATHS: Final = {"model": "models"}
"""First parts of paths that were renamed: `phi.model.openai` is `agno.models.openai`."""
