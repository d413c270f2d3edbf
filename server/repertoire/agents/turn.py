"""Turn: one prompt of a session, from its text to the response: pydantic-ai's loop with the session's tools. Used by `session`.

The model is asked through the door `model`, so each request is recorded. Each call of a Python tool is a step.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..text import well_formed
from ..values.records import CallError
from ..values.refusals import NotAvailable, Refusal
from . import tools
from .agent_run import MOST_REQUESTS, check_installed, last_reply, output_type, refuse
from .definition import AgentProfile, Skill
from .failures import EndlessLoop, ReplyMismatch
from .models import model_of, name_of, settings_of
from .prompt_response import PromptCost, PromptImage, PromptModel, PromptResponse, PromptUsage, SessionEvent
from .responses import streamed_text

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

    from .drive import Outlet

RETRIES: Final = 3
"""How often a model may correct a result that does not fit, unless the prompt says otherwise."""


class ResultMismatch(ReplyMismatch, ValueError):
    """The model's answer was not what `result=` asks for, also after corrections. `reply` is its last one."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One prompt. Fields that are None are those of the agent's profile."""

    text: str
    result: Any = None
    model: Any = None
    thinking_level: str | None = None
    retries: int | None = None
    images: Sequence[Any] = ()
    tools: Sequence[Any] = ()
    stream: bool = False


@dataclass
class Turn:
    """`own_tools` are those of the workspace. `agent` is what tools get that ask for their agent."""

    profile: AgentProfile
    asked: Asked
    history: list[ModelMessage]
    outlet: Outlet
    agent: Any = None
    own_tools: Sequence[Any] = ()
    _streamed: list[str] = field(default_factory=list)

    async def perform(self) -> tuple[PromptResponse, list[ModelMessage]]:
        """The response, and the history with it. Raises AgentError, and Refusal for what the platform refuses."""
        check_installed()
        try:
            return await self._run()
        except Refusal as refusal:
            raise refuse(refusal) from None
        except CallError as error:
            if error.code == "no_model":  # of a script: a run is ended by its host
                raise refuse(NotAvailable(error.message, hint=error.hint)) from None
            raise

    async def call_tool(self, perform: Callable[[], Awaitable[str]]) -> str:
        return await tools.told_to_model(perform)

    async def _run(self) -> tuple[PromptResponse, list[ModelMessage]]:
        from pydantic_ai import Agent, UsageLimits, capture_run_messages
        from pydantic_ai.exceptions import UnexpectedModelBehavior, UsageLimitExceeded

        asked, given = self.asked, self.profile.model if self.asked.model is None else self.asked.model
        if given is False:
            raise ValueError("this agent has model=False, so it cannot be asked: give prompt(text, model=...)")
        retries = RETRIES if asked.retries is None else asked.retries
        agent: Agent[Turn, Any] = Agent(
            name=self.profile.name or "agent",
            deps_type=Turn,
            output_type=str if asked.result is None else output_type(asked.result, as_json=False),
            tools=self._tools(),
            retries={"tools": RETRIES, "output": retries},
        )
        if asked.stream:
            self.outlet.put(SessionEvent("start"))
        with capture_run_messages() as messages:
            try:
                result = await agent.run(
                    _content(asked),
                    model=model_of(given),
                    deps=self,
                    instructions=instructions(self.profile),
                    message_history=self.history,
                    model_settings=_settings(given, asked.thinking_level or self.profile.thinking_level),
                    usage_limits=UsageLimits(request_limit=MOST_REQUESTS),
                    event_stream_handler=self._hear if asked.stream else None,
                    infer_name=False,
                )
            except UnexpectedModelBehavior as error:
                raise _mismatch(asked, error, last_reply(messages), retries) from error
            except UsageLimitExceeded as error:
                raise EndlessLoop(
                    f"The model has made {MOST_REQUESTS} requests for one prompt and has no answer yet. Say in the instructions when to stop."
                ) from error
        text = result.output if isinstance(result.output, str) else last_reply(result.all_messages())
        response = PromptResponse(text, result.output, _usage(result.usage), _model(given, result), result)
        if asked.stream:
            if not self._streamed and text:
                self.outlet.put(SessionEvent("delta", {"text": text}))
            self.outlet.put(SessionEvent("end", {"text": text}))
        return response, result.all_messages()

    def _tools(self) -> list[Any]:
        given = [*self.own_tools, *(self.profile.tools or ()), *self.asked.tools]
        return tools.tools_of(_Tools(given))

    async def _hear(self, ctx: Any, events: AsyncIterable[Any]) -> None:
        from pydantic_ai.messages import FunctionToolCallEvent, FunctionToolResultEvent

        async for event in events:
            if text := streamed_text(event):
                self._streamed.append(text)
                self.outlet.put(SessionEvent("delta", {"text": text}))
            elif isinstance(event, FunctionToolCallEvent):
                call = {
                    "toolName": event.part.tool_name,
                    "toolCallId": event.part.tool_call_id,
                    "args": event.part.args_as_dict(),
                }
                self.outlet.put(SessionEvent("tool_start", call))
            elif isinstance(event, FunctionToolResultEvent):
                part: Any = event.part
                done = {
                    "toolName": part.tool_name,
                    "toolCallId": part.tool_call_id,
                    "isError": False,
                    "result": str(part.content),
                }
                self.outlet.put(SessionEvent("tool_end", done))


@dataclass
class _Tools:
    """What `tools_of` reads of an agent."""

    tools: list[Any]


def instructions(profile: AgentProfile) -> str | None:
    """What the model is told beside the prompt; None if there is nothing."""
    parts = [profile.description, profile.instructions]
    if profile.skills:
        lines = [f"- {skill.name}: {skill.description}" for skill in profile.skills]
        parts.append("Skills, each read with the tool `skill`:\n" + "\n".join(lines))
    if profile.subagents:
        lines = [f"- {one.name}: {one.description or ''}" for one in profile.subagents]
        parts.append("Agents that do a task for you, by the tool `task`:\n" + "\n".join(lines))
    return "\n\n".join(part for part in parts if part) or None


def skill_prompt(skill: Skill, args: dict[str, Any] | None) -> str:
    """The prompt that sends a skill."""
    parts = [skill.instructions]
    if args:
        parts.append("Arguments:\n" + json.dumps(args, indent=2, sort_keys=True, ensure_ascii=False))
    if skill.output_schema:
        parts.append(f"Answer with JSON of this schema:\n{json.dumps(skill.output_schema)}")
    return "\n\n".join(part for part in parts if part).strip()


def _content(asked: Asked) -> Any:
    """The prompt as pydantic-ai takes it: a text, or the text with its images."""
    if not isinstance(asked.text, str):
        raise TypeError(f"session.prompt(text): the text is a str, got {type(asked.text).__name__}")
    text = well_formed(asked.text)  # half of a surrogate pair cannot be sent
    return text if not asked.images else [text, *map(_image, asked.images)]


def _image(given: Any) -> Any:
    from pydantic_ai.messages import BinaryContent, ImageUrl

    if isinstance(given, str):
        return ImageUrl(given)
    data = given.data if isinstance(given, PromptImage) else given
    if isinstance(data, str):
        data = base64.b64decode(data)
    if not isinstance(data, bytes):
        raise TypeError(f"images=[...]: a URL, bytes or a PromptImage, got {type(given).__name__}")
    return BinaryContent(data, media_type=given.mime_type if isinstance(given, PromptImage) else "image/png")


def _settings(model: Any, thinking: str | None) -> Any:
    settings = settings_of(model)
    if thinking is not None:
        settings["thinking"] = False if thinking == "off" else thinking
    return settings or None


def _usage(usage: Any) -> PromptUsage:
    total = usage.input_tokens + usage.output_tokens
    cost = PromptCost(total=float(getattr(usage, "cost", None) or 0.0))
    return PromptUsage(
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens, total, cost
    )


def _model(given: Any, result: Any) -> PromptModel:
    own = given if given is None or isinstance(given, str) else getattr(given, "id", None)
    return PromptModel(result.response.model_name or (name_of(own) if own is None or isinstance(own, str) else None))


def _mismatch(asked: Asked, error: Exception, reply: str, retries: int) -> ReplyMismatch:
    shown = reply if len(reply) <= 2_000 else reply[:2_000] + "..."
    cause = f": {error.__cause__}" if error.__cause__ is not None else ""
    if asked.result is None:
        return ReplyMismatch(f"{error}{cause}. The model's last reply: {shown}", reply)
    kind = asked.result.__name__ if isinstance(asked.result, type) else str(asked.result)
    return ResultMismatch(
        f"Structured output validation failed: the reply is no {kind}, also after {retries} corrections{cause}. Its last reply: {shown}",
        reply,
    )
