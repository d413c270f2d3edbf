"""Load: 500 HTTP clients, half of which reset their connection in mid-call, then a mix for minutes; an interactive client beside them.

Memory and descriptors of the server have to stay flat, and no client that reset nothing may see an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

from .clients import PATIENCE_S, Front, clean_environ
from .clients import http_request as request_of
from .processes import processes, start

_CLIENTS: Final = 500
_CONNECTING: Final = 50
"""Connections being opened at once: the question is calls, not the kernel's backlog."""
_MIXED: Final = 32
_SAMPLE_S: Final = 2.0
_MEMORY_SLACK: Final = 1.15
_MEMORY_SLACK_MB: Final = 20.0
_FILES_SLACK: Final = 12
"""Between one sample and another: as many connections and workers may be about to go."""

_SOURCES: Final = {
    "echo": '"""Give the text back."""\n\ndef run(text: str) -> str:\n    return text\n',
    "tally": '"""Count the calls of a session."""\n\ndef run() -> int:\n'
    '    session_state["n"] = session_state.get("n", 0) + 1\n    return session_state["n"]\n',
    "pause": '"""Wait for a moment."""\n\nasync def run(s: float) -> float:\n    await sleep(s)\n    return s\n',
    "twice": '"""Call another workflow twice."""\n\nasync def run(text: str) -> list:\n    import asyncio\n'
    "    return await asyncio.gather(*(workflows.echo(text=text) for _ in range(2)))\n",
    "big": '"""Give a long text."""\n\ndef run(n: int) -> str:\n    return "x" * n\n',
}


class Sample(NamedTuple):
    at: float
    memory_mb: float
    files: int


class Load:
    """One server under load."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.home, self._folder, self._chance = folder / "home", folder, chance
        (folder / "tmp").mkdir()
        (self.home / "workflows").mkdir(parents=True)
        self.home.chmod(0o700)
        (self.home / "repertoire.toml").write_text('ready_workflows = false\nsearch_model = "off"\n')
        for name, source in _SOURCES.items():
            (self.home / "workflows" / f"{name}.py").write_text(source)
        self.environ = clean_environ(folder / "tmp")
        self.errors: list[str] = []
        self.done: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self._times: list[float] = []
        self._over = threading.Event()

    def run(self, seconds: float) -> list[str]:
        with open(self._folder / "log", "wb") as log:
            command = ["-P", "-m", "repertoire", "serve", "--http", "127.0.0.1:0", "--home", str(self.home)]
            server = start([sys.executable, *command], stderr=log, env=self.environ)
        self._pid = server.pid
        try:
            self._address = self._until_it_listens(server)
            front = Front(self.home, "interactive", self.environ)
            try:
                self._measured(front, seconds)
            finally:
                front.close()
        finally:
            server.terminate()
            server.wait(PATIENCE_S)
        return self._verdict()

    def _measured(self, front: Front, seconds: float) -> None:
        for _ in range(20):
            self._interact(front)
        self._times.clear()
        for _ in range(100):
            self._interact(front)
        self._tell("alone")
        beside = threading.Thread(target=self._beside, args=(front,))
        beside.start()
        try:
            asyncio.run(self._rush())
            self._tell(f"beside {_CLIENTS} clients")
            asyncio.run(self._mix(seconds))
            self._tell(f"beside the mix of {_MIXED}")
        finally:
            self._over.set()
            beside.join()

    # The interactive client.

    def _beside(self, front: Front) -> None:
        while not self._over.wait(0.1):
            self._interact(front)

    def _interact(self, front: Front) -> None:
        began = time.perf_counter()
        reply = front.call("echo", text="hi")
        self._times.append(time.perf_counter() - began)
        if reply.payload is None or reply.payload.get("status") not in ("completed", "working"):
            self.errors.append(f"the interactive client was told {reply}")

    def _tell(self, when: str) -> None:
        times, self._times = sorted(self._times), []
        if times:
            median, worst = statistics.median(times), times[-1]
            print(
                f"interactive call {when}: median {1000 * median:.1f} ms, worst {1000 * worst:.0f} ms of {len(times)}",
                flush=True,
            )

    # 500 at once, half of them gone in the middle.

    async def _rush(self) -> None:
        gate = asyncio.Semaphore(_CONNECTING)
        began = time.monotonic()
        await asyncio.gather(*(self._client(gate, resets=n % 2 == 1) for n in range(_CLIENTS)))
        print(f"{_CLIENTS} clients: {time.monotonic() - began:.0f} s, {_in_words(self.done)}", flush=True)

    async def _client(self, gate: asyncio.Semaphore, *, resets: bool) -> None:
        async with gate:
            line = await self._connect()
        if line is None:
            return
        try:
            await self._ask(line, "run_workflow", {"name": "echo", "arguments": {"text": "hi"}})
            if resets:
                await self._reset(line)
            else:
                await self._ask(line, "echo", {"text": "hi"})
        finally:
            line[1].close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        host, _, port = self._address.partition(":")
        try:
            return await asyncio.open_connection(host, int(port))
        except OSError as error:
            self.errors.append(f"no connection: {error}")
            return None

    async def _ask(
        self, line: tuple[asyncio.StreamReader, asyncio.StreamWriter], tool: str, arguments: dict[str, Any]
    ) -> None:
        reader, writer = line
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(_as_sent(self._address, tool, arguments))
                answer = await _answered(reader)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.errors.append(f"{tool}: {error!r}")
            return
        result = answer.get("result") or {}
        if not result or result.get("isError"):
            self.errors.append(f"{tool}: {json.dumps(answer)[:300]}")
        self.done[tool] += 1

    async def _reset(self, line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """A call, and before its answer an RST instead of an end."""
        _, writer = line
        writer.write(_as_sent(self._address, "pause", {"s": 0.5}))
        await asyncio.sleep(self._chance.random() * 0.3)
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        self.done["reset"] += 1

    # The mix.

    async def _mix(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        watch = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._mixed(end) for _ in range(_MIXED)))
        watch.cancel()

    async def _mixed(self, end: float) -> None:
        while time.monotonic() < end:
            line = await self._connect()
            if line is None:
                return
            for _ in range(self._chance.randint(1, 30)):
                if time.monotonic() < end:
                    await self._ask(line, *self._draw())
            if self._chance.random() < 0.2:
                await self._reset(line)
            line[1].close()

    def _draw(self) -> tuple[str, dict[str, Any]]:
        calls: list[tuple[float, str, dict[str, Any]]] = [
            (5, "echo", {"text": "hi"}),
            (2, "tally", {}),
            (1, "twice", {"text": "hi"}),
            (1, "pause", {"s": 0.2}),
            (0.3, "big", {"n": 300_000}),
            (1, "list_runs", {}),
            (1, "list_workflows", {}),
            (1, "search_workflows", {"query": "count the calls of a session"}),
        ]
        _, tool, arguments = self._chance.choices(calls, [weight for weight, _, _ in calls])[0]
        return tool, arguments

    async def _watch(self) -> None:
        began = time.monotonic()
        while True:
            self.samples.append(Sample(time.monotonic() - began, _memory_mb(self._pid), _files(self._pid)))
            await asyncio.sleep(_SAMPLE_S)

    # What it came to.

    def _verdict(self) -> list[str]:
        found = [*self.errors]
        quarter = max(1, len(self.samples) // 4)
        early, late = self.samples[quarter : 2 * quarter] or self.samples, self.samples[-quarter:]
        print(f"done: {_in_words(self.done)}")
        for sample in self.samples[:: max(1, len(self.samples) // 12)]:
            print(f"  {sample.at:6.0f} s  {sample.memory_mb:7.1f} MB  {sample.files:5d} files")
        before, after = (statistics.median(one.memory_mb for one in part) for part in (early, late))
        if after > before * _MEMORY_SLACK + _MEMORY_SLACK_MB:
            found.append(f"memory grows: {before:.0f} MB in the second quarter, {after:.0f} MB in the last")
        before, after = (statistics.median(one.files for one in part) for part in (early, late))
        if after > before + _FILES_SLACK:
            found.append(f"descriptors grow: {before:.0f} in the second quarter, {after:.0f} in the last")
        return found

    def _until_it_listens(self, server: subprocess.Popen[bytes]) -> str:
        give_up = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"http://(127\.0\.0\.1:\d+)", (self._folder / "log").read_text())):
            if time.monotonic() > give_up or server.poll() is not None:
                raise RuntimeError(f"the server did not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.05)
        return found[1]


def play(seconds: float, seed: int) -> list[str]:
    """What is wrong, in sentences."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-load-"))
    found = Load(folder, random.Random(seed)).run(seconds)
    if left := [one for one in processes().values() if one.role != "other"]:
        found.append(f"processes are still there: {left}")
    if found:
        print(f"to look at: {folder}")
    else:
        shutil.rmtree(folder)
    return found


def _as_sent(address: str, tool: str, arguments: dict[str, Any]) -> bytes:
    headers, body = request_of(tool, arguments)
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "Content-Length": str(len(body))}.items())
    return f"POST /mcp HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n".encode() + body


async def _answered(reader: asyncio.StreamReader) -> dict[str, Any]:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if (length := headers.get("content-length")) is not None:
        body = await reader.readexactly(int(length))
    else:
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    if not body.startswith(b"{"):
        body = [line[6:] for line in body.splitlines() if line.startswith(b"data: ") and len(line) > 6][-1]
    if " 200 " not in status:
        raise ValueError(f"{status} {body[:200]!r}")
    answer: dict[str, Any] = json.loads(body)
    return answer


def _memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
