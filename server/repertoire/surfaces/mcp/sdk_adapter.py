"""SDK adapter: every use of the MCP SDK's private parts, and helpers that it lacks; used by the MCP surface and http.py.

An upgrade of the SDK is adapted here only. It holds:

- whether a caller wants progress: in memory there is no token that shows it;
- whether a client cancelled a handler, and its reason, or the connection is gone;
- capabilities that promise only what we keep, in both revisions: the SDK derives them from the handlers;
- parts of the tasks extension: the check of its routing header, its notification, its part of a subscription's acknowledgement;
- the bound on HTTP sessions of earlier revisions, and which of them is closed first;
- the sealing of the state that a client returns with the answers to a question.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable
from typing import Any, Literal

import anyio
import mcp_types as types
import msgspec
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.session import ServerSession
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.shared.message import ServerMessageMetadata
from mcp_types.jsonrpc import HEADER_MISMATCH
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ...model.session import Caller, session_of_client

Context = ServerRequestContext[Any, Any]

_REASON_WAIT_S = 0.05
"""The dispatcher cancels the handler first. Right after it shows the notification, which has the reason."""

_REASONS_KEPT = 100
_STATE_TTL_S = 24 * 3600.0
"""A client may take this long to return the answers to a question. The state allows no more than answer_run does."""
KEY_BYTES = 32


class Cancellations:
    """Clients' reasons for cancelling, kept until the cancelled handler asks."""

    def __init__(self) -> None:
        self._legacy: weakref.WeakKeyDictionary[Connection, dict[Any, str]] = weakref.WeakKeyDictionary()
        self._modern: dict[Any, str] = {}
        self._arrived = anyio.Event()

    def remember(self, ctx: Context) -> None:
        if ctx.method == "notifications/cancelled":
            params = ctx.params or {}
            reasons = self._reasons(ctx)
            if isinstance(number := params.get("requestId"), str | int):
                reasons[number] = str(params.get("reason") or "")
            if len(reasons) > _REASONS_KEPT:  # those of requests that had been answered already
                del reasons[next(iter(reasons))]
            self._arrived.set()
            self._arrived = anyio.Event()

    async def wants_stop(self, ctx: Context) -> bool:
        """Whether the client wants the work to stop; asked by a cancelled handler in a shielded scope. A lost legacy connection or a
        client's own timeout does not mean that; a closed stream on 2026-07-28 HTTP does."""
        if not _cancelled_by_client(ctx):
            return is_modern(ctx) and ctx.request is not None
        reason = await self._reason(ctx)
        return "timed out" not in reason.lower() and "timeout" not in reason.lower()

    async def _reason(self, ctx: Context) -> str:
        with anyio.move_on_after(_REASON_WAIT_S):
            while ctx.request_id not in self._reasons(ctx):
                await self._arrived.wait()
        return self._reasons(ctx).pop(ctx.request_id, "")

    def _reasons(self, ctx: Context) -> dict[Any, str]:
        """The reasons by request number. On 2026-07-28 every message has a Connection of its own. Only streams carry this notification,
        and each stream has its own server."""
        return self._modern if is_modern(ctx) else self._legacy.setdefault(connection_of(ctx), {})


def is_modern(ctx: Context) -> bool:
    """2026-07-28 and later: no initialize, no session."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def wants_progress(ctx: Context) -> bool:
    """Whether the caller gave a progress token, or in memory, where there are none, a callback."""
    if (ctx.meta or {}).get("progress_token") is not None:
        return True
    outbound = ctx.session._request_outbound
    return getattr(getattr(outbound, "_inner", outbound), "_on_progress", None) is not None


def declares(ctx: Context, extension: str) -> bool:
    """Whether the client supports an extension; on 2026-07-28 each request declares it."""
    can = ctx.session.client_capabilities
    return can is not None and extension in (can.extensions or {})


def client_name(ctx: Context) -> str:
    """The client's own name and version; "" where it sends none."""
    info = _client_info(ctx)
    return "" if info is None else f"{info.name} {info.version}".strip()[:200]


def named_caller(caller: Caller, ctx: Context, session: str) -> Caller:
    """The caller with the client's own name. The default session is `session`, or without it the one that the client's name names."""
    info = _client_info(ctx)
    session = session or session_of_client("" if info is None else info.name)
    return msgspec.structs.replace(caller, client=client_name(ctx), session_name=session)


def _client_info(ctx: Context) -> types.Implementation | None:
    said = ctx.session.client_params
    return None if said is None else said.client_info


def can_fill_forms(ctx: Context) -> bool:
    """Whether the client shows elicitation forms to its user. An empty capability means forms, as before there were URLs."""
    can = ctx.session.client_capabilities
    asking = None if can is None else can.elicitation
    return asking is not None and (asking.form is not None or asking.url is None)


def can_sample(ctx: Context) -> bool:
    """Whether the client lets its own model write a message for a server."""
    can = ctx.session.client_capabilities
    return can is not None and can.sampling is not None


async def sample(ctx: Context, params: types.CreateMessageRequestParams) -> types.CreateMessageResultWithTools:
    """Ask a 2025-11-25 client for a message, on the stream of the request that is open. Raises MCPError and ValidationError.

    The session's own `create_message` warns that sampling is deprecated. The result's type also takes one block of content.
    """
    request = types.CreateMessageRequest(params=params)
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request, types.CreateMessageResultWithTools, metadata=metadata)


def check_name_header(ctx: Context, name: str) -> None:
    """Raises MCPError when the `Mcp-Name` header of an HTTP request differs from its body: the SDK checks only its own methods."""
    if ctx.request is not None and decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != name:
        raise MCPError(
            code=HEADER_MISMATCH,
            message=f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter",
        )


def new_state_key() -> bytes:
    """For `seal_request_state`: 256 random bits."""
    return os.urandom(KEY_BYTES)


def seal_request_state(server: Server[Any], key: bytes, principal_of: Callable[[Context], str]) -> None:
    """Encrypt the state that InputRequiredResult gives to the client. It is bound to principal, tool and arguments, for a day."""
    security = RequestStateSecurity(keys=[key], ttl=_STATE_TTL_S, bind_principal=principal_of)
    server.middleware.append(RequestStateBoundary(security, default_audience="repertoire"))


class TaskStatusNotification(types.Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """The tasks extension's own notification."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


async def tell_of_task(ctx: Context, task: dict[str, Any]) -> None:
    """Send one notifications/tasks on the stream of the subscription whose request is `ctx`."""
    params = {**task, "_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}
    notification = TaskStatusNotification(params=params)
    await ctx.session.send_notification(notification, ctx.request_id)  # type: ignore[arg-type]  # not in the SDK's union


def subscribed_names(params: types.SubscriptionsListenRequestParams, kind: str) -> list[str]:
    """The names in a subscription's filter under an extension's key."""
    named = (params.notifications.model_extra or {}).get(kind)
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


class Acknowledging(ServerSession):
    """A session whose acknowledgement of a subscription also names an extension's objects."""

    def __init__(self, session: ServerSession, kinds: dict[str, list[str]]) -> None:
        self.__dict__.update(session.__dict__)
        self._kinds = kinds
        self.acknowledged = anyio.Event()

    async def send_notification(
        self, notification: types.ServerNotification, related_request_id: types.RequestId | None = None
    ) -> None:
        if isinstance(notification, types.SubscriptionsAcknowledgedNotification):
            honored = notification.params.notifications.model_dump(by_alias=True, exclude_none=True) | self._kinds
            notification.params.notifications = types.SubscriptionFilter.model_validate(honored)
            await super().send_notification(notification, related_request_id)
            self.acknowledged.set()
        else:
            await super().send_notification(notification, related_request_id)


def legacy_session(ctx: Context) -> str | None:
    """The transport's session of a legacy HTTP or SSE request; None on other transports."""
    if ctx.request is None or is_modern(ctx):
        return None
    header = ctx.request.headers.get("mcp-session-id")
    query = ctx.request.query_params.get("session_id")
    return f"http:{header}" if header else f"sse:{query}" if query else None


def peer(ctx: Context) -> str:
    """The client, for taking turns with others: its HTTP session, or the connection that it keeps."""
    if (session := legacy_session(ctx)) is not None:
        return session
    client = None if ctx.request is None else ctx.request.client
    return "http" if client is None else f"http {client.host} {client.port}"


def bound_sessions(server: Server[Any], most: int) -> None:
    """Close the session that was idle for longest when another is opened beyond `most`. Call it after `streamable_http_app`.

    The SDK refuses the new client instead. An abandoned session expires half an hour after its last request.
    """
    manager = server.session_manager
    admit, manager.max_sessions = manager._admit_session, most

    def admit_session(requestor: Any) -> Any:
        while len(manager._server_instances) >= most and (number := _longest_idle(manager)):
            transport = manager._server_instances.pop(number)
            manager._session_owners.pop(number, None)
            assert transport.idle_scope is not None
            transport.idle_scope.cancel()
        return admit(requestor)

    manager._admit_session = admit_session  # type: ignore[method-assign]  # the SDK has no parameter for it


def _longest_idle(manager: StreamableHTTPSessionManager) -> str | None:
    """The session that would expire first; a session that serves a request or has an open stream never does."""
    ends = (
        (t.idle_scope.deadline, number) for number, t in manager._server_instances.items() if t.idle_scope is not None
    )
    return min((end for end in ends if end[0] < math.inf), default=(0.0, None))[1]


def watch(server: Server[Any], observe: Callable[[Context], None]) -> None:
    """Call `observe` with every request and notification before it is handled."""

    async def middleware(ctx: Context, call_next: CallNext) -> HandlerResult:
        observe(ctx)
        return await call_next(ctx)

    server.middleware.append(middleware)


def correct_capabilities(server: Server[Any]) -> None:
    """Promise notifications for the lists of tools and resources, in both revisions. The prompts never change, and a single resource
    can be subscribed to only with a handler for it. The SDK would promise both on 2026-07-28, because list changes can be listened to."""
    derived = server.get_capabilities

    def capabilities(*args: Any, **named: Any) -> types.ServerCapabilities:
        promised = derived(*args, **named)
        if promised.tools is not None:
            promised.tools.list_changed = True
        if promised.resources is not None:
            promised.resources.list_changed = True
            promised.resources.subscribe = server.get_request_handler("resources/subscribe") is not None
        if promised.prompts is not None:
            promised.prompts.list_changed = False
        return promised

    server.get_capabilities = capabilities  # type: ignore[method-assign]  # the SDK has no parameter for it


def connection_of(ctx: Context) -> Connection:
    return ctx.session._connection


def _cancelled_by_client(ctx: Context) -> bool:
    requested = getattr(ctx.session._request_outbound, "cancel_requested", None)
    return requested is not None and requested.is_set()
