"""Control connections: requests of the command line as JSON lines, several at once, and their answers; used by server.py.

A request is `{id, verb, args}`. Its answer is `{id, result}` or `{id, error}`, after any number of `{id, event}`.
Not the meaning of a verb: that is surfaces/control.py. The other end is cli/control_client.py.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio
import msgspec

from repertoire.daemon.greeting import Hello
from repertoire.daemon.line_channel import LineChannel, LineTooLong, is_gone

logger = logging.getLogger("repertoire.daemon")

Emit = Callable[[dict[str, Any]], Awaitable[None]]


class _Request(msgspec.Struct):
    id: str | int
    verb: str
    args: dict[str, Any] = {}


_request_decoder = msgspec.json.Decoder(_Request)


class Verbs(Protocol):
    """The daemon behind a control connection."""

    def begin_verb(self) -> None: ...

    def end_verb(self) -> None: ...

    async def carry_out(self, verb: str, args: dict[str, Any], hello: Hello, emit: Emit) -> Any:
        """The verb's result. An error with `code`, `message` and `hint` is passed on with these."""
        ...

    def after_answer(self, verb: str, args: dict[str, Any]) -> None:
        """Called after the verb's answer is written."""
        ...


class ControlConnection:
    """One control connection. Its end cancels the verbs that are still open."""

    def __init__(self, channel: LineChannel, hello: Hello, verbs: Verbs) -> None:
        self._channel = channel
        self._hello = hello
        self._verbs = verbs

    async def serve(self) -> None:
        async with anyio.create_task_group() as tasks:
            try:
                while (line := await self._channel.receive()) is not None:
                    tasks.start_soon(self._answer, line)
            except LineTooLong as error:
                await self._channel.send_json(_failure(None, "invalid_request", str(error)))
            tasks.cancel_scope.cancel()

    async def _answer(self, line: bytes) -> None:
        try:
            request = _request_decoder.decode(line)
        except msgspec.DecodeError as error:  # also a ValidationError
            failure = _failure(None, "invalid_request", f"not a control request: {error}")
            await self._channel.send_json(failure)
            return
        self._verbs.begin_verb()
        try:
            answer = await self._carry_out(request)
        finally:
            self._verbs.end_verb()
        await self._channel.send(answer)
        self._verbs.after_answer(request.verb, request.args)

    async def _carry_out(self, request: _Request) -> bytes:
        async def emit(event: dict[str, Any]) -> None:
            await self._channel.send_json({"id": request.id, "event": event})

        try:
            result = await self._verbs.carry_out(request.verb, request.args, self._hello, emit)
            return msgspec.json.encode({"id": request.id, "result": result})
        except Exception as error:  # the edge of a request
            if is_gone(error):
                raise
            return msgspec.json.encode(_failure_of(error, request))


def _failure_of(error: Exception, request: _Request) -> dict[str, Any]:
    if isinstance(code := getattr(error, "code", None), str):
        message, hint = getattr(error, "message", str(error)), getattr(error, "hint", None)
        return _failure(request.id, code, str(message), hint, getattr(error, "details", None))
    logger.exception("answering the control verb %s", request.verb, exc_info=error)
    return _failure(request.id, "internal", f"{type(error).__name__}: {error}", "The daemon's log has more.")


def _failure(
    request: str | int | None, code: str, message: str, hint: str | None = None, details: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"id": request, "error": {"code": code, "message": message, "hint": hint, "details": details or {}}}
