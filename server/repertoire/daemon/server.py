"""The daemon's own part: who may connect, how long it lives, how it ends. Not what it serves: that is a House.

A connection begins with one JSON line, the hello, and is from then on either one MCP connection (lines passed to the
House as they are) or a control connection (verbs, for the command line). Above it app.py, below it owner and channel.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

import anyio
import anyio.abc
import msgspec

from repertoire.daemon.home_lock import Owner
from repertoire.daemon.line_channel import LineChannel, LineTooLong
from repertoire.version import as_numbers

logger = logging.getLogger("repertoire.daemon")

HELLO_S: Final = 5.0
"""A client that says nothing for so long is not one of ours."""

IDLE_EXIT_S: Final = 900.0
"""With no connection and no live run for so long, the daemon ends; the next front starts it again."""

EX_TEMPFAIL: Final = 75
"""The exit status of "somebody else owns the home": the front goes on waiting instead of giving up."""

_LOOK_S: Final = 5.0
"""Live runs end without telling the daemon, so it looks: this often when idle, and much more often when draining."""
_LOOK_DRAINING_S: Final = 0.1
_DRAIN_S: Final = 30.0
"""For so long a newer version waits for runs to end by themselves; then they go on there, begun again from their journals."""

_LOOK_AT_HOME_S: Final = 1.0
"""How often it is checked that the home's files are still those that are open here."""

End = Literal["idle", "stopped", "forced", "handed over", "asked", "lost"]
"""Why serve_home returned: nobody came, `stop`, `stop` by force, a newer version, the caller's own stop event, the home is gone."""

_WHY: Final[dict[End, str]] = {
    "idle": "nobody needs it",
    "stopped": "it was stopped",
    "forced": "it was stopped",
    "asked": "it was told to end",
}

Emit = Callable[[dict[str, Any]], Awaitable[None]]


class Hello(msgspec.Struct, frozen=True):
    """The first line of a connection: what it wants to be and who is asking. Paths are absolute."""

    mode: Literal["mcp", "control"]
    version: str
    session: str = "default"
    roots: tuple[str, ...] = ()
    cwd: str | None = None
    env: dict[str, str] = {}
    """Not part of the line itself: told after it, and only the variables that the answer asks for."""


class House(Protocol):
    """What the daemon knows of the app."""

    @property
    def wanted_env(self) -> tuple[str, ...]:
        """Names of the environment variables that each client is asked for."""
        ...

    def sleeping_runs(self) -> int:
        """Runs that are to go on at a time of their own, and for which somebody must be there then."""

    def live_runs(self) -> int:
        """Runs that the daemon must not leave: it stays up, and hands over, only at 0."""
        ...

    def lost_file(self) -> str | None:
        """A file of the home that is open here and was deleted, moved or replaced; None: all are as they were."""
        ...

    async def answer_all(self, why: str) -> None:
        """The daemon ends: answer every open call, within a moment; what goes on is said to go on."""
        ...

    async def refuse_all(self, lost: str) -> None:
        """This file of the home is gone: nothing is recorded or answered any more but that."""
        ...

    async def serve_mcp(self, hello: Hello, lines: LineChannel) -> None:
        """Serve one MCP connection until its end. Cancelled when the daemon ends."""
        ...

    async def control(self, verb: str, args: dict[str, Any], hello: Hello, emit: Emit) -> Any:
        """Do one verb and return what JSON can hold. An error with `code`, `message` and `hint` is passed on so."""
        ...


class Stop(Protocol):
    """An event that ends the daemon, such as anyio.Event."""

    async def wait(self) -> Any: ...


class _Connection(msgspec.Struct, eq=False):
    mode: str
    session: str
    since: str
    channel: LineChannel


class _Request(msgspec.Struct):
    id: str | int
    verb: str
    args: dict[str, Any] = {}


_hello_decoder = msgspec.json.Decoder(Hello)
_env_decoder = msgspec.json.Decoder(dict[str, str])
_request_decoder = msgspec.json.Decoder(_Request)


async def serve_home(house: House, owner: Owner, *, idle_exit_s: float | None = IDLE_EXIT_S, stop: Stop) -> End:
    """Serve everyone who connects, until idle, stopped or handed over; all connections are closed on return.

    The home stays owned: the caller first parks its runs and closes its store, then leaves the `with Owner`.
    """
    daemon = _Daemon(house, owner, idle_exit_s)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(daemon.accept, tasks)
            tasks.start_soon(daemon.end_with, stop)
            tasks.start_soon(daemon.watch_home)
            await daemon.until_end()
            owner.withdraw()  # first, so that whoever loses its connection does not come straight back here
            await daemon.answer_calls()
            daemon.say_goodbye()
            tasks.cancel_scope.cancel()
    finally:
        owner.close()
    return daemon.end or "asked"


async def set_on_signal(stop: anyio.Event) -> None:
    """Turn the first SIGTERM or SIGINT into `stop`; start it as a task, in the main thread."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()
            return


class _Daemon:
    def __init__(self, house: House, owner: Owner, idle_exit_s: float | None) -> None:
        self.house, self.owner, self.idle_exit_s = house, owner, idle_exit_s
        self.end: End | None = None
        self._lost: str | None = None
        self.successor: str | None = None
        self._drains_since: float | None = None
        self.connections: set[_Connection] = set()
        self._greeting = 0
        self._open_verbs = 0
        self._busy_at = time.monotonic()
        self._changed = asyncio.Event()

    # How long it lives.

    async def until_end(self) -> None:
        while not self._ended():
            self._changed.clear()
            with anyio.move_on_after(self._next_look_s()):
                await self._changed.wait()

    def _ended(self) -> bool:
        if self.end is None and self.successor is not None and (self._quiet() or self._has_drained_long()):
            self.end = "handed over"
        if self.connections or self._greeting or self.house.live_runs() > 0 or self.house.sleeping_runs() > 0:
            self._busy_at = time.monotonic()
        elif self.end is None and self.idle_exit_s is not None and self._idle_for() >= self.idle_exit_s:
            self.end = "idle"
        return self.end is not None

    def _next_look_s(self) -> float | None:
        if self.successor is not None:
            return _LOOK_DRAINING_S
        if self.idle_exit_s is None or self.connections:
            return None
        return min(_LOOK_S, max(0.01, self.idle_exit_s - self._idle_for()))

    def _idle_for(self) -> float:
        return time.monotonic() - self._busy_at

    def _has_drained_long(self) -> bool:
        return self._drains_since is not None and time.monotonic() - self._drains_since > _DRAIN_S

    def _quiet(self) -> bool:
        return self.house.live_runs() == 0 and self._open_verbs == 0

    async def end_with(self, stop: Stop) -> None:
        await stop.wait()
        self.finish("asked")

    async def watch_home(self) -> None:
        """A server whose home was deleted would go on answering out of files that nobody will find again."""
        while not self._look_at_home():
            await anyio.sleep(_LOOK_AT_HOME_S)

    def _look_at_home(self) -> bool:
        """Whether it is lost."""
        self._lost = self._lost or self.owner.lost_file() or self.house.lost_file()
        if self._lost is not None and self.end is None:
            logger.error("%s was deleted, moved or replaced while it was in use; this server ends", self._lost)
            self.finish("lost")
        return self._lost is not None

    async def answer_calls(self) -> None:
        if self._lost is not None:
            await self.house.refuse_all(self._lost)
        elif self.end == "handed over":
            await self.house.answer_all(f"version {self.successor} takes over")
        else:
            await self.house.answer_all(_WHY[self.end or "asked"])

    def finish(self, end: End) -> None:
        self.end = self.end or end
        self._changed.set()

    def say_goodbye(self) -> None:
        """Tell the fronts why: a stopped daemon is not to be started again by a front that merely listens."""
        rest = self.end in ("stopped", "forced") or (self.end == "asked" and self.owner.kind != "command")
        note = b"#" + msgspec.json.encode({"bye": self.end, "rest": rest, "to": self.successor})
        for connection in self.connections:
            if connection.mode == "mcp":
                try:
                    connection.channel.write(note)
                except anyio.BrokenResourceError:
                    pass

    # Connections.

    async def accept(self, tasks: anyio.abc.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self.owner.listener)
                _, channel = await loop.connect_accepted_socket(LineChannel, client)
            except OSError:  # out of file descriptors, or gone again: neither is a reason to end
                logger.exception("accepting a connection")
                await anyio.sleep(0.1)
                continue
            tasks.start_soon(self._serve, channel)

    async def _serve(self, channel: LineChannel) -> None:
        self._greeting += 1
        try:
            try:
                hello = await self._greet(channel)
            finally:
                self._greeting -= 1
            if hello is not None:
                await self._connected(channel, hello)
        except Exception as error:  # the edge of a connection: the others stay
            if not _is_gone(error):
                logger.exception("serving a connection")
        finally:
            await channel.aclose()
            self._busy_at = time.monotonic()
            self._changed.set()

    async def _greet(self, channel: LineChannel) -> Hello | None:
        """The hello, answered; None when the connection is to be closed."""
        hello, reason = await _read_hello(channel)
        if hello is None:
            await channel.send_json({"ok": False, "retry": False, "reason": reason})
            return None
        if as_numbers(hello.version) > as_numbers(self.owner.version):
            self.successor = max(self.successor or hello.version, hello.version, key=as_numbers)
            self._drains_since = self._drains_since or time.monotonic()
            self._changed.set()
        self._look_at_home()
        if self.end is not None or (self.successor is not None and self._quiet()):
            self._changed.set()
            await channel.send_json({"ok": False, "retry": True, "reason": "handing over"})
            return None
        wanted = self.house.wanted_env
        asked = {"env": wanted} if wanted else {}
        await channel.send_json({"ok": True, "version": self.owner.version, "pid": os.getpid(), **asked})
        return msgspec.structs.replace(hello, env=await _read_env(channel, wanted) if wanted else {})

    async def _connected(self, channel: LineChannel, hello: Hello) -> None:
        connection = _Connection(hello.mode, hello.session, _now(), channel)
        self.connections.add(connection)
        try:
            if hello.mode == "mcp":
                await self._serve_mcp(channel, hello)
            else:
                await self._serve_control(channel, hello)
        finally:
            self.connections.discard(connection)

    async def _serve_mcp(self, channel: LineChannel, hello: Hello) -> None:
        try:
            await self.house.serve_mcp(hello, channel)
        except Exception as error:  # sorted: the client has gone, or ours to report
            if not (_is_gone(error) or channel.too_long):
                raise
        if channel.too_long:  # by the channel's own word: the House may have wrapped or eaten the error
            refusal = {"code": -32600, "message": "a line is longer than 16 MiB; the connection is closed"}
            await channel.send_json({"jsonrpc": "2.0", "id": None, "error": refusal})

    # Control.

    async def _serve_control(self, channel: LineChannel, hello: Hello) -> None:
        async with anyio.create_task_group() as verbs:
            try:
                while (line := await channel.receive()) is not None:
                    verbs.start_soon(self._answer, channel, hello, line)
            except LineTooLong as error:
                await channel.send_json(_failure(None, "invalid_request", str(error)))
            verbs.cancel_scope.cancel()

    async def _answer(self, channel: LineChannel, hello: Hello, line: bytes) -> None:
        try:
            request = _request_decoder.decode(line)
        except msgspec.DecodeError as error:  # also a ValidationError
            await channel.send_json(_failure(None, "invalid_request", f"not a control request: {error}"))
            return
        self._open_verbs += 1
        try:
            answer = await self._do(request, hello, channel)
        finally:
            self._open_verbs -= 1
            self._changed.set()
        await channel.send(answer)
        if request.verb == "stop":
            self.finish("forced" if request.args.get("force") else "stopped")

    async def _do(self, request: _Request, hello: Hello, channel: LineChannel) -> bytes:
        async def emit(event: dict[str, Any]) -> None:
            await channel.send_json({"id": request.id, "event": event})

        try:
            if request.verb in ("status", "stop"):
                result: Any = self._status()
            else:
                result = await self.house.control(request.verb, request.args, hello, emit)
            return msgspec.json.encode({"id": request.id, "result": result})
        except Exception as error:  # the edge of a request
            if _is_gone(error):
                raise
            if isinstance(code := getattr(error, "code", None), str):
                message, hint = getattr(error, "message", str(error)), getattr(error, "hint", None)
                return msgspec.json.encode(
                    _failure(request.id, code, str(message), hint, getattr(error, "details", None))
                )
            logger.exception("answering the control verb %s", request.verb)
            failure = _failure(request.id, "internal", f"{type(error).__name__}: {error}", "The daemon's log has more.")
            return msgspec.json.encode(failure)

    def _status(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": self.owner.version,
            "kind": self.owner.kind,
            "home": self.owner.home,
            "started_at": self.owner.started_at,
            "connections": [{"mode": c.mode, "session": c.session, "since": c.since} for c in self.connections],
            "live_runs": self.house.live_runs(),
            "draining": self.successor is not None,
        }


async def _read_hello(channel: LineChannel) -> tuple[Hello | None, str]:
    try:
        with anyio.fail_after(HELLO_S):
            line = await channel.receive()
        if line is None:
            return None, "the connection ended before its first line"
        return _hello_decoder.decode(line), ""
    except TimeoutError:
        return None, f"no first line within {HELLO_S:.0f} s"
    except LineTooLong:
        return None, "the first line is longer than 64 KiB"
    except msgspec.DecodeError as error:
        return None, f"the first line is not a hello: {error}"


async def _read_env(channel: LineChannel, wanted: tuple[str, ...]) -> dict[str, str]:
    """The second line of a client that was asked for its environment; empty where it says something else."""
    try:
        with anyio.fail_after(HELLO_S):
            told = _env_decoder.decode(await channel.receive() or b"{}")
    except (TimeoutError, LineTooLong, msgspec.DecodeError):
        logger.warning("a client did not tell the environment variables that it was asked for")
        return {}
    return {name: told[name] for name in wanted if name in told}


def _is_gone(error: BaseException) -> bool:
    """Whether this says only that the client has gone, also where a task group has wrapped it."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_gone(inner) for inner in error.exceptions)
    return isinstance(error, (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, ConnectionError))


def _failure(
    request: str | int | None, code: str, message: str, hint: str | None = None, details: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"id": request, "error": {"code": code, "message": message, "hint": hint, "details": details or {}}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
