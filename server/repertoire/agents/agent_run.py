"""AgentRun: one run of an agent, from its message to its response. It makes pydantic-ai's agent and runs it. Used by `agent` and `team`."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..authoring import ambient
from ..classes import class_run, logging
from ..classes.events import TeamRunResponse
from ..classes.response import RunEvent, RunResponse
from ..names import new_run_id
from ..values.records import CallError
from ..values.refusals import NotAvailable, Refusal
from . import history, options, prompts, responses, tools
from .failures import AgentError, EndlessLoop, ReplyMismatch
from .models import Model, model_of, name_of, settings_of

if TYPE_CHECKING:
    from pydantic_ai import Agent as PydanticAgent
    from pydantic_ai import RunContext
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.run import AgentRunResult

    from .drive import Outlet

MOST_REQUESTS: Final = 50
"""Of one run to its model. More is a loop that does not end."""
CORRECTIONS: Final = 3
"""How often a model may correct a reply that does not fit `response_model`, and the arguments of one tool."""
_SHOWN_CHARS: Final = 2_000
"""Of a last reply, in an error."""
_PLEASE: Final = "Answer with JSON of this schema and nothing else:"
_INSTALL: Final = (
    "Agents need the package pydantic-ai, in the Python that runs workflows: "
    "pip install 'pydantic-ai-slim[anthropic,google,groq,openai]'"
)


class AgentRun:
    """One run. `outlet` takes the pieces of a stream, and calls sync tools."""

    def __init__(
        self,
        agent: Any,
        message: Any,
        outlet: Outlet,
        *,
        stream: bool = False,
        with_steps: bool = False,
        session_id: str | None = None,
        retries: int | None = None,
    ) -> None:
        """`with_steps`: the stream has events of the beginning, the end and each tool call too."""
        self.agent = agent
        self.outlet = outlet
        self._message = message
        self._stream = stream
        self._with_steps = with_steps
        self.session_id = session_id
        self._retries = agent.retries if retries is None else retries
        self._tool_calls = 0
        self._text: list[str] = []
        self._model: Any = None
        self.member_responses: list[RunResponse] = []

    async def perform(self) -> RunResponse:
        """Run the agent. Raises AgentError, and Refusal for what the platform refuses."""
        check_installed()
        self._warn()
        attempt = 0
        while True:
            try:
                return await self._attempt()
            except Refusal as refusal:
                raise refuse(refusal) from None
            except Exception as error:  # whatever it is, `retries` decides
                if isinstance(error, CallError) and error.code == "no_model":  # of a script: a run is ended by its host
                    raise refuse(NotAvailable(f"{error.message} {error.hint or ''}".strip())) from None
                if attempt >= (self._retries or 0) or self._text:  # what was streamed cannot be taken back
                    raise
                logging.log_warning(f"{self.agent.member_id}: attempt {attempt + 1} failed: {error}")
            delay = float(self.agent.delay_between_retries or 1)
            await asyncio.sleep(delay * 2**attempt if self.agent.exponential_backoff else delay)
            attempt += 1

    async def call_tool(self, perform: Callable[[], Awaitable[str]]) -> str:
        """The result of a tool's call for the model."""
        limit = self.agent.tool_call_limit
        self._tool_calls += 1
        if limit is not None and self._tool_calls > limit:
            return f"The limit of {limit} tool calls is reached. Answer with what you have."
        return await tools.told_to_model(perform)

    # One attempt.

    async def _attempt(self) -> RunResponse:
        from pydantic_ai import UsageLimits, capture_run_messages
        from pydantic_ai.exceptions import UnexpectedModelBehavior, UsageLimitExceeded

        agent, model = self.agent, model_of(self.agent.chosen_model)
        asked = prompts.user_text(agent, self._message)
        self._model = model
        if self._with_steps:
            self.outlet.put(responses.event(RunEvent.run_started))
        with capture_run_messages() as messages:
            try:
                result = await pydantic_agent(agent).run(
                    asked,
                    model=model,
                    deps=self,
                    instructions=prompts.system_text(agent, self._state(), agent.sections()),
                    message_history=self._history(),
                    model_settings=_settings(agent),
                    usage_limits=UsageLimits(request_limit=MOST_REQUESTS),
                    event_stream_handler=self._hear if self._stream and _can_stream(model) else None,
                    infer_name=False,
                )
            except UnexpectedModelBehavior as error:
                raise self._mismatch(error, messages) from error
            except UsageLimitExceeded as error:
                raise EndlessLoop(
                    f"{agent.member_id} has made {MOST_REQUESTS} requests in one run and has no answer yet. "
                    "Set tool_call_limit, or say in its instructions when to stop."
                ) from error
        return self._response(asked, result)

    def _state(self) -> Mapping[str, Any]:
        run = class_run.caller()
        state = run.state if run is not None else ambient.current_state()
        return {**state, **(self.agent.session_state or {})}

    def _history(self) -> list[ModelMessage]:
        from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

        found: list[ModelMessage] = []
        for one in history.recall(self.agent, self.session_id):
            found += [ModelRequest([UserPromptPart(one.asked)]), ModelResponse([TextPart(one.answered)])]
        for message in self.agent.add_messages or ():
            role = message.get("role") if isinstance(message, Mapping) else getattr(message, "role", "user")
            text = prompts.message_text(message)
            found.append(
                ModelResponse([TextPart(text)]) if role == "assistant" else ModelRequest([UserPromptPart(text)])
            )
        return found

    async def _hear(self, ctx: RunContext[AgentRun], events: AsyncIterable[Any]) -> None:
        """Hand over the pieces of the model's text, and the tool calls."""
        from pydantic_ai.messages import FunctionToolCallEvent, FunctionToolResultEvent

        async for event in events:
            if text := responses.streamed_text(event):
                self._put_text(text)
            elif self._with_steps and isinstance(event, FunctionToolCallEvent):
                call = responses.ToolExecution(event.part.tool_call_id, event.part.tool_name, event.part.args_as_dict())
                self.outlet.put(responses.event(RunEvent.tool_call_started, tools=[call]))
            elif self._with_steps and isinstance(event, FunctionToolResultEvent):
                part: Any = event.part
                call = responses.ToolExecution(part.tool_call_id, part.tool_name, None, responses.text_of(part.content))
                self.outlet.put(responses.event(RunEvent.tool_call_completed, tools=[call]))

    def _put_text(self, text: str) -> None:
        if text and not self.agent.is_structured:
            self._text.append(text)
            self.outlet.put(responses.piece(text, is_told=bool(getattr(self._model, "tells_watchers", False))))

    # The end.

    def _response(self, asked: str, result: AgentRunResult[Any]) -> RunResponse:
        agent, new = self.agent, result.new_messages()
        if self._stream and not self._text and isinstance(result.output, str):  # its model does not stream
            self._put_text(result.output)
        content = "".join(self._text) if self._text and isinstance(result.output, str) else result.output
        calls = responses.tool_calls(new)
        doors, run = ambient.doors(), class_run.caller()
        made: RunResponse = agent.response_kind(
            content=content,
            content_type=type(content).__name__,
            event=RunEvent.run_completed.value if self._with_steps else RunEvent.run_response.value,
            messages=list(responses.spoken(new)),
            metrics=responses.metrics_of(result.usage),
            model=name_of(agent.chosen_model) if isinstance(agent.chosen_model, str | Model | None) else None,
            run_id=run.run_id if run is not None else None if doors is not None else new_run_id(agent.member_id),
            agent_id=agent.agent_id,
            agent_name=agent.name,
            session_id=self.session_id,
            tools=calls or None,
            formatted_tool_calls=[_shown(call) for call in calls] or None,
            status="completed",
        )
        if isinstance(made, TeamRunResponse):
            made.member_responses = self.member_responses
        history.remember(agent, self.session_id, asked, responses.text_of(content))
        if self._stream and (self._with_steps or not isinstance(content, str)):
            self.outlet.put(made)
        return made

    def _mismatch(self, error: Exception, messages: list[ModelMessage]) -> AgentError:
        reply = last_reply(messages)
        cause = f": {str(error.__cause__).partition(_PLEASE)[0].strip()}" if error.__cause__ is not None else ""
        shown = reply if len(reply) <= _SHOWN_CHARS else reply[:_SHOWN_CHARS] + "..."
        if not self.agent.is_structured:
            said = f"{error}{cause}".rstrip(".")
            return ReplyMismatch(f"{self.agent.member_id}: {said}. The model's last reply: {shown}", reply)
        model = self.agent.response_model
        kind = model.__name__ if isinstance(model, type) else str(model)
        return ReplyMismatch(
            f"{self.agent.member_id}: the model's reply is no {kind}, also after {CORRECTIONS} corrections{cause}. "
            f"Its last reply: {shown}",
            reply,
        )

    def _warn(self) -> None:
        """Log once for each agent which of its options have no effect."""
        agent = self.agent
        if vars(agent).setdefault("_is_warned", False):
            return
        vars(agent)["_is_warned"] = True
        for name in agent.given_options:
            if (advice := options.advice(name)) is not None and options.is_asked_for(getattr(agent, name)):
                logging.log_warning(f"{agent.member_id}: the option {name} has no effect here: {advice}")
        if isinstance(agent.model, Model) and agent.model.unused:
            names = ", ".join(agent.model.unused)
            logging.log_warning(
                f"{agent.member_id}: {names} of its model has no effect: the provider's variables do that"
            )


def refuse(refusal: Refusal) -> Refusal:
    """Note the refusal, so that no `except Exception` of the body turns it into a false result. Gives it back, to be raised."""
    run = class_run.caller()
    if isinstance(refusal, NotAvailable):
        ambient.note_refusal(refusal)
        if run is not None and run.refusal is None:
            run.refusal = refusal
    return refusal


def pydantic_agent(agent: Any) -> PydanticAgent[AgentRun, Any]:
    """pydantic-ai's agent with the tools and the type of the answer. It is kept as long as these stay the same."""
    from pydantic_ai import Agent as PydanticAgent

    key = ([id(one) for one in tools.flat(agent.tools)], agent.response_model, agent.use_json_mode, agent.mode_key())
    kept: Any = vars(agent).get("_made")
    if kept is not None and kept[0] == key:
        return kept[1]  # type: ignore[no-any-return]  # as it was put there
    made: PydanticAgent[AgentRun, Any] = PydanticAgent(
        name=agent.member_id,
        deps_type=AgentRun,
        output_type=agent.output_type(),
        tools=[*tools.tools_of(agent), *agent.own_tools()],
        retries={"tools": CORRECTIONS, "output": CORRECTIONS},
    )
    vars(agent)["_made"] = (key, made)
    return made


def output_type(response_model: Any, *, as_json: bool) -> Any:
    """pydantic-ai's output for this type. The answer may come by the output tool, or as JSON text; `as_json`: as text only."""
    from pydantic import TypeAdapter
    from pydantic_ai import ModelRetry, TextOutput, ToolOutput

    adapter: TypeAdapter[Any] = TypeAdapter(response_model)

    def read(text: str) -> Any:
        try:
            return adapter.validate_json(_without_fence(text))
        except ValueError as error:
            raise ModelRetry(f"{error}\n{json_wanted(response_model)}") from error

    read.__annotations__ = {"text": str, "return": response_model}
    return TextOutput(read) if as_json else [ToolOutput(response_model), TextOutput(read)]


def json_wanted(response_model: Any) -> str:
    """The sentence that asks a model for JSON of this type."""
    from pydantic import TypeAdapter

    return f"{_PLEASE} {json.dumps(TypeAdapter(response_model).json_schema())}"


def _without_fence(text: str) -> str:
    """The text inside of a code fence, if it has one."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") : -3]
    return text


def _can_stream(model: Any) -> bool:
    from pydantic_ai.models import Model as PydanticModel

    own, base = inspect.unwrap(type(model).request_stream), inspect.unwrap(PydanticModel.request_stream)
    return own is not base


def _settings(agent: Any) -> Any:
    settings = settings_of(agent.chosen_model)
    if agent.tool_choice in ("none", "auto", "required"):
        settings["tool_choice"] = agent.tool_choice
    return settings or None


def last_reply(messages: list[ModelMessage]) -> str:
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            parts = [
                part.content if isinstance(part, TextPart) else part.args_as_json_str()
                for part in message.parts
                if isinstance(part, TextPart | ToolCallPart)
            ]
            return "\n".join(parts)
    return ""


def _shown(call: responses.ToolExecution) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in (call.tool_args or {}).items())
    return f"{call.tool_name}({arguments})"


def check_installed() -> None:
    try:
        import pydantic_ai  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise refuse(NotAvailable(_INSTALL)) from error
