"""Fake house: a daemon with the real socket, lock and lifetime, and a minimal MCP server behind them.

Started as a process of its own: `fake_house.py --home DIR`. It appends each received line, with its
process id, to HOME/heard.jsonl. So a test sees the lines that a new daemon received. FAKE_* variables set its version and idle time.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from repertoire.daemon.greeting import Hello
from repertoire.daemon.home_lock import HomeInUse, Owner
from repertoire.daemon.line_channel import LineChannel
from repertoire.daemon.server import EX_TEMPFAIL, serve_home, set_on_signal


class Refused(Exception):
    code, message, hint = "refused", "no", "ask differently"


class FakeHouse:
    def __init__(self, home: str) -> None:
        self.home = home
        self.live = 0
        self.wanted_env: tuple[str, ...] = ()

    def sleeping_runs(self) -> int:
        return 0

    def live_runs(self) -> int:
        return self.live

    def lost_file(self) -> str | None:
        return None

    async def answer_all(self, why: str) -> None:
        self.heard({"why": why})

    async def status(self) -> dict[str, Any]:
        return {}

    async def refuse_all(self, lost: str) -> None:
        self.heard({"lost": lost})

    def heard(self, what: dict[str, Any]) -> None:
        with open(os.path.join(self.home, "heard.jsonl"), "a") as file:
            file.write(json.dumps({"pid": os.getpid(), **what}) + "\n")

    async def serve_mcp(self, hello: Hello, lines: LineChannel) -> None:
        async with anyio.create_task_group() as tasks:
            while (line := await lines.receive()) is not None:
                message = json.loads(line)
                self.heard({"method": message.get("method"), "id": message.get("id"), "session": hello.session})
                tasks.start_soon(self.answer, message, lines)
            tasks.cancel_scope.cancel()

    async def answer(self, message: dict[str, Any], lines: LineChannel) -> None:
        method, number = message.get("method"), message.get("id")
        if number is None or method == "subscriptions/listen":
            return
        result: dict[str, Any] = {"pid": os.getpid()}
        if method == "initialize":
            result["protocolVersion"] = message["params"]["protocolVersion"]
        elif method == "tools/call":
            result |= await self.call(number, message["params"], lines)
        elif method == "crash":
            os._exit(9)
        elif method == "echo":
            result["params"] = message["params"]
        await lines.send(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}, separators=(",", ":")).encode())

    async def call(self, number: str | int, params: dict[str, Any], lines: LineChannel) -> dict[str, Any]:
        arguments = params.get("arguments", {})
        self.live += 1
        try:
            if arguments.get("noted", True):
                lines.note_open(number, f"workflow:{params['name']}:01")
                self.heard({"noted": number})
            await anyio.sleep(arguments.get("sleep_s", 0))
        finally:
            self.live -= 1
        return {"content": []}

    async def control(
        self, verb: str, args: dict[str, Any], hello: Hello, emit: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> Any:
        self.heard({"verb": verb})
        if verb == "count":
            for n in range(args["to"]):
                await emit({"n": n})
            return args["to"]
        if verb == "refuse":
            raise Refused
        if verb == "live":
            self.live += args["by"]
            return self.live
        if verb == "wait":
            try:
                await anyio.sleep_forever()
            finally:
                self.heard({"cancelled": verb})
        raise KeyError(verb)


async def serve(home: str) -> None:
    idle = os.environ.get("FAKE_IDLE_S")
    with Owner(home, kind="daemon", version=_version()) as owner:
        house = FakeHouse(owner.home)
        house.heard({"started": True, "version": owner.version})
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(set_on_signal, stop)
            end = await serve_home(house, owner, idle_exit_s=float(idle) if idle else None, stop=stop)
            house.heard({"ended": end})
            tasks.cancel_scope.cancel()


def _takes_one(path: str) -> bool:
    """Takes one byte from a file. Its size is the number of daemons that are still to be killed while they start."""
    if left := os.path.getsize(path):
        os.truncate(path, left - 1)
    return left > 0


def _version() -> str:
    if "--version" in sys.argv:
        return sys.argv[sys.argv.index("--version") + 1]
    return os.environ.get("FAKE_VERSION", "0.1.0")


def main() -> int:
    logging.basicConfig(level=logging.INFO)
    if os.environ.get("FAKE_FAILS"):
        print("the test said: fail", file=sys.stderr)
        return 3
    if (trouble := os.environ.get("FAKE_TROUBLE")) and os.path.exists(trouble):
        print("the test said: for now", file=sys.stderr)
        return 1
    if (kills := os.environ.get("FAKE_KILLS")) and _takes_one(kills):
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        anyio.run(serve, sys.argv[sys.argv.index("--home") + 1])
    except HomeInUse:
        return EX_TEMPFAIL
    return 0


if __name__ == "__main__":
    sys.exit(main())
