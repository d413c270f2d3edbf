"""History: keeps what an agent was asked and what it answered, for `add_history_to_messages`. Used by `agent_run`.

In a run of the server the session's state has it, under a key that no body sees. In a script the agent object has it, for each session.
Only texts are kept: the calls of tools in earlier runs are not told again.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ..authoring import ambient

KEY: Final = "__history__"
"""Key in the stored state: agent → its runs."""
_DEFAULT_RUNS: Final = 3
_MOST_RUNS: Final = 100
"""Kept for each agent. Older ones are dropped."""


class Exchange(NamedTuple):
    asked: str
    answered: str


def is_wanted(agent: Any) -> bool:
    return bool(agent.add_history_to_messages or agent.add_chat_history_to_messages)


def recall(agent: Any, session_id: str | None) -> list[Exchange]:
    """The last runs of this agent in this session, the oldest first; none if it does not want any."""
    if not is_wanted(agent):
        return []
    limit = next(
        (one for one in (agent.num_history_runs, agent.num_history_responses, agent.num_history_messages) if one),
        _DEFAULT_RUNS,
    )
    return [Exchange(*one) for one in _runs(agent, session_id)[-limit:]]


def remember(agent: Any, session_id: str | None, asked: str, answered: str) -> None:
    if not is_wanted(agent):
        return
    runs = _runs(agent, session_id)
    runs.append([asked, answered])
    del runs[:-_MOST_RUNS]


def _runs(agent: Any, session_id: str | None) -> list[list[str]]:
    if ambient.doors() is None:
        stored: dict[str, Any] = vars(agent).setdefault("_history", {})
        runs: list[list[str]] = stored.setdefault(session_id or "", [])
        return runs
    kept: list[list[str]] = ambient.aside.setdefault(KEY, {}).setdefault(agent.member_id, [])
    return kept
