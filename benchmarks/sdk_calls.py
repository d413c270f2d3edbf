"""The yardstick of `tools`: the SDK's own client on a stdio server, in a process of its own. Each line of stdin is a number of calls.

It answers with the median time of one call, in microseconds.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from types import TracebackType

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

ECHO = {"text": "hi"}


class SdkClient:
    """A process that runs this file over the server of `command`."""

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def __enter__(self) -> SdkClient:
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, *self._command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=30)

    def call(self, count: int) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


async def main(command: list[str]) -> None:
    server = StdioServerParameters(command=command[0], args=command[1:])
    async with Client(stdio_client(server)) as client:
        await client.call_tool("echo", ECHO)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            times = []
            for _ in range(int(line)):
                began = time.perf_counter()
                await client.call_tool("echo", ECHO)
                times.append(time.perf_counter() - began)
            sys.stdout.write(f"{median(times) * 1e6}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:])
