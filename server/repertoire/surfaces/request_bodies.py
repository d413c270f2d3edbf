"""Request bodies: an ASGI middleware that repairs JSON-RPC bodies of HTTP requests; used by http.py.

It reads them by the rules of json_rpc.py, as the other transports read their lines. It runs before the SDK, whose errors say nothing.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..daemon.line_channel import MAX_LINE_BYTES
from .json_rpc import Unreadable, is_plain, read


class ReadableBodies:
    """The middleware for the paths that take messages. A body over the limit passes unchanged: the SDK refuses it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(("/mcp", "/messages")):
            await self._app(scope, receive, send)
            return
        came, body = await _body(receive)
        if body is None or _is_plain(body):
            await self._app(scope, _replay(came, receive), send)
            return
        try:
            body = json.dumps(read(body)).encode()
        except Unreadable as error:
            await JSONResponse(error.answer(), status_code=400)(scope, receive, send)
            return
        except ValueError:  # not JSON at all: the SDK answers that
            await self._app(scope, _replay(came, receive), send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        await self._app(scope, _replay([{"type": "http.request", "body": body, "more_body": False}], receive), send)


async def _body(receive: Receive) -> tuple[list[Message], bytes | None]:
    """The received messages, and the whole body; None: it is too long, or the client has gone."""
    came: list[Message] = []
    size = 0
    while True:
        message = await receive()
        came.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or size > MAX_LINE_BYTES:
            return came, None
        if not message.get("more_body"):
            return came, b"".join(part.get("body", b"") for part in came)


def _is_plain(body: bytes) -> bool:
    try:
        said: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, list) or is_plain(said)


def _replay(came: list[Message], receive: Receive) -> Receive:
    left = list(came)

    async def again() -> Message:
        return left.pop(0) if left else await receive()

    return again
