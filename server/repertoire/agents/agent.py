"""Agent: a model with instructions and tools, as files of the class style define it. `run` and `arun` ask it.

    agent = Agent(model="openai:gpt-4o-mini", instructions="Answer in one sentence.", tools=[search])
    agent.run("What is a lease?").content
    for piece in agent.run("Tell me more.", stream=True): ...

The same object may run in several threads and tasks at once. Used by workflow files and scripts.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakKeyDictionary

from ..authoring import loading
from ..classes import logging
from ..classes.pprint import apprint_run_response, pprint_run_response
from ..classes.response import RunResponse, empty_answer
from ..names import snake_case
from ..values.refusals import NotAvailable
from . import agent_run, drive, options, tools

_responses: Final[ContextVar[WeakKeyDictionary[Any, Any] | None]] = ContextVar("repertoire_responses", default=None)
"""The last responses of agents, in this thread and task."""

_MEDIA: Final = ("images", "audio", "videos", "files")


class Agent:
    """The options of an agent, by keyword. Each is an attribute, None by default. docs/agents.md says what each one does."""

    _fields: ClassVar[frozenset[str]] = options.names()
    response_kind: ClassVar[type[RunResponse]] = RunResponse

    def __init__(self, **given: Any) -> None:
        if unknown := given.keys() - self._fields:
            raise options.refuse_unknown(type(self).__name__, unknown)
        self.session_id: str | None = None
        for field in self._fields:
            setattr(self, field, given.get(field))

    def __set_name__(self, owner: type, name: str) -> None:
        vars(self).setdefault("_attribute", name)

    if TYPE_CHECKING:  # its options may be set too

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name in type(self)._fields:  # a subclass did not call this __init__
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # Running.

    def run(
        self,
        message: Any = None,
        *,
        stream: bool | None = None,
        stream_intermediate_steps: bool | None = None,
        session_id: str | None = None,
        retries: int | None = None,
        **more: Any,
    ) -> Any:
        """Ask the agent, and give its RunResponse. With `stream`: an iterator of the pieces, whose last response is `run_response`.

        Raises AgentError if it has no answer.
        """
        if loading.is_skipped(f"{type(self).__name__}.run"):
            return empty_answer(is_stream=bool(self.stream if stream is None else stream), is_async=False)
        is_streamed, produce = self._prepare(message, stream, stream_intermediate_steps, session_id, retries, more)
        if is_streamed:
            return self._stream(produce)
        self.run_response = response = drive.drive_to_end(produce)
        return response

    def arun(
        self,
        message: Any = None,
        *,
        stream: bool | None = None,
        stream_intermediate_steps: bool | None = None,
        session_id: str | None = None,
        retries: int | None = None,
        **more: Any,
    ) -> Any:
        """Like `run`: an awaitable of the RunResponse; with `stream` an async iterator, which may be awaited too."""
        if loading.is_skipped(f"{type(self).__name__}.arun"):
            return empty_answer(is_stream=bool(self.stream if stream is None else stream), is_async=True)
        is_streamed, produce = self._prepare(message, stream, stream_intermediate_steps, session_id, retries, more)
        return _Stream(self._astream(produce)) if is_streamed else self._arun(produce)

    def print_response(
        self, message: Any = None, *, stream: bool | None = None, markdown: bool = False, **more: Any
    ) -> None:
        """Ask the agent and show its answer."""
        response = self.run(message, stream=stream, **_without_looks(more))
        pprint_run_response(response, markdown=markdown or bool(self.markdown), show_time=bool(more.get("show_time")))

    async def aprint_response(
        self, message: Any = None, *, stream: bool | None = None, markdown: bool = False, **more: Any
    ) -> None:
        """Like `print_response`."""
        response = await self.arun(message, stream=stream, **_without_looks(more))
        await apprint_run_response(
            response, markdown=markdown or bool(self.markdown), show_time=bool(more.get("show_time"))
        )

    def cli_app(self, *_: Any, **__: Any) -> None:
        raise agent_run.refuse(
            NotAvailable(
                f"{type(self).__name__}.cli_app() needs a terminal",
                hint="Call print_response(message) in a loop of your own.",
            )
        )

    @property
    def run_response(self) -> Any:
        """The last response of this agent: in this thread and task, else anywhere."""
        known = _responses.get()
        return known[self] if known is not None and self in known else vars(self).get("_last_response")

    @run_response.setter
    def run_response(self, response: Any) -> None:
        known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary(_responses.get() or {})
        known[self] = response
        _responses.set(known)
        vars(self)["_last_response"] = response

    def _prepare(
        self,
        message: Any,
        stream: bool | None,
        with_steps: bool | None,
        session_id: str | None,
        retries: int | None,
        more: dict[str, Any],
    ) -> tuple[bool, drive.Produce]:
        """Check the arguments. Gives whether to stream, and the coroutine function of the run."""
        is_streamed = bool(self.stream if stream is None else stream)
        steps = bool(self.stream_intermediate_steps if with_steps is None else with_steps)
        message = _only(message, more)

        def produce(outlet: drive.Outlet) -> Any:
            run = agent_run.AgentRun(
                self,
                message,
                outlet,
                stream=is_streamed,
                with_steps=steps,
                session_id=session_id or self.session_id,
                retries=retries,
            )
            return run.perform()

        return is_streamed, produce

    def _stream(self, produce: drive.Produce) -> Generator[Any, None, None]:
        self.run_response = yield from drive.drive(produce)

    async def _arun(self, produce: drive.Produce) -> Any:
        self.run_response = response = await drive.adrive_to_end(produce)
        return response

    async def _astream(self, produce: drive.Produce) -> AsyncGenerator[Any, None]:
        last: list[Any] = []

        async def keep(outlet: drive.Outlet) -> None:
            last.append(await produce(outlet))

        items = drive.adrive(keep)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()
        self.run_response = last[0]

    # For `agent_run`, and for a team with this member.

    @property
    def member_id(self) -> str:
        """The agent's name in a team, in its history and in errors."""
        named = re.sub(r"\W+", "_", snake_case(str(self.name))).strip("_") if self.name else ""
        return str(self.agent_id or named or vars(self).get("_attribute") or "agent")

    @property
    def given_options(self) -> list[str]:
        return sorted(name for name in self._fields if getattr(self, name) is not None)

    @property
    def chosen_model(self) -> Any:
        return self.model

    @property
    def is_structured(self) -> bool:
        """True if the content of its responses is no text."""
        return self.response_model is not None and self.response_model is not str and self.parse_response is not False

    def output_type(self) -> Any:
        return (
            agent_run.output_type(self.response_model, as_json=bool(self.use_json_mode)) if self.is_structured else str
        )

    def sections(self) -> Sequence[str]:
        """Sections of the instructions beside its options."""
        wanted = [agent_run.json_wanted(self.response_model)] if self.is_structured and self.use_json_mode else []
        return [*tools.instructions_of(self), *wanted]

    def own_tools(self) -> Sequence[Callable[..., Any]]:
        """Tools beside those of its options."""
        return ()

    def mode_key(self) -> Any:
        """A value that changes with `own_tools`."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """For `copy` and `pickle`: without pydantic-ai's agent, which is made again."""
        return {name: value for name, value in vars(self).items() if name != "_made"}

    def deep_copy(self, *, update: dict[str, Any] | None = None) -> Any:
        """A copy with other options."""
        given = {name: getattr(self, name) for name in self.given_options}
        return type(self)(**{**given, **(update or {})})

    def __repr__(self) -> str:
        shown = ("name", "agent_id", "role", "description", "session_id")
        texts = ", ".join(f"{name}={value!r}" for name in shown if isinstance(value := getattr(self, name), str))
        return f"{type(self).__name__}({texts})"


class _Stream:
    """An async iterator. Awaiting it gives the iterator itself, because some versions of this style want that."""

    def __init__(self, items: AsyncGenerator[Any, None]) -> None:
        self._items = items
        self.aclose = items.aclose

    def __aiter__(self) -> AsyncGenerator[Any, None]:
        return self._items

    async def __anext__(self) -> Any:
        return await anext(self._items)

    def __await__(self) -> Generator[Any, None, Any]:
        return self
        yield


def _only(message: Any, more: dict[str, Any]) -> Any:
    """The message. Raises for images and the like, which would be lost. Other unknown arguments are ignored with a warning, as in Agno."""
    if message is None:
        message = more.pop("messages", None)
    for name in _MEDIA:
        if more.get(name):
            raise agent_run.refuse(
                NotAvailable(
                    f"agent.run({name}=...): only text is given to models",
                    hint="Describe it in the message, or give its text.",
                )
            )
    asked = {name for name, value in more.items() if options.is_asked_for(value)} - {*_MEDIA, "user_id", "debug_mode"}
    if asked:
        logging.log_warning(f"agent.run() has no parameter {', '.join(map(repr, sorted(asked)))}: ignored")
    return message


def _without_looks(more: dict[str, Any]) -> dict[str, Any]:
    """The arguments without those that only say how an answer looks."""
    looks = {
        "show_message",
        "show_reasoning",
        "show_full_reasoning",
        "show_time",
        "console",
        "tags_to_include_in_markdown",
    }
    return {name: value for name, value in more.items() if name not in looks}
