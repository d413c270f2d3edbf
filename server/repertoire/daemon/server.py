"""The daemon: accepts connections to a home and ends in order; used by app.py.

`serve_home` runs it. It serves nothing itself: `House` is the app behind it. How long it lives is decided in lifetime.py.
A connection begins with one JSON line, the hello (greeting.py). Then it is either one MCP connection, whose lines go to the House
unchanged, or a control connection, which carries the verbs of the command line (control_connection.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import anyio
import anyio.abc
import msgspec

from repertoire.daemon.control_connection import ControlConnection, Emit
from repertoire.daemon.greeting import Hello, read_env, read_hello
from repertoire.daemon.home_lock import Owner
from repertoire.daemon.lifetime import End, Lifetime
from repertoire.daemon.line_channel import LineChannel, is_gone
from repertoire.version import as_numbers

logger = logging.getLogger("repertoire.daemon")

EX_TEMPFAIL: Final = 75
"""The exit status of "somebody else owns the home": the front goes on waiting instead of giving up."""

_LOOK_AT_HOME_S: Final = 1.0
"""How often the daemon checks that the files at the home's path are still those that it has open."""

END_REASONS: Final[dict[End, str]] = {
    "idle": "nobody needs it",
    "stopped": "it was stopped",
    "forced": "it was stopped",
    "asked": "it was told to end",
}


class House(Protocol):
    """The app, as the daemon sees it."""

    @property
    def wanted_env(self) -> tuple[str, ...]:
        """Names of the environment variables that each client is asked for."""
        ...

    def sleeping_runs(self) -> int:
        """Runs that sleep until a time: the daemon must be there to wake them."""
        ...

    def live_runs(self) -> int:
        """Runs that the daemon must not leave: it stays up, and hands over, only at 0."""
        ...

    def lost_file(self) -> str | None:
        """A file of the home that is open here and was deleted, moved or replaced; None: there is none."""
        ...

    async def answer_all(self, why: str) -> None:
        """The daemon ends: answer every open call within a moment. A run that goes on is answered `working`."""
        ...

    async def refuse_all(self, lost: str) -> None:
        """This file of the home is gone: record nothing any more, and answer every call with that error."""
        ...

    async def serve_mcp(self, hello: Hello, lines: LineChannel) -> None:
        """Serve one MCP connection until its end. Cancelled when the daemon ends."""
        ...

    async def status(self) -> dict[str, Any]:
        """More for the answer to `status`, as JSON values: runs, HTTP doors, the encoder."""
        ...

    async def control(self, verb: str, args: dict[str, Any], hello: Hello, emit: Emit) -> Any:
        """The result of one verb, as JSON values. An error with `code`, `message` and `hint` is passed on with these."""
        ...


class Stop(Protocol):
    """An event that ends the daemon, such as anyio.Event."""

    async def wait(self) -> Any: ...


class _Connection(msgspec.Struct, eq=False):
    mode: str
    session: str
    since: str
    channel: LineChannel

    def public(self) -> dict[str, Any]:
        session, client = self.session or self.channel.session, self.channel.client
        return {"mode": self.mode, "client": client, "session": session or None, "since": self.since}


async def serve_home(house: House, owner: Owner, *, idle_exit_s: float | None, stop: Stop) -> End:
    """Serve every connection until the daemon is idle, stopped or handed over. All connections are closed on return.

    The home stays owned: the caller first parks its runs and closes its store, then leaves the `with Owner`.
    """
    daemon = _Daemon(house, owner, idle_exit_s)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(daemon.accept, tasks)
            tasks.start_soon(daemon.end_with, stop)
            tasks.start_soon(daemon.watch_home)
            await daemon.lifetime.until_end()
            owner.withdraw()  # first: a front that loses its connection must not come straight back here
            await daemon.answer_calls()
            daemon.say_goodbye()
            tasks.cancel_scope.cancel()
    finally:
        owner.close()
    return daemon.lifetime.end or "asked"


async def set_on_signal(stop: anyio.Event) -> None:
    """Turn the first SIGTERM or SIGINT into `stop`; start it as a task, in the main thread."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()
            return


class _Daemon:
    def __init__(self, house: House, owner: Owner, idle_exit_s: float | None) -> None:
        self.house, self.owner = house, owner
        self.lifetime = Lifetime(house, idle_exit_s)
        self._lost: str | None = None
        self.connections: set[_Connection] = set()

    # The end.

    async def end_with(self, stop: Stop) -> None:
        await stop.wait()
        self.lifetime.finish("asked")

    async def watch_home(self) -> None:
        """End when the home is lost: else this server goes on answering out of deleted files."""
        while self._lost is None:
            self._check_home()
            await anyio.sleep(_LOOK_AT_HOME_S)

    def _check_home(self) -> None:
        self._lost = self._lost or self.owner.lost_file() or self.house.lost_file()
        if self._lost is not None and self.lifetime.end is None:
            logger.error("%s was deleted, moved or replaced while it was in use; this server ends", self._lost)
            self.lifetime.finish("lost")

    async def answer_calls(self) -> None:
        if self._lost is not None:
            await self.house.refuse_all(self._lost)
        elif self.lifetime.end == "handed over":
            await self.house.answer_all(f"version {self.lifetime.successor} takes over")
        else:
            await self.house.answer_all(END_REASONS[self.lifetime.end or "asked"])

    def say_goodbye(self) -> None:
        """Tell the fronts why it ends: a front that only listens must not start a stopped daemon again."""
        end = self.lifetime.end
        rest = end in ("stopped", "forced", "asked")
        note = b"#" + msgspec.json.encode({"bye": end, "rest": rest, "to": self.lifetime.successor})
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
        self.lifetime.visitors += 1
        try:
            hello = await self._greet(channel)
            if hello is not None:
                await self._serve_greeted(channel, hello)
        except Exception as error:  # the edge of a connection: the others stay
            if not is_gone(error):
                logger.exception("serving a connection")
        finally:
            await channel.aclose()
            self.lifetime.leave()

    async def _greet(self, channel: LineChannel) -> Hello | None:
        """The hello, answered; None when the connection is to be closed."""
        hello, reason = await read_hello(channel)
        if hello is None:
            await channel.send_json({"ok": False, "retry": False, "reason": reason})
            return None
        if as_numbers(hello.version) > as_numbers(self.owner.version):
            self.lifetime.hand_over_to(hello.version)
        self._check_home()
        if self.lifetime.is_closing:
            self.lifetime.look()
            await channel.send_json({"ok": False, "retry": True, "reason": "handing over"})
            return None
        wanted = self.house.wanted_env
        asked = {"env": wanted} if wanted else {}
        await channel.send_json({"ok": True, "version": self.owner.version, "pid": os.getpid(), **asked})
        return msgspec.structs.replace(hello, env=await read_env(channel, wanted) if wanted else {})

    async def _serve_greeted(self, channel: LineChannel, hello: Hello) -> None:
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
        except Exception as error:  # the client has gone, or it is a fault of ours
            if not (is_gone(error) or channel.too_long):
                raise
        if channel.too_long:  # asked of the channel: the House may have wrapped or caught the error
            refusal = {"code": -32600, "message": "a line is longer than 16 MiB; the connection is closed"}
            await channel.send_json({"jsonrpc": "2.0", "id": None, "error": refusal})

    # Control.

    def begin_verb(self) -> None:
        self.lifetime.open_verbs += 1

    def end_verb(self) -> None:
        self.lifetime.open_verbs -= 1
        self.lifetime.look()

    async def carry_out(self, verb: str, args: dict[str, Any], hello: Hello, emit: Emit) -> Any:
        """The result of one verb. `stop` only tells how the daemon stands: it ends after the answer is written (`after_answer`)."""
        if verb in ("status", "stop"):
            return {**self._status(), **(await self.house.status() if verb == "status" else {})}
        if verb != "http":
            return await self.house.control(verb, args, hello, emit)
        self.lifetime.open_verbs -= (
            1  # a door stays open until its client leaves: a newer version does not wait for that
        )
        try:
            return await self.house.control(verb, args, hello, emit)
        finally:
            self.lifetime.open_verbs += 1

    def after_answer(self, verb: str, args: dict[str, Any]) -> None:
        if verb == "stop":
            self.lifetime.finish("forced" if args.get("force") else "stopped")

    def _status(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": self.owner.version,
            "kind": self.owner.kind,
            "home": self.owner.home,
            "started_at": self.owner.started_at,
            "connections": [connection.public() for connection in self.connections],
            "live_runs": self.house.live_runs(),
            "draining": self.lifetime.successor is not None,
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
