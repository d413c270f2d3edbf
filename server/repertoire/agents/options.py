"""Options: the names of the options of `Agent` and `Team`, and those without an effect, each with what to do instead.

Used by `agent`, `team` and the review of sources. Nothing is imported here, because the server reads these tables too.
"""

from __future__ import annotations

from typing import Any, Final

_HONOURED: Final = """
    model name agent_id session_id session_state context add_context user_message
    add_history_to_messages add_chat_history_to_messages num_history_responses num_history_runs num_history_messages
    tools tool_call_limit tool_choice system_message create_default_system_message description goal success_criteria
    instructions guidelines expected_output additional_context markdown add_name_to_instructions
    add_datetime_to_instructions timezone_identifier add_state_in_messages add_messages
    retries delay_between_retries exponential_backoff response_model parse_response structured_outputs use_json_mode
    stream stream_intermediate_steps role
"""
_HARMLESS: Final = """
    show_tool_calls introduction user_id session_name extra_data debug debug_mode debug_level monitoring telemetry app_id
    cache_session store_events events_to_skip storage resolve_context team team_data team_session_id team_id
    team_response_separator add_transfer_instructions system_message_role user_message_role create_default_user_message
    search_knowledge reasoning_min_steps reasoning_max_steps references_format read_tool_call_history
    parser_model_prompt output_model_prompt num_history_sessions respond_directly
"""
_HARMLESS_FOR_TEAMS: Final = (
    "show_members_responses stream_member_events add_member_tools_to_system_message get_member_information_tool"
)

HONOURED: Final = frozenset(_HONOURED.split())
"""These reach the model, or decide how the agent runs."""

HARMLESS: Final = frozenset(_HARMLESS.split())
"""These change nothing that the model sees, or only say more about another option."""

_MEMORY: Final = "keep what has to last in session_state; add_history_to_messages=True gives the agent its last runs"
_KNOWLEDGE: Final = "give the agent a function that searches your documents: tools=[search]"
_REASONING: Final = "use a model that reasons, or ask for the steps in instructions"
_SECOND_MODEL: Final = "run a second Agent with that model over the content of the first"

WITHOUT_EFFECT: Final[dict[str, str]] = {
    "search_previous_sessions_history": _MEMORY,
    "memory": _MEMORY,
    "enable_agentic_memory": _MEMORY,
    "enable_user_memories": _MEMORY,
    "add_memory_references": _MEMORY,
    "enable_session_summaries": _MEMORY,
    "add_session_summary_references": _MEMORY,
    "read_chat_history": "add_history_to_messages=True gives the agent its last runs",
    "knowledge": _KNOWLEDGE,
    "knowledge_base": _KNOWLEDGE,
    "knowledge_filters": _KNOWLEDGE,
    "enable_agentic_knowledge_filters": _KNOWLEDGE,
    "add_references": _KNOWLEDGE,
    "add_references_to_prompt": _KNOWLEDGE,
    "retriever": _KNOWLEDGE,
    "update_knowledge": _KNOWLEDGE,
    "tool_hooks": "wrap the function that is the tool",
    "reasoning": _REASONING,
    "reasoning_model": _REASONING,
    "reasoning_agent": _REASONING,
    "add_location_to_instructions": "write the place into instructions",
    "parser_model": _SECOND_MODEL,
    "output_model": _SECOND_MODEL,
    "save_response_to_file": "write the content of the response in run(), as an artifact or a file",
    "prevent_hallucinations": "say so in instructions",
    "prevent_prompt_leakage": "say so in instructions",
    "limit_tool_access": "say so in instructions",
}
"""Accepted, so that files load; a use of one is a finding, and its run logs a warning."""

OF_TEAMS: Final = frozenset({"members", "mode", "share_member_interactions"})
HARMLESS_FOR_TEAMS: Final = frozenset(_HARMLESS_FOR_TEAMS.split())
WITHOUT_EFFECT_FOR_TEAMS: Final[dict[str, str]] = {
    "enable_agentic_context": "give what the members share as their task",
    "enable_team_history": "add_history_to_messages=True gives the team's leader its last runs",
    "num_of_interactions_from_history": "num_history_runs says how many of its last runs the leader sees",
    "send_team_context_to_members": "share_member_interactions=True gives each member what the others have said",
}

INSTEAD: Final[dict[str, str]] = {
    "db": "session_state keeps what has to last",
    "dependencies": "context",
    "extra_instructions": "instructions",
    "history": "add_history_to_messages=True",
    "input_schema": "the parameters of run()",
    "instruction": "instructions",
    "llm": "model",
    "max_tokens": "an option of the model: OpenAIChat(id=..., max_tokens=...)",
    "messages": "add_messages",
    "output_schema": "response_model",
    "output_type": "response_model",
    "prompt": "the message of agent.run(message)",
    "system": "system_message",
    "system_prompt": "system_message",
    "task": "the message of agent.run(message), or instructions",
    "temperature": "an option of the model: OpenAIChat(id=..., temperature=...)",
    "toolkits": "tools",
}
"""For options that agents of other systems have: the one here."""


def names(*, of_team: bool = False) -> frozenset[str]:
    """The names of all options that the constructor takes."""
    known = HONOURED | HARMLESS | WITHOUT_EFFECT.keys()
    return known | OF_TEAMS | HARMLESS_FOR_TEAMS | WITHOUT_EFFECT_FOR_TEAMS.keys() if of_team else known


def advice(option: str) -> str | None:
    """What to do instead of an option that has no effect; None for every other option."""
    return WITHOUT_EFFECT.get(option) or WITHOUT_EFFECT_FOR_TEAMS.get(option)


def is_asked_for(value: Any) -> bool:
    """True for a value that asks for something: `reasoning=False` and `memory=None` do not."""
    return value is not None and value is not False


def refuse_unknown(kind: str, unknown: set[str]) -> TypeError:
    """The error for options that there are not, with the right name where we know it."""
    told = [f"{name!r} ({INSTEAD[name]})" if name in INSTEAD else repr(name) for name in sorted(unknown)]
    return TypeError(f"{kind}() has no parameter {', '.join(told)}")
