"""Agents: `Agent`, `Team` and the model classes, as files of the class style define them. They keep their options, so that files load.

Running an agent comes with a later version; until then it raises NotAvailable. A subclass with its own `run` works already.
Used by workflow files.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..authoring.unavailable import not_yet

_OF_AGENTS: Final = """
    model name agent_id introduction user_id session_id session_name session_state search_previous_sessions_history
    num_history_sessions cache_session context add_context resolve_context memory enable_agentic_memory
    enable_user_memories add_memory_references enable_session_summaries add_session_summary_references
    add_history_to_messages num_history_responses num_history_runs knowledge knowledge_filters
    enable_agentic_knowledge_filters add_references retriever references_format storage extra_data tools
    show_tool_calls tool_call_limit tool_choice tool_hooks reasoning reasoning_model reasoning_agent
    reasoning_min_steps reasoning_max_steps read_chat_history search_knowledge update_knowledge
    read_tool_call_history system_message system_message_role create_default_system_message description goal
    success_criteria instructions expected_output additional_context markdown add_name_to_instructions
    add_datetime_to_instructions add_location_to_instructions timezone_identifier add_state_in_messages add_messages
    user_message user_message_role create_default_user_message retries delay_between_retries exponential_backoff
    parser_model parser_model_prompt response_model parse_response output_model output_model_prompt
    structured_outputs use_json_mode save_response_to_file stream stream_intermediate_steps store_events
    events_to_skip team team_data role respond_directly add_transfer_instructions team_response_separator
    team_session_id team_id app_id debug_mode debug_level monitoring telemetry
"""

_OF_TEAMS: Final = """
    members mode enable_agentic_context share_member_interactions get_member_information_tool enable_team_history
    num_of_interactions_from_history send_team_context_to_members add_member_tools_to_system_message
    show_members_responses stream_member_events
"""


class Agent:
    """The options of an agent, by keyword. Each field is an attribute, None by default."""

    _fields = frozenset(_OF_AGENTS.split())

    def __init__(self, **options: Any) -> None:
        unknown = sorted(options.keys() - self._fields)
        if unknown:
            raise TypeError(f"{type(self).__name__}() has no parameter {', '.join(map(repr, unknown))}")
        self.session_id: str | None = None
        self.run_response: Any = None
        for field in self._fields:
            setattr(self, field, options.get(field))

    def __getattr__(self, name: str) -> Any:
        if name in type(self)._fields:  # a subclass did not call this __init__
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def run(self, *_: Any, **__: Any) -> Any:
        self._refuse("run")

    async def arun(self, *_: Any, **__: Any) -> Any:
        self._refuse("arun")

    def print_response(self, *_: Any, **__: Any) -> None:
        self._refuse("print_response")

    async def aprint_response(self, *_: Any, **__: Any) -> None:
        self._refuse("aprint_response")

    def cli_app(self, *_: Any, **__: Any) -> None:
        self._refuse("cli_app")

    def _refuse(self, what: str) -> NoReturn:
        raise not_yet(f"{type(self).__name__}.{what}()", "agents")

    def __repr__(self) -> str:
        texts = ", ".join(f"{name}={value!r}" for name, value in sorted(vars(self).items()) if isinstance(value, str))
        return f"{type(self).__name__}({texts})"


class Team(Agent):
    """Several agents, its `members`."""

    _fields = frozenset((_OF_AGENTS + _OF_TEAMS).split())


class Model:
    """A model's id and options."""

    def __init__(self, id: str | None = None, **options: Any) -> None:
        self.id = id
        self.options = options

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r})"


class OpenAIChat(Model):
    """A model behind OpenAI's chat completions API."""


class Claude(Model):
    """A model of Anthropic."""


class Gemini(Model):
    """A model of Google."""
