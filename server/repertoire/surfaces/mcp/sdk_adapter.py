"""Every contact with what the MCP SDK keeps private or has no name for, so that an upgrade is mended here.

- legacy connections: the SDK keeps no registry of them, and tools/list_changed must reach each (2026-07-28 ones listen on the bus);
- whether a caller wants progress, which in memory has no token to see it by;
- whether a handler was cancelled by its client, and with which reason, or because the connection is gone;
- capabilities that promise on both eras what is kept, and nothing else: the SDK derives them from which handlers there are;
- what the tasks extension needs and the SDK has not: the check of its routing header, a notification of its own, and its part of a
  subscription's acknowledgement;
- how many sessions of earlier revisions are kept over HTTP, and which go first;
- the sealing of the state that a client brings back with the answers to a question.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.session import ServerSession
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.shared.subscriptions import ResourcesListChanged, ToolsListChanged
from mcp_types.jsonrpc import HEADER_MISMATCH
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Context = ServerRequestContext[Any, Any]

_REASON_WAIT_S = 0.05
"""The dispatcher cancels the handler first and shows the notification, with its reason, right after."""

_REASONS_KEPT = 100
_STATE_TTL_S = 24 * 3600.0
"""How long a client may take to bring back the answers to a question. What the state opens is no more than answer_run does."""
KEY_BYTES = 32


class Changes:
    """Tells every client of both eras that the workflows have changed. One for the whole app."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._legacy: weakref.WeakSet[Connection] = weakref.WeakSet()
        self.listen = ListenHandler(self._bus)

    def remember(self, ctx: Context) -> None:
        if not is_modern(ctx):
            self._legacy.add(_connection(ctx))

    async def announce(self) -> None:
        """Each workflow is a tool and a resource, so both lists have changed."""
        await self._bus.publish(ToolsListChanged())
        await self._bus.publish(ResourcesListChanged())
        async with anyio.create_task_group() as tasks:
            for connection in list(self._legacy):
                tasks.start_soon(_tell, connection)


class Cancellations:
    """Why clients cancelled, kept for the moment in which the cancelled handler asks."""

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
        """Ask from a cancelled handler, shielded: does the client want the work to stop? A lost legacy connection or a client's
        own time-out does not mean that; a closed stream on 2026-07-28 HTTP does."""
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
        """By request number. On 2026-07-28 every message has a Connection of its own, and only streams, which have a server each,
        carry this notification."""
        return self._modern if is_modern(ctx) else self._legacy.setdefault(_connection(ctx), {})


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
    """Whether the client supports an extension; on 2026-07-28 each request says so for itself."""
    can = ctx.session.client_capabilities
    return can is not None and extension in (can.extensions or {})


def client_name(ctx: Context) -> str:
    """What the client calls itself, with its version; "" where it does not say."""
    said = ctx.session.client_params
    info = None if said is None else said.client_info
    return "" if info is None else f"{info.name} {info.version}".strip()[:200]


def can_fill_forms(ctx: Context) -> bool:
    """Whether the client shows elicitation forms to its user. An empty capability means forms, as before there were URLs."""
    can = ctx.session.client_capabilities
    asking = None if can is None else can.elicitation
    return asking is not None and (asking.form is not None or asking.url is None)


def check_name_header(ctx: Context, name: str) -> None:
    """Raises MCPError where the `Mcp-Name` of an HTTP request is not the name in its body: the SDK knows its own methods only."""
    if ctx.request is not None and decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != name:
        raise MCPError(
            code=HEADER_MISMATCH,
            message=f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter",
        )


def new_state_key() -> bytes:
    """For `seal_request_state`: 256 random bits."""
    return os.urandom(KEY_BYTES)


def seal_request_state(server: Server[Any], key: bytes, principal_of: Callable[[Context], str]) -> None:
    """Encrypt what InputRequiredResult gives the client to bring back; bound to principal, tool and arguments, for a day."""
    security = RequestStateSecurity(keys=[key], ttl=_STATE_TTL_S, bind_principal=principal_of)
    server.middleware.append(RequestStateBoundary(security, default_audience="repertoire"))


class TaskStatusNotification(types.Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """The tasks extension's own notification."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


async def tell_of_task(ctx: Context, task: dict[str, Any]) -> None:
    """One notifications/tasks on the stream of the subscription that `ctx` is the request of."""
    params = {**task, "_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}
    notification = TaskStatusNotification(params=params)
    await ctx.session.send_notification(notification, ctx.request_id)  # type: ignore[arg-type]  # not in the SDK's union


def listened(params: types.SubscriptionsListenRequestParams, kind: str) -> list[str]:
    """What a subscription's filter names under an extension's key."""
    named = (params.notifications.model_extra or {}).get(kind)
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


class Acknowledging(ServerSession):
    """A session whose acknowledgement of a subscription also names what an extension will tell of."""

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
    """Whose turn it is where callers take turns: an HTTP client by its session, or by the connection that it keeps."""
    if (session := legacy_session(ctx)) is not None:
        return session
    client = None if ctx.request is None else ctx.request.client
    return "http" if client is None else f"http {client.host} {client.port}"


def bound_sessions(server: Server[Any], most: int) -> None:
    """Let the session that was idle for longest go when another is opened beyond `most`. Call it after `streamable_http_app`.

    The SDK refuses the new client instead, until half an hour after its last request each abandoned session has expired.
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
    """The session whose time would be over first; none that serves a request or has a stream open."""
    ends = (
        (t.idle_scope.deadline, number) for number, t in manager._server_instances.items() if t.idle_scope is not None
    )
    return min((end for end in ends if end[0] < math.inf), default=(0.0, None))[1]


def watch(server: Server[Any], observe: Callable[[Context], None]) -> None:
    """Let `observe` see every request and notification before it is handled."""

    async def middleware(ctx: Context, call_next: CallNext) -> HandlerResult:
        observe(ctx)
        return await call_next(ctx)

    server.middleware.append(middleware)


def promise_what_is_kept(server: Server[Any]) -> None:
    """Tools and resources tell of changes, in both eras. The prompts never change, and a single resource cannot be subscribed to
    unless somebody serves that: the SDK would promise both on 2026-07-28, because list changes can be listened to."""
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


async def _tell(connection: Connection) -> None:
    with anyio.move_on_after(1):  # a client that does not read must not hold up the others
        await connection.send_tool_list_changed()
        await connection.send_resource_list_changed()


def _connection(ctx: Context) -> Connection:
    return ctx.session._connection


def _cancelled_by_client(ctx: Context) -> bool:
    requested = getattr(ctx.session._request_outbound, "cancel_requested", None)
    return requested is not None and requested.is_set()
