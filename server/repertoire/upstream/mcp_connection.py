"""MCP connection: one connection to an MCP server, held by one task, and the calls that are open on it; used by mcp_servers.py.

1. The SDK's contexts must be entered and left in one task. So `run` is the body of an owner task, and callers only wait for `ready`.
2. A connection is used until it is over. It is never repaired: mcp_servers.py opens the next one.
3. A question of the server belongs to one call. In the protocol of 2026 it is the answer of its call, and over HTTP it mostly comes on its
   call's stream. Elsewhere a question does not say which call asks. It is then taken for the only open call's. If there are several, or one
   was given up, asking the wrong run would show it another's data. So the question is refused, and `is_ambiguous` is set.
4. The time limit of a call stands still while a person is asked.
5. If nothing at all came during a call that timed out, the server hangs, and the connection is closed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Literal

import anyio
import httpx2
import mcp_types as types
from mcp.client import Client, ClientRequestContext, ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from ..errors import cause_of
from ..version import VERSION
from .config import ServerConfig
from .inbox import Inbox
from .mcp_questions import REFUSAL, ask
from .mcp_transports import HttpNotes, Notes, open_transport
from .stdio_process import StdioNotes
from .tool import BadToolArguments, ToolContext, ToolFailed, ToolTimeout, ToolUnavailable
from .variables import Mask

_log = logging.getLogger("repertoire.tools")

Protocol = Literal["auto", "legacy"]

_CLOSE_S: Final = 8.0
"""For leaving the SDK's contexts, the end of a child included."""
_MAX_ROUNDS: Final = 20
"""Times that one call may ask."""
_MAX_PAGES: Final = 100
_PAUSE_S: Final = 0.25
"""Before a call is made again whose server wants that without asking anything."""
_LISTEN_AGAIN_S: Final = 30.0
_ANSWER: Final[TypeAdapter[types.CallToolResult | types.InputRequiredResult]] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class SessionForgotten(ToolUnavailable):
    """Raised when an HTTP server no longer knows the session, so that it has not carried out the call."""


class OpenCall:
    """A call that is under way: its surroundings, its clock, its open questions, and the error of a question that failed."""

    def __init__(self, context: ToolContext, limit_s: float) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + limit_s)
        self.failure: Exception | None = None
        self._context = context
        self._questions: list[anyio.CancelScope] = []
        self._left_s = limit_s

    async def ask(self, params: types.ElicitRequestParams) -> types.ElicitResult:
        """Ask the run while the clock stands still. An error of the question, such as its expiry, ends the call."""
        if not self._questions:
            self._left_s = self.scope.deadline - anyio.current_time()
            self.scope.deadline = float("inf")
        question = anyio.CancelScope()
        self._questions.append(question)
        answer = types.ElicitResult(action="cancel")
        try:
            with question:
                answer = await ask(params, self._context)
        except Exception as error:  # whatever it is, the call that the question belongs to raises it
            self.failure = error
            self.scope.cancel()
        finally:
            self._questions.remove(question)
            if not self._questions:
                self.scope.deadline = anyio.current_time() + self._left_s
        return answer

    def close(self) -> None:
        """Take back the questions that are still open."""
        for question in self._questions:
            question.cancel()


_CALL: ContextVar[OpenCall | None] = ContextVar("open_call", default=None)


class Connection:
    """See the module. `protocols` are tried in order; `protocol` is the one that worked."""

    def __init__(
        self, config: ServerConfig, protocols: tuple[Protocol, ...], on_change: Callable[[], None], mask: Mask
    ) -> None:
        self.ready = anyio.Event()
        """It can be used, or it is over."""
        self.over = anyio.Event()
        self.trouble = ""
        """Why it is over."""
        self.protocol: Protocol | None = None
        self.is_ambiguous = False
        self.has_answered = False
        """It has answered a call. So the server works."""
        self.has_abandoned = False
        """A call was given up, and the server may still be at it."""
        self._config = config
        self._protocols = protocols
        self._on_change = on_change
        self._end = anyio.Event()
        self._connecting: anyio.CancelScope | None = None
        self._client: Client | None = None
        self._inbox = Inbox(config.original, on_change, self._lost)
        self._mask = mask
        self._notes: Notes = StdioNotes(mask)
        self._calls: list[OpenCall] = []

    async def run(self) -> None:
        """Hold the connection until it is ended or lost. It raises nothing: the reason is `trouble`."""
        _CALL.set(None)  # a call may have started this task
        try:
            for protocol in self._protocols:
                may_be_other = await self._hold(protocol)
                if self.protocol or self._end.is_set() or not may_be_other:
                    break
        finally:
            self._client = None
            self.trouble = self.trouble or "The connection was closed."
            self.over.set()
            self.ready.set()

    def end(self, reason: str) -> None:
        """Close it. `over` follows."""
        self.trouble = self.trouble or reason
        self._end.set()
        if self._connecting is not None:
            self._connecting.cancel()

    @property
    def is_ending(self) -> bool:
        return self._end.is_set() or self.over.is_set()

    async def list_tools(self) -> list[types.Tool]:
        """The tools of all pages. Raises ToolUnavailable."""
        found: list[types.Tool] = []
        cursor: str | None = None
        limit_s = self._config.options.connect_timeout_s
        try:
            with anyio.fail_after(limit_s):
                for _ in range(_MAX_PAGES):
                    params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
                    page = await self._session.list_tools(params=params)
                    found += page.tools
                    if not (cursor := page.next_cursor):
                        break
        except TimeoutError as error:
            self.end(f"It did not list its tools within {limit_s:g} s.")
            raise ToolUnavailable(f"The MCP server {self._config.original} did not list its tools in time.") from error
        except MCPError as error:
            if error.error.code == types.METHOD_NOT_FOUND:
                return []
            raise (await self._unavailable("could not list its tools", error)) from error
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise ToolUnavailable(
                f"The MCP server {self._config.original} lists its tools in a wrong form, at {where}."
            ) from error
        return found

    async def call(self, name: str, arguments: dict[str, Any], context: ToolContext) -> types.CallToolResult:
        """Raises ToolFailed, ToolUnavailable, ToolTimeout, BadToolArguments, and what `context.ask` raises."""
        limit_s = self._config.options.timeout_s
        call = OpenCall(context, limit_s)
        received, refusals = self._inbox.received, self._refusals
        token = self._inbox.watch(context.progress)
        self._calls.append(call)
        previous = _CALL.set(call)
        result: types.CallToolResult | None = None
        is_answered = False
        try:
            with call.scope:
                result = await self._rounds(name, arguments, token, call)
            is_answered = result is not None
        except MCPError as error:
            is_answered = True
            raise (await self._refusal(error, self._refusals > refusals)) from error
        except ValidationError as error:
            is_answered = True
            raise ToolFailed(f"The MCP server {self._config.original} gave an answer that is not MCP.") from error
        finally:
            _CALL.reset(previous)
            self._calls.remove(call)
            self.has_abandoned |= not is_answered
            call.close()
            self._inbox.unwatch(token)
        if call.failure is not None:
            raise call.failure
        if result is None:
            if self._inbox.received == received:
                self.end(f"It sent nothing for {limit_s:g} s, so it was taken for hung.")
            raise ToolTimeout(
                f"{name} of the MCP server {self._config.original} took longer than {limit_s:g} s. It may still have an effect.",
                "Ask for less at once, or let the operator raise timeout_s of this server.",
            )
        self.has_answered = True
        return result

    @property
    def _session(self) -> ClientSession:
        if self._client is None:
            raise ToolUnavailable(f"The MCP server {self._config.original} does not work now.")
        return self._client.session

    async def _hold(self, protocol: Protocol) -> bool:
        """One attempt. True: the server closed the connection before it was ready, so it may want another protocol."""
        limit_s = self._config.options.connect_timeout_s
        self._notes = StdioNotes(self._mask) if self._config.kind == "stdio" else HttpNotes()
        reason = ""
        is_closed = False
        if self._end.is_set():
            return False
        with anyio.CancelScope(deadline=anyio.current_time() + limit_s) as scope:
            self._connecting = scope
            client = Client(
                open_transport(self._config, self._inbox, self._notes),
                mode=protocol,
                elicitation_callback=self._elicit,
                client_info=types.Implementation(name="repertoire", version=VERSION),
                cache=None,
            )
            try:
                async with client:
                    self._connecting, scope.deadline = None, float("inf")
                    self._client, self.protocol = client, protocol
                    self._on_change()  # another process may have other tools
                    self.ready.set()
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(self._listen, client)
                        await self._end.wait()
                        tasks.cancel_scope.cancel()
                    scope.deadline = anyio.current_time() + _CLOSE_S
            except Exception as error:  # the server's or the transport's: it is told, and connected again
                cause = cause_of(error)
                reason = _reason(cause)
                is_closed = isinstance(cause, MCPError) and cause.error.code == types.CONNECTION_CLOSED
        if scope.cancelled_caught and not self.protocol:
            reason = f"It did not answer within {limit_s:g} s."
        self.trouble = f"{self.trouble or reason}{self._notes}"
        return is_closed

    def _lost(self) -> None:
        """The inbox has ended. While connecting, the SDK raises an error for that by itself."""
        if self.protocol:
            self.end("It ended.")

    async def _listen(self, client: Client) -> None:
        """Ask a server of 2026 to tell when its tools change. Older servers tell without being asked."""
        tools = client.server_capabilities.tools
        if not self._is_modern or not (tools and tools.list_changed):
            return
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        pass
            except Exception as error:  # the connection's own task tells what is wrong with it
                _log.debug("the MCP server %s ended its notifications: %s", self._config.original, error)
            await anyio.sleep(_LISTEN_AGAIN_S)
            self._on_change()  # some may have been missed

    async def _rounds(self, name: str, arguments: dict[str, Any], token: str, call: OpenCall) -> types.CallToolResult:
        """Make the call, and again with the answers for as long as the server asks.

        Not by `Client.call_tool`: it would check the result against its schema on the event loop, and ask where the call is not known.
        """
        responses: types.InputResponses | None = None
        state: str | None = None
        for _ in range(_MAX_ROUNDS):
            params = types.CallToolRequestParams(
                name=name,
                arguments=arguments,
                input_responses=responses,
                request_state=state,
                _meta=types.RequestParamsMeta(progress_token=token),
            )
            answer = await self._session.send_request(types.CallToolRequest(params=params), _ANSWER)
            while isinstance(answer, types.InputRequiredResult) and not answer.input_requests:
                await anyio.sleep(_PAUSE_S)
                params.input_responses, params.request_state = None, answer.request_state
                answer = await self._session.send_request(types.CallToolRequest(params=params), _ANSWER)
            if isinstance(answer, types.CallToolResult):
                return answer
            responses, state = {}, answer.request_state
            for key, request in (answer.input_requests or {}).items():
                if not isinstance(request, types.ElicitRequest):
                    raise ToolFailed(f"{name} asks for {request.method}, and Repertoire does not offer that.")
                responses[key] = await call.ask(request.params)
        raise ToolFailed(f"{name} asked {_MAX_ROUNDS} times and was given up.")

    async def _elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """Answer a question that came as a request: rule 3."""
        call = _CALL.get()
        if call is None and len(self._calls) == 1 and not self.has_abandoned:
            call = self._calls[0]
        if call is None:
            self.is_ambiguous = True
            return REFUSAL
        return await call.ask(params)

    async def _refusal(self, error: MCPError, by_http: bool) -> Exception:
        """The error of a call that was answered with an error of the protocol. `by_http`: a response had an error's status."""
        code, message = error.error.code, error.error.message
        status = self._notes.status if by_http and isinstance(self._notes, HttpNotes) else 0
        if status in (400, 404) and not self._is_modern:
            self.end("It no longer knew the session.")
            return SessionForgotten(f"The MCP server {self._config.original} no longer knows the session.")
        if status and code == types.INTERNAL_ERROR:  # the SDK's stand-in for any other status
            return ToolUnavailable(f"The MCP server {self._config.original} refused the call.{self._notes}")
        if code == types.CONNECTION_CLOSED:
            return await self._unavailable("ended during the call, which may have had its effect", error)
        self.has_answered = True
        if code == types.INVALID_PARAMS:
            return BadToolArguments(message)
        return ToolFailed(message)

    @property
    def _refusals(self) -> int:
        return self._notes.refusals if isinstance(self._notes, HttpNotes) else 0

    @property
    def _is_modern(self) -> bool:
        return self._client is not None and self._client.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def _unavailable(self, what: str, error: MCPError) -> ToolUnavailable:
        with anyio.move_on_after(1.0):  # a server that died has an exit code
            await self.over.wait()
        said = error.error.message
        detail = "" if said == "Connection closed" else f": {said}"
        return ToolUnavailable(f"The MCP server {self._config.original} {what}{detail}.")


def _reason(error: BaseException) -> str:
    """Why a connection failed, in a sentence."""
    if isinstance(error, FileNotFoundError):
        return f"The command or folder {error.filename!r} was not found."
    if isinstance(error, OSError):
        return f"It cannot be started: {error.strerror or error}."
    if isinstance(error, httpx2.TransportError):
        return f"It cannot be reached: {str(error).rstrip('.') or type(error).__name__}."
    if isinstance(error, MCPError):
        if error.error.code == types.CONNECTION_CLOSED:
            return "It closed the connection before it was ready."
        return f"It refused the connection: {error.error.message.rstrip('.')}."
    return f"{type(error).__name__}: {str(error).rstrip('.')[:300]}."
