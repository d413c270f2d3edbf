"""ToolRuns: runs that call tools while workers and daemons are killed. The tools are outside and count; no recorded call may be made again.

1. Each run makes six calls: a web server, an MCP server over stdio and a command, alone, at once, and by a sub-workflow. Half of the runs are
   of a file, half of a created workflow.
2. A tool writes `+ NAME` into the traces when a call arrives and `= NAME` when it is done. The driver writes `$ NAME` once the call is seen
   recorded. After that no `+ NAME` may follow.
3. Before, a call may be made again: at most once for each kill, and with the same idempotency key.
4. A tool drops a call whose daemon has died already. Else the call of a dead daemon could come after that of its successor.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from .checks import Record, left_in_the_end
from .clients import PATIENCE_S, Front, Reply, clean_environ
from .faults import Faults, Traces
from .processes import start

RUNS: Final = 200
_SERVER: Final = Path(__file__).with_name("counting_server.py")
_UNFINISHED: Final = "SELECT id, status FROM run WHERE status NOT IN ('completed', 'failed', 'cancelled')"
_AT_ONCE: Final = 20
_CALLS_PER_FAULT: Final = 8
"""On average. By calls and not by time: so a fast machine has as many faults."""
_LONGEST_S: Final = 240.0
"""For one batch."""
_KINDS: Final = {"worker": 6.0, "zygote": 1.0, "daemon": 3.0}
_SETTINGS: Final = """\
workers = 4
ready_workflows = false
search_model = "off"
max_deaths = 10000
max_server_deaths = 10000
idle_exit_s = 60
fetch_private_hosts = ["{host}"]
untrusted_tools = ["fetch", "counter.*", "tick"]
untrusted_workflows = ["below"]
"""
_BODY: Final = '''"""Call tools one by one and at once."""

import asyncio


async def run(url: str, name: str) -> list[str]:
    """Call tools one by one and at once."""
    got = [await tools.fetch(url=f"{url}/{name}.1")]
    got += await asyncio.gather(
        tools.counter.add(name=f"{name}.2"),
        tools.tick(name=f"{name}.3"),
        tools.fetch(url=f"{url}/{name}.4"),
        workflows.below(name=f"{name}.5"),
    )
    return [*got, tools.counter.add(name=f"{name}.6")]
'''
_BELOW: Final = '''"""Call a tool."""


def run(name: str) -> str:
    """Call a tool."""
    return tools.counter.add(name=name)
'''
_CALLS: Final = 6
_SCRIPT: Final = """\
#!/bin/sh
[ "$PPID" = "$DRIVER" ] && exit 3
echo "+ $1" >> "$TRACES"
sleep 0.1
echo "= $1" >> "$TRACES"
printf %s "$1"
"""
"""The parent of a command whose daemon is dead is the driver."""
_COMMAND: Final = """\
name: tick
description: Count a name
command: {script}
timeout: 60
env: {{TRACES: "{traces}", DRIVER: "{driver}"}}
schema:
  positional:
    - {{name: name, type: string, required: true}}
"""


class ToolRuns:
    """One home, its tools and its runs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.home, self._folder = folder / "home", folder
        self._chance = random.Random(seed)
        self._traces = Traces(folder / "work")
        (folder / "tmp").mkdir()
        self._environ = clean_environ(folder / "tmp")
        self._faults = Faults(self.home, self._traces, self._chance, _KINDS, [])
        self._recorded: set[tuple[str, str]] = set()
        self._web = _Web(self._traces)
        self._front: Front | None = None
        self._strike_at = self._next_strike()

    def play(self, runs: int) -> list[str]:
        """What is wrong, in sentences."""
        names = [f"t{number}" for number in range(runs)]
        try:
            self._prepare()
            for first in range(0, runs, _AT_ONCE):
                for name in names[first : first + _AT_ONCE]:
                    self._order(name)
                    self._look()
                self._settle()
            self._stop()
        finally:
            self._web.close()
        done = dict(self._faults.done)
        print(f"{runs} runs, {_CALLS * runs} calls of tools, {self._traces_of('+').total()} arrived; killed: {done}")
        return [*self._violations(names), *left_in_the_end(self.home, self._folder / "tmp")]

    def _prepare(self) -> None:
        for folder in ("workflows", "tools"):
            (self.home / folder).mkdir(parents=True)
        self.home.chmod(0o700)
        (self.home / "repertoire.toml").write_text(_SETTINGS.format(host=self._web.host))
        (self.home / "workflows" / "calls.py").write_text(_BODY)
        (self.home / "workflows" / "below.py").write_text(_BELOW)
        script = self._folder / "tick.sh"
        script.write_text(_SCRIPT)
        script.chmod(0o700)
        words = {"script": script, "traces": self._traces.path, "driver": os.getpid()}
        (self.home / "tools" / "tick.yaml").write_text(_COMMAND.format(**words))
        server = {"command": sys.executable, "args": ["-I", "-S", str(_SERVER), str(self._traces.path)]}
        (self.home / "mcp.json").write_text(json.dumps({"mcpServers": {"counter": server}}))
        reply = self._ask("create_workflow", name="made_calls", source=_BODY)
        if (reply.payload or {}).get("name") != "made_calls":
            raise RuntimeError(f"made_calls could not be created: {reply}")

    # Runs and their trouble.

    def _order(self, name: str) -> None:
        """Begin a run. After a lost answer it is begun once more with the same key, and so is the same run."""
        workflow = self._chance.choice(["calls", "made_calls"])
        arguments = {"url": self._web.url, "name": name}
        reply = self._ask("run_workflow", name=workflow, arguments=arguments, idempotency_key=name, wait_s=0)
        if reply.is_error:
            raise RuntimeError(f"{name} was refused: {reply}")

    def _ask(self, tool: str, **arguments: Any) -> Reply:
        """Call until there is an answer: a client starts the daemon that was killed."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            if self._front is None or self._front.ended:
                self._front = Front(self.home, "tools", self._environ)
            reply = self._front.call(tool, **arguments)
            if not reply.lost and reply.code is None:
                return reply
            if time.monotonic() > give_up:
                raise RuntimeError(f"{tool}: no answer: {reply}")

    def _settle(self) -> None:
        give_up = time.monotonic() + _LONGEST_S
        while not self._is_over():
            if time.monotonic() > give_up:
                raise RuntimeError(f"the runs do not end: {self._query(_UNFINISHED)[:5]}")
            self._look()
            time.sleep(0.01)
        self._faults.tend(finish=True)
        self._note_recorded()

    def _look(self) -> None:
        """Note what is recorded. Kill something each time that some more calls are."""
        self._note_recorded()
        self._faults.tend()
        if len(self._recorded) >= self._strike_at:
            self._strike_at = self._next_strike()
            self._faults.strike()
            self._ask("list_runs", limit=1)

    def _next_strike(self) -> int:
        return len(self._recorded) + self._chance.randint(1, 2 * _CALLS_PER_FAULT)

    def _is_over(self) -> bool:
        return not self._query(_UNFINISHED)

    def _note_recorded(self) -> None:
        rows = self._query("SELECT run_id, path, result FROM call WHERE op = 'tool' AND result IS NOT NULL")
        news = [text for run_id, path, text in rows if (run_id, path) not in self._recorded]
        self._recorded |= {(run_id, path) for run_id, path, _ in rows}
        if news:
            self._traces.mark("\n".join(f"$ {_name_in(text)}" for text in news))

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.home / 'repertoire.db'}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def _stop(self) -> None:
        if self._front is not None:
            self._front.close()
        command = [sys.executable, "-P", "-m", "repertoire", "stop", "--home", str(self.home)]
        said, complaint = start(command, stderr=subprocess.PIPE, env=self._environ).communicate(timeout=PATIENCE_S)
        if b"stopped" not in said:
            raise RuntimeError(f"`stop` said {said!r} {complaint[-500:]!r}")

    # The judgement.

    def _violations(self, names: list[str]) -> Iterator[str]:
        yield from repeated(self._traces.lines())
        made, finished = self._traces_of("+"), self._traces_of("=")
        calls = {f"{name}.{number}" for name in names for number in range(1, _CALLS + 1)}
        if strange := (calls ^ finished.keys()):
            yield f"these calls are missing, or nobody asked for them: {sorted(strange)[:5]}"
        most = 1 + self._faults.done.total()
        yield from (f"{call} was made {count} times" for call, count in made.items() if count > most)
        keys: dict[str, set[str]] = defaultdict(set)
        for line in self._traces.lines():
            if line.startswith("key "):
                keys[line.split()[1]].add(line.split()[2])
        yield from (
            f"{call} was made with several keys: {several}" for call, several in keys.items() if len(several) > 1
        )
        yield from self._record(names)

    def _record(self, names: list[str]) -> Iterator[str]:
        connection = sqlite3.connect(f"file:{self.home / 'repertoire.db'}?mode=ro", uri=True)
        try:
            record = Record(connection)
            yield from (*record.events(), *record.leftovers())
        finally:
            connection.close()
        tops = [row for row in record.rows if row.parent is None]
        expected = [[f"{name}.{number}" for number in range(1, _CALLS + 1)] for name in names]
        if sorted(expected) != sorted(row.result or [] for row in tops):
            wrong = [f"{row}: {row.result} {row.error!r}" for row in tops if row.result not in expected]
            yield f"{len(tops)} runs for {len(names)}; of these have other results: {wrong[:5]}"

    def _traces_of(self, mark: str) -> Counter[str]:
        return Counter(line[2:] for line in self._traces.lines() if line.startswith(f"{mark} "))


def repeated(lines: list[str]) -> Iterator[str]:
    """Calls that were made again after they had been seen recorded."""
    recorded: dict[str, int] = {}
    for at, line in enumerate(lines, 1):
        mark, _, name = line.partition(" ")
        if mark == "$":
            recorded.setdefault(name, at)
        elif mark == "+" and name in recorded:
            yield f"{name} was made again in line {at} of the traces; in line {recorded[name]} it was recorded"


def _name_in(text: str) -> str:
    found = re.search(r"t\d+\.\d+", text)
    assert found is not None, text
    return found[0]


class _Web:
    """A web server whose every path is a call: the path is its name."""

    def __init__(self, traces: Traces) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").encode()
                if _has_left(self.connection):
                    return
                traces.mark(f"+ {name.decode()}")
                time.sleep(0.1)
                traces.mark(f"= {name.decode()}")
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain")
                    self.send_header("Content-Length", str(len(name)))
                    self.end_headers()
                    self.wfile.write(name)
                except OSError:
                    pass  # its daemon was killed

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _has_left(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
