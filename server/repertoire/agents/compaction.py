"""Compaction: shortens the history of a session: older messages become a summary, which a model writes. Used by `session`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .definition import AgentProfile, CompactionConfig
from .models import model_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

_CHARS_A_TOKEN: Final = 4
"""An estimate. Nothing depends on its being exact."""
_PLEASE: Final = (
    "Summarize the conversation below for the assistant who goes on with it. Keep decisions, names, numbers, paths and open points. "
    "Answer with the summary only."
)
_HEAD: Final = "Summary of the conversation so far:\n"
_MOST_CHARS_EACH: Final = 20_000


def is_due(profile: AgentProfile, history: list[ModelMessage]) -> bool:
    config = _config(profile)
    return config is not None and tokens_of(history) > config.context_window_tokens - config.reserve_tokens


async def compacted(
    profile: AgentProfile, history: list[ModelMessage], keep_tokens: int | None = None
) -> list[ModelMessage]:
    """The history with a summary in place of its older messages. The same history where nothing can be left out."""
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    config = _config(profile) or CompactionConfig()
    cut = _cut(history, config.keep_recent_tokens if keep_tokens is None else keep_tokens)
    if cut == 0:
        return history
    given = config.model or profile.model or None
    agent: Agent[None, str] = Agent(instructions=_PLEASE, name="summary")
    result = await agent.run(_transcript(history[:cut]), model=model_of(given), infer_name=False)
    summary: ModelMessage = ModelRequest([UserPromptPart(_HEAD + result.output)])
    return [summary, *history[cut:]]


def tokens_of(messages: list[ModelMessage]) -> int:
    return sum(len(_text(message)) for message in messages) // _CHARS_A_TOKEN


def _config(profile: AgentProfile) -> CompactionConfig | None:
    if profile.compaction is False:
        return None
    config = profile.compaction or CompactionConfig()
    return config if config.enabled else None


def _cut(history: list[ModelMessage], keep_tokens: int) -> int:
    """The index of the first message that is kept: that of a prompt, so that no call is parted from its result."""
    starts = [n for n, message in enumerate(history) if _is_prompt(message)]
    for n in starts[1:]:
        if tokens_of(history[n:]) <= keep_tokens:
            return n
    return len(history) if keep_tokens == 0 else 0


def _is_prompt(message: ModelMessage) -> bool:
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    return isinstance(message, ModelRequest) and any(isinstance(part, UserPromptPart) for part in message.parts)


def _transcript(messages: list[ModelMessage]) -> str:
    return "\n\n".join(f"{message.kind}: {_text(message)[:_MOST_CHARS_EACH]}" for message in messages)


def _text(message: ModelMessage) -> str:
    return "\n".join(filter(None, (_part(part) for part in message.parts)))


def _part(part: Any) -> str:
    content = getattr(part, "content", None)
    if content is None and hasattr(part, "args_as_json_str"):
        return f"{part.tool_name}({part.args_as_json_str()})"
    return content if isinstance(content, str) else "" if content is None else str(content)
