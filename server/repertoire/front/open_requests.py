"""Open requests: `Pending` remembers a connection's open requests and its beginning; used by the front when a daemon is lost.

Part of the front, so standard library only. It reads and writes no descriptor: lines come in, lines come out.

1. A request that only reads is repeated to the next daemon. A `tools/call` that may have an effect is answered with an error (`LOST`).
2. A new daemon first hears the host's `initialize` again, then its log level and subscriptions, then the repeated requests.
3. A request under which `_MAX_LOSSES` daemons died is answered with an error. Else one bad request would kill daemons for ever.
"""

from __future__ import annotations

import json
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

_MAX_LOSSES = 3
"""A request under which the daemon died this often is answered with an error."""
_CALM_S = 60.0
"""A daemon that lived this long after a request did not die of it: a listener may outlive many daemons."""

LOST = -31000
"""The error code of a call that was open when the daemon ended."""

NO_DAEMON = -31001
"""The error code of a request for which no daemon could be started."""

LISTEN = "subscriptions/listen"
"""This request is open for as long as the host lives; nobody waits for its answer."""

_REPEATABLE_TOOLS = frozenset(
    ("get_run", "get_workflow", "list_runs", "list_workflows", "search_tools", "search_workflows")
)
"""Tools that only read. Their names are reserved, so no workflow has one of them."""

_ANSWER = re.compile(rb'\{"jsonrpc":"2\.0","id":(-?\d+|"[^"\\]*"),"(?:result|error)":')
"""An answer as the daemon writes it. Its id is read without parsing the result, which may be a megabyte."""
_NO_ANSWER = b'{"jsonrpc":"2.0","method":'


class Request:
    """A request that the host waits for. `line` is empty where repeating it could do something twice."""

    __slots__ = ("line", "losses", "method", "run", "since")

    def __init__(self, method: str, line: bytes) -> None:
        self.method, self.line = method, line
        self.run: str | None = None
        self.losses, self.since = 0, time.monotonic()


class Pending:
    """The open requests, and the messages that a new daemon must hear first."""

    def __init__(self) -> None:
        self.open: dict[str | int, Request] = {}
        self._initialize: dict[str, Any] | None = None
        self._initialized = b""
        self._standing: dict[str, dict[str, Any]] = {}
        self._ours: set[str] = set()
        self._count = 0

    def take_from_host(self, line: bytes) -> None:
        for message in _messages(line):
            method, number = message.get("method"), message.get("id")
            if not isinstance(method, str):
                continue  # an answer to a question of the daemon
            params = message.get("params")
            params = params if isinstance(params, dict) else {}
            if _is_id(number):
                own = line if line.lstrip().startswith(b"{") else json.dumps(message).encode()  # one out of a batch
                repeatable = method != "tools/call" or params.get("name") in _REPEATABLE_TOOLS
                self.open[number] = Request(method, own if repeatable else b"")
                self._remember(method, params, message)
            elif method == "notifications/initialized":
                self._initialized = line
            elif method == "notifications/cancelled" and _is_id(params.get("requestId")):
                self.open.pop(params["requestId"], None)

    def _remember(self, method: str, params: dict[str, Any], message: dict[str, Any]) -> None:
        if method == "initialize":
            self._initialize = message
        elif method == "logging/setLevel":
            self._standing[method] = message
        elif method == "resources/subscribe":
            self._standing[f"resource {params.get('uri')}"] = message
        elif method == "resources/unsubscribe":
            self._standing.pop(f"resource {params.get('uri')}", None)

    def take_from_daemon(self, line: bytes) -> bool:
        """Whether the line is for the host; False for the answer to a request of our own."""
        number = _answered_id(line) if self.open or self._ours else None
        if number in self._ours:
            self._ours.discard(str(number))
            return False
        if number is not None:
            self.open.pop(number, None)
        return True

    def note_run(self, request: object, run: str) -> None:
        if _is_id(request) and request in self.open:
            self.open[request].run = run

    def greeting(self) -> bytes:
        """The replayed `initialize`; empty where the host never sent one, or still waits for its answer."""
        if self._initialize is None or any(request.method == "initialize" for request in self.open.values()):
            return b""
        return self._again(self._initialize)

    def rest(self) -> bytes:
        """The lines after the answered greeting: log level, subscriptions and open requests."""
        lines = [self._initialized + b"\n"] if self._initialized else []
        lines += [self._again(message) for message in self._standing.values()]
        for request in self.open.values():
            request.since = time.monotonic()
            lines.append(request.line + b"\n")
        return b"".join(lines)

    def _again(self, message: dict[str, Any]) -> bytes:
        self._count += 1
        own = f"repertoire-front:{self._count}"  # the host's own number may be in use again
        self._ours.add(own)
        return json.dumps({**message, "id": own}).encode() + b"\n"

    def lose(self) -> list[bytes]:
        """The daemon is gone: the errors for requests that must not be repeated."""
        self._ours.clear()
        now = time.monotonic()
        for request in self.open.values():
            request.losses = request.losses + 1 if now - request.since < _CALM_S else 1
        gone = {n: r for n, r in self.open.items() if not r.line or r.losses >= _MAX_LOSSES}
        for number in gone:
            del self.open[number]
        why = "The Repertoire daemon stopped while this call was open."
        return [_lost(number, request, why) for number, request in gone.items()]

    def leave(self) -> list[bytes]:
        """The host ended its input and we exit: errors for the calls that are still open. Their runs go on."""
        why = "The input ended before this call did."
        return [_lost(number, request, why) for number, request in self.open.items() if not request.line]

    def urgent(self) -> bool:
        """Whether the host waits for something that only a daemon can answer."""
        return any(request.method != LISTEN for request in self.open.values())

    def refuse(self, message: str) -> list[bytes]:
        """No daemon runs for now: an error for every open request, except for those that only listen."""
        gone = [number for number, request in self.open.items() if request.method != LISTEN]
        for number in gone:
            del self.open[number]
        return [failure(number, NO_DAEMON, message) for number in gone]

    def give_up(self, message: str) -> list[bytes]:
        """No daemon can be started: an error for every open request."""
        gone, self.open = self.open, {}
        return [failure(number, NO_DAEMON, message) for number in gone]


def failure(number: str | int | None, code: int, message: str, run: str | None = None) -> bytes:
    error: dict[str, Any] = {"code": code, "message": message}
    if run is not None:
        error["data"] = {"run_id": run}
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode() + b"\n"


def _lost(number: str | int, request: Request, why: str) -> bytes:
    if request.line:
        return failure(number, LOST, f"The Repertoire daemon stopped {_MAX_LOSSES} times while this request was open.")
    if request.run is not None:
        known = f"Its run is {request.run}; ask get_run with that id."
    else:
        known = (
            "It may not have begun: list_runs shows the runs that have. Make the call again where there is none; "
            "with the idempotency_key that it had, it is safe to make it again at once."
        )
    return failure(number, LOST, f"{why} {known}", request.run)


def _is_id(value: object) -> TypeGuard[str | int]:
    """`true` is not an id, although Python finds it in a dictionary under 1."""
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _messages(line: bytes) -> list[dict[str, Any]]:
    """The messages of a line: several in a batch of an early client, none where it is not JSON. The daemon answers that."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return [message for message in (said if isinstance(said, list) else [said]) if isinstance(message, dict)]


def _answered_id(line: bytes) -> str | int | None:
    """The id of the request that this line of the daemon answers; None: it is not an answer."""
    if line.startswith(_NO_ANSWER):
        return None
    if found := _ANSWER.match(line):
        number: str | int = json.loads(found[1])
        return number
    for message in _messages(line):
        said = message.get("id")
        if "method" not in message and _is_id(said):
            return said
    return None
