"""Control client: sends verbs to a running daemon over its socket; used by home_client.py and serving.py. It starts no daemon.

The other end is daemon/control_connection.py.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import msgspec

from repertoire import home as homes
from repertoire.daemon.greeting import Hello
from repertoire.daemon.home_lock import read_info
from repertoire.daemon.line_channel import LineChannel

GREETING_S: Final = 30.0
"""An owner that is still opening the home answers when it is open. After this time we take it as hung."""


class NoDaemon(Exception):
    """No daemon listens at the home's socket, or it is just ending. Start one, or do the work in this process."""


class ControlError(Exception):
    """The daemon refused a verb or failed. `message` and `hint` are sentences for the person at the terminal, `details` JSON values."""

    def __init__(self, code: str, message: str, hint: str | None = None, details: dict[str, Any] | None = None) -> None:
        self.code, self.message, self.hint, self.details = code, message, hint, details or {}
        super().__init__(message)


class ControlClient:
    """Verbs over one connection; several may be open at once. Leaving `control_client` cancels those still open."""

    def __init__(self, channel: LineChannel, daemon: dict[str, Any]) -> None:
        self.daemon = daemon
        """The daemon's answer to the hello: {version, pid}."""
        self._channel = channel
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self._ended = False

    async def call(
        self,
        verb: str,
        args: dict[str, Any] | None = None,
        on_event: Callable[[dict[str, Any]], object] | None = None,
    ) -> Any:
        """Do one verb and return its result; each event on the way goes to `on_event`, sync or async.

        Raises ControlError; its code is "daemon_ended" when the connection ended before the answer.
        """
        number = next(self._ids)
        inbox = self._answers[number] = asyncio.Queue()
        try:
            if self._ended:
                raise _ended_error()
            try:
                await self._channel.send_json({"id": number, "verb": verb, "args": args or {}})
            except anyio.BrokenResourceError:
                raise _ended_error() from None
            while "event" in (answer := _require(await inbox.get())):
                if on_event is not None and inspect.isawaitable(outcome := on_event(answer["event"])):
                    await outcome
            if "error" in answer:
                raise ControlError(**answer["error"])
            return answer["result"]
        finally:
            del self._answers[number]

    async def _read(self) -> None:
        while (line := await self._channel.receive()) is not None:
            answer = msgspec.json.decode(line)
            if inbox := self._answers.get(answer["id"]):
                inbox.put_nowait(answer)
        self._ended = True
        for inbox in self._answers.values():
            inbox.put_nowait(None)


@asynccontextmanager
async def control_client(home: str, hello: Hello, *, patience_s: float = GREETING_S) -> AsyncIterator[ControlClient]:
    """A control connection to the home's daemon. Raises NoDaemon, or ControlError when the hello is refused or not answered."""
    homes.make_socket_folder(home)
    try:
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(LineChannel, homes.socket_path(home))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoDaemon(f"no daemon runs for {home}") from error
    try:
        client = ControlClient(channel, await _introduce(channel, home, hello, patience_s))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client._read)
            yield client
            tasks.cancel_scope.cancel()
    finally:
        await channel.aclose()


async def _introduce(channel: LineChannel, home: str, hello: Hello, patience_s: float) -> dict[str, Any]:
    try:
        with anyio.fail_after(patience_s):
            await channel.send_json(msgspec.structs.replace(hello, env={}))
            line = await channel.receive()
    except TimeoutError:
        pid = (read_info(home) or {}).get("pid")
        raise ControlError(
            "no_answer", f"process {pid}, which owns {home}, does not answer", f"Wait for it, or end it: kill {pid}"
        ) from None
    answer = _object(line) if line is not None else {"ok": False, "retry": True}
    if answer.get("ok") is True:
        wanted: Any = answer.get("env")
        if wanted:
            await channel.send_json({name: os.environ[name] for name in wanted if name in os.environ})
        return answer
    if answer.get("retry"):
        raise NoDaemon(f"the daemon of {home} is just ending; try again")
    if "reason" in answer:
        raise ControlError("refused", str(answer["reason"]))
    raise ControlError(
        "refused", f"what answers at {homes.socket_path(home)} is not Repertoire", "End the process that has it open."
    )


def _object(line: bytes) -> dict[str, Any]:
    """The JSON object of a line; an empty one where it is something else."""
    try:
        said = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _require(answer: dict[str, Any] | None) -> dict[str, Any]:
    if answer is None:
        raise _ended_error()
    return answer


def _ended_error() -> ControlError:
    return ControlError("daemon_ended", "the daemon ended before it answered", "`repertoire status` shows what runs.")
