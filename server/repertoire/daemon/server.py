"""The daemon: accepts connections to a home, decides how long it lives, and ends in order; used by app.py.

`serve_home` runs it. It serves nothing itself: `House` is the app behind it. A connection begins with one JSON line, the hello
(greeting.py). Then it is either one MCP connection, whose lines go to the House unchanged, or a control connection, which carries
the verbs of the command line (control_connection.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

import anyio
import anyio.abc
import msgspec

from repertoire.daemon.control_connection import ControlConnection, Emit
from repertoire.daemon.greeting import Hello, read_env, read_hello
from repertoire.daemon.home_lock import Owner
from repertoire.daemon.line_channel import LineChannel, is_gone
from repertoire.version import as_numbers

logger = logging.getLogger("repertoire.daemon")

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
            if not is_gone(error):
                logger.exception("serving a connection")
        finally:
            await channel.aclose()
            self._busy_at = time.monotonic()
            self._changed.set()

    async def _greet(self, channel: LineChannel) -> Hello | None:
        """The hello, answered; None when the connection is to be closed."""
        hello, reason = await read_hello(channel)
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
        return msgspec.structs.replace(hello, env=await read_env(channel, wanted) if wanted else {})

    async def _connected(self, channel: LineChannel, hello: Hello) -> None:
        connection = _Connection(hello.mode, hello.session, _now(), channel)
        self.connections.add(connection)
        try:
            if hello.mode == "mcp":
                await self._serve_mcp(channel, hello)
            else:
                await ControlConnection(channel, hello, self).serve()
        finally:
            self.connections.discard(connection)

    async def _serve_mcp(self, channel: LineChannel, hello: Hello) -> None:
        try:
            await self.house.serve_mcp(hello, channel)
        except Exception as error:  # sorted: the client has gone, or ours to report
            if not (is_gone(error) or channel.too_long):
                raise
        if channel.too_long:  # by the channel's own word: the House may have wrapped or eaten the error
            refusal = {"code": -32600, "message": "a line is longer than 16 MiB; the connection is closed"}
            await channel.send_json({"jsonrpc": "2.0", "id": None, "error": refusal})

    # Control.

    def begin_verb(self) -> None:
        self._open_verbs += 1

    def end_verb(self) -> None:
        self._open_verbs -= 1
        self._changed.set()

    async def carry_out(self, verb: str, args: dict[str, Any], hello: Hello, emit: Emit) -> Any:
        """The result of one verb. `stop` only tells how the daemon stands: it ends after the answer is written (`answered`)."""
        return self._status() if verb in ("status", "stop") else await self.house.control(verb, args, hello, emit)

    def answered(self, verb: str, args: dict[str, Any]) -> None:
        if verb == "stop":
            self.finish("forced" if args.get("force") else "stopped")

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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
