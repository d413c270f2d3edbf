"""Stdio framing: `serve_lines` serves one MCP connection whose messages are lines; used by the app for the socket and for stdio.

It takes the place of the SDK's memory streams. The SDK reads from and writes to any object with two small protocols, so a message
costs no extra task and no extra turn of the event loop.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Protocol, Self

import anyio
import mcp_types as types
import msgspec
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage

from .. import json_rpc
from ..shutdown import Shutdown, Unanswered

_SHOWN = 200
"""Characters of a line that was refused, in the answer."""


class Lines(Protocol):
    """Framed text in both directions; `receive` gives None at the end."""

    async def receive(self) -> bytes | None: ...

    async def send(self, line: bytes) -> None: ...


async def serve_lines(
    server: Server[Any], lines: Lines, ending: Shutdown | None = None, *, to_front: bool = False
) -> None:
    """Serve one connection; returns at the end of input. `ending` waits for the answers to its calls.

    `to_front`: the other end is a front, which knows the open requests. When this server ends, the front repeats or answers them.
    """
    with (ending or Shutdown()).unanswered() as calls:
        answers = _Answers(lines, calls, keeps_quiet=to_front)
        await server.run(_Requests(lines, calls), answers, server.create_initialization_options())


class _Stream:
    """A stream for the SDK. It closes nothing: the owner of the lines does."""

    def __init__(self, lines: Lines, calls: Unanswered) -> None:
        self._lines = lines
        self._calls = calls

    async def aclose(self) -> None:
        return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return None


class _Requests(_Stream):
    async def receive(self) -> SessionMessage | Exception:
        """The next message. A line that is not a message is answered here: the SDK would only log it."""
        while (line := await self._lines.receive()) is not None:
            try:
                message = _message_of(line)
            except json_rpc.Unreadable as error:
                await self._lines.send(json.dumps(error.answer()).encode())
            except ValueError:
                await self._lines.send(_refusal(line))
            else:
                self._note(message)
                return SessionMessage(message)
        raise anyio.EndOfStream

    def _note(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            if message.method == "tools/call":
                self._calls.add(message.id)
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._calls.discard((message.params or {}).get("requestId"))

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            raise StopAsyncIteration from None


class _Answers(_Stream):
    def __init__(self, lines: Lines, calls: Unanswered, *, keeps_quiet: bool) -> None:
        super().__init__(lines, calls)
        self._keeps_quiet = keeps_quiet

    async def send(self, item: SessionMessage, /) -> None:
        if not (self._keeps_quiet and _says_closed(item.message)):
            await self._lines.send(_encode(item.message))
        if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
            self._calls.discard(item.message.id)


def _says_closed(message: types.JSONRPCMessage) -> bool:
    """Whether this is the SDK's answer to a request that it breaks off."""
    return isinstance(message, types.JSONRPCError) and message.error.code == types.CONNECTION_CLOSED


def _message_of(line: bytes) -> types.JSONRPCMessage:
    """Raises Unreadable or ValueError."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        return types.jsonrpc_message_adapter.validate_python(json_rpc.read(line), by_name=False)
    params = getattr(message, "params", None)
    unnumbered = isinstance(message, types.JSONRPCNotification) and b'"id"' in line
    if (params is None or not json_rpc.has_odd_params(params)) and not unnumbered:
        return message
    said = json_rpc.read(line)
    message = types.jsonrpc_message_adapter.validate_python(said, by_name=False)
    if isinstance(message, types.JSONRPCNotification) and "id" in said:
        raise ValueError("a request whose id is neither string nor integer")
    return message


def _encode(message: types.JSONRPCMessage) -> bytes:
    if isinstance(
        message, types.JSONRPCResponse
    ):  # its result has passed the SDK's own checks and is plain data by now
        try:
            return msgspec.json.encode({"jsonrpc": "2.0", "id": message.id, "result": message.result})
        except (OverflowError, TypeError, ValueError):  # an integer beyond 64 bits, half a surrogate pair
            pass
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def _refusal(line: bytes) -> bytes:
    """The answer to a line that is not a JSON-RPC message, with the request's id where one can be read."""
    number: str | int | None = None
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        code, why = types.PARSE_ERROR, "this line is not JSON"
    else:
        code, why = types.INVALID_REQUEST, "this is not a JSON-RPC 2.0 message"
        if isinstance(said, list):
            why += "; batches are not part of MCP: send one message per line"
        elif isinstance(said, dict) and isinstance(said.get("id"), str | int) and not isinstance(said["id"], bool):
            number = said["id"]
    shown = line[:_SHOWN].decode(errors="replace")
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": f"{why}: {shown}"}}).encode()
