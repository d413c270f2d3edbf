"""Class style: the table from names of Agno v1 and buddy to modules of ours, by import path below `agno.` or `buddy.`. Used by `hook`."""

from __future__ import annotations

from typing import Final

_RESPONSE: Final = "repertoire.classes.response"
_WORKFLOW: Final = {
    "RunEvent": _RESPONSE,
    "RunResponse": _RESPONSE,
    "Workflow": "repertoire.classes.workflow",
    "WorkflowCompletedEvent": _RESPONSE,
    "WorkflowRunResponseEvent": _RESPONSE,
    "WorkflowRunResponseStartedEvent": _RESPONSE,
}
_RUN: Final = {"RunEvent": _RESPONSE, "RunResponse": _RESPONSE}
_AGENTS: Final = "repertoire.classes.agents"
_TOOLKITS: Final = "repertoire.classes.toolkits"
_STORAGE: Final = "repertoire.classes.sqlite_storage"
_SHOW: Final = "repertoire.classes.pprint"
_SAY: Final = "repertoire.classes.logging"

PAGES: Final[dict[str, dict[str, str]]] = {
    "": {"Agent": _AGENTS, "Team": _AGENTS},
    "agent": {"Agent": _AGENTS, **_RUN},
    "agent.agent": {"Agent": _AGENTS, **_RUN},
    "models": {},
    "models.anthropic": {"Claude": _AGENTS},
    "models.google": {"Gemini": _AGENTS},
    "models.openai": {"OpenAIChat": _AGENTS},
    "models.openai.chat": {"OpenAIChat": _AGENTS},
    "run": {},
    "run.response": _RUN,
    "run.workflow": {name: home for name, home in _WORKFLOW.items() if name not in ("RunResponse", "Workflow")},
    "storage": {},
    "storage.sqlite": {"SqliteStorage": _STORAGE},
    "team": {"Team": _AGENTS, **_RUN},
    "tools": {"Toolkit": _TOOLKITS},
    "tools.duckduckgo": {"DuckDuckGoTools": _TOOLKITS},
    "tools.newspaper4k": {"Newspaper4kTools": _TOOLKITS},
    "utils": {},
    "utils.log": {
        "log_debug": _SAY, "log_error": _SAY, "log_info": _SAY, "log_warning": _SAY, "logger": _SAY,
        "set_log_level_to_debug": _SAY, "set_log_level_to_info": _SAY,
    },
    "utils.pprint": {"apprint_run_response": _SHOW, "pprint_run_response": _SHOW},
    "workflow": _WORKFLOW,
    "workflow.workflow": _WORKFLOW,
}  # fmt: skip
"""Path below the package → name → our module that has the object under the same name."""

INSTEAD: Final[dict[str, str]] = {
    "app": "`repertoire serve` makes every workflow a tool of an MCP server",
    "embedder": "call the model's own Python package",
    "knowledge": "read the documents with a Python package in run()",
    "media": "give content as text, a dict or a pydantic model",
    "memory": "session_state keeps what has to last",
    "models": "models.openai, models.anthropic and models.google are there; agents come with a later version",
    "playground": "`repertoire serve` makes every workflow a tool of an MCP server",
    "storage": "storage.sqlite has SqliteStorage",
    "tools": "tools.duckduckgo and tools.newspaper4k are there; anything else is a function of your own",
    "vectordb": "search with a Python package in run()",
    "workflow": "write a class with run(), as workflow.Workflow",
}
"""The advice for a name that we do not have, by the first part of its path."""
