"""The systems that `survive` kills: how each is set going, killed, changed and started again, as its own documentation says.

The five steps are files of their own (five_own.py, five_dbos.py, five_fastmcp.py), copied into the case's folder and changed there.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from repertoire.sandbox.layers import LAYERS

from .servers import Home
from .wire import Failed, StdioClient, call

_HERE = Path(__file__).parent
_TASKS = "io.modelcontextprotocol/tasks"
_NOTICED_S = 5.0
"""So long nobody restarts a killed worker, before a person does: whoever resumes by himself has done so by then."""
_REDELIVERY_S = 2
"""Docket's default is 300 s."""


class Case(NamedTuple):
    killed: Literal["server", "worker"]
    meanwhile: Literal["another published", "the same replaced"]


CASES: Sequence[Case] = (
    Case("server", "another published"),
    Case("server", "the same replaced"),
    Case("worker", "another published"),
    Case("worker", "the same replaced"),
)
CASES_QUICK = [case for case in CASES if case.meanwhile == "the same replaced"]


class Subject(Protocol):
    """One system in one folder, for one case. Entering and leaving starts nothing and ends everything."""

    name: str
    cases: Sequence[Case]

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def begin(self, case: Case) -> None:
        """Set the five steps going."""

    def crash(self, case: Case) -> str:
        """Kill, and publish what the case says. A note for the reader."""
        ...

    def go_on(self, case: Case, patience_s: float) -> str:
        """Start again what a person would have to start, and wait: the last status."""
        ...


def until(happened: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Raises TimeoutError."""
    if not _within(seconds, happened):
        raise TimeoutError(f"in vain waited until {what}")


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def _kill(pid: int) -> None:
    """Returns when the process is gone."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not _lives(pid), f"process {pid} is gone", 10)


def _lives(pid: int) -> bool:
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(said) and not said.startswith("Z")


def _body_pid(folder: Path) -> int:
    return int((folder / "pid").read_text())


class Repertoire:
    """`by_tool`: created with create_workflow, else a file in the home. A server that was killed is started by the next client."""

    cases = CASES

    def __init__(self, folder: Path, *, by_tool: bool) -> None:
        self.name = "Repertoire, created by a tool" if by_tool else "Repertoire, a file"
        self._by_tool = by_tool
        self._folder = folder
        self._home = Home(folder / "home")
        self._home.environ["REPERTOIRE_INLINE_DEADLINE_S"] = "0.1"
        # a created body marks its effects in files, which the sandbox refuses: what is measured is how runs survive
        walls = ",".join(name for name in LAYERS if name != "limits")
        self._home.environ |= {"REPERTOIRE_SANDBOX_WITHOUT": walls, "REPERTOIRE_AUTHORING": "sandboxed"}
        self._source = (_HERE / "five_own.py").read_text().replace("@FOLDER@", str(folder))
        self._client: StdioClient | None = None
        self._run = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._client is not None:
            self._client.__exit__()
        self._home.stop()

    def begin(self, case: Case) -> None:
        if not self._by_tool:
            self._home.add("five", self._source)
        self._client = self._home.front()
        if self._by_tool:
            call(self._client, "create_workflow", name="five", source=self._source)
        self._run = call(self._client, "run_workflow", name="five")["run_id"]

    def crash(self, case: Case) -> str:
        assert self._client is not None
        body = _body_pid(self._folder)
        if self._by_tool:
            self._publish(case)
        if case.killed == "worker":
            _kill(body)
        else:
            self._client.kill()
            _kill(self._home.status()["pid"])
            until(lambda: not _lives(body), "the killed server's worker ends", 10)
        if not self._by_tool:
            self._publish(case)
        return ""

    def _publish(self, case: Case) -> None:
        replaces = case.meanwhile == "the same replaced"
        name, source = ("five", self._source.replace('"v1"', '"v2"')) if replaces else ("six", self._source)
        if not self._by_tool:
            self._home.add(name, source)
            return
        assert self._client is not None
        call(self._client, "create_workflow", name=name, source=source, replace=replaces)

    def go_on(self, case: Case, patience_s: float) -> str:
        if case.killed == "server":
            self._client = self._home.front()
        assert self._client is not None
        end = time.monotonic() + patience_s
        run = call(self._client, "get_run", run_id=self._run)
        while run["status"] == "working" and time.monotonic() < end:
            run = call(self._client, "get_run", run_id=self._run, wait_s=5)
        wanted = [f"v1 {n}" for n in range(1, 6)]
        if run["status"] == "completed" and run["result"] != wanted:
            raise Failed(f"the result is {run['result']}")
        status: str = run["status"]
        return status


class _Program:
    """A process that says its state in lines of JSON, the last of which counts."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.said: dict[str, Any] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.said = json.loads(line)

    @property
    def status(self) -> str:
        return str(self.said.get("status", "unknown"))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Dbos:
    """DBOS on SQLite. Its workflows are functions of the program, so publishing is changing the program's file.

    `version`: application_version is set in its configuration; else it is made from the sources of all workflows. Where the worker is
    killed, it is a process of its own, whose queue the server fills; nothing starts it again but a person.
    """

    cases = CASES

    def __init__(self, folder: Path, python: str, version: str | None = None) -> None:
        self.name = "DBOS" if version is None else "DBOS, application_version set"
        self._folder = folder
        self._words = [] if version is None else [version]
        self._python = python
        self._file = folder / "program.py"
        self._source = (_HERE / "five_dbos.py").read_text()
        self._file.write_text(self._source)
        self._programs: list[_Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for program in self._programs:
            program.end()

    def begin(self, case: Case) -> None:
        if case.killed == "server":
            self._start("direct", "one")
        else:
            self._start("serve", "one")
            until((self._folder / "up").exists, "the worker is up")  # and the tables are made
            self._start("submit", "other")

    def crash(self, case: Case) -> str:
        _kill(_body_pid(self._folder))
        if case.meanwhile == "the same replaced":
            self._file.write_text(self._source.replace('"v1"', '"v2"').replace("is v1", "is v2"))
        else:
            another = 'def six() -> str:\n    return "six"\n\n\nsix = DBOS.workflow(name="six")(six)\n'
            self._file.write_text(self._source.replace("# ANOTHER", another))
        return (
            "the same executor is started by hand"
            if case.killed == "worker"
            else "started again with the same executor id"
        )

    def go_on(self, case: Case, patience_s: float) -> str:
        if case.killed == "worker":
            server = self._programs[-1]
            if _within(_NOTICED_S, lambda: server.status not in _DBOS_GOES_ON):
                return server.status
        program = self._start("serve", "one")
        _within(patience_s, lambda: program.status not in _DBOS_GOES_ON)
        return program.status

    def _start(self, role: str, executor: str) -> _Program:
        program = _Program([self._python, "-P", str(self._file), str(self._folder), role, executor, *self._words])
        self._programs.append(program)
        return program


_DBOS_GOES_ON = ("unknown", "PENDING", "ENQUEUED")


class FastMcp:
    """A background task of FastMCP (docket). In memory the worker is a part of the server; with Redis another process may be one too."""

    def __init__(self, folder: Path, python: str, redis: str | None = None) -> None:
        self.name = "FastMCP, tasks in Redis" if redis else "FastMCP, tasks in memory"
        self.cases = CASES if redis else [case for case in CASES if case.killed == "server"]
        self._folder = folder
        self._python = python
        self._file = folder / "program.py"
        self._source = (_HERE / "five_fastmcp.py").read_text()
        self._file.write_text(self._source)
        self._environ = {**os.environ, "SURVIVE_FOLDER": str(folder)}
        if redis:
            self._environ |= {
                "FASTMCP_DOCKET_URL": redis, "FASTMCP_DOCKET_NAME": folder.name,
                "FASTMCP_DOCKET_REDELIVERY_TIMEOUT": f"PT{_REDELIVERY_S}S",
            }  # fmt: skip
        self._redis = redis
        self._client: StdioClient | None = None
        self._second: StdioClient | None = None
        self._task = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def begin(self, case: Case) -> None:
        self._client = self._serve()
        self._task = self._client.ask("tools/call", name="five", arguments={})["taskId"]

    def crash(self, case: Case) -> str:
        assert self._client is not None
        if case.killed == "worker":
            self._second = self._serve()
        self._client.kill()
        if case.meanwhile == "the same replaced":
            self._file.write_text(self._source.replace('"v1"', '"v2"'))
        else:
            another = 'async def six() -> str:\n    return "six"\n\n\nmcp.tool(six, task=True)\n'
            self._file.write_text(self._source.replace("# ANOTHER", another))
        if not self._redis:
            return "the task is gone with its server"
        who = "a second worker, which was there before" if case.killed == "worker" else "the server, started again"
        return f"redelivered after {_REDELIVERY_S} s (its default: 300 s) to {who}"

    def go_on(self, case: Case, patience_s: float) -> str:
        client = self._second or self._serve()
        status = ""

        def ended() -> bool:
            nonlocal status
            try:
                status = client.ask("tasks/get", taskId=self._task)["status"]
            except Failed:
                status = "unknown task"
            return status != "working"

        _within(patience_s, ended)
        return status

    def _serve(self) -> StdioClient:
        client = StdioClient([self._python, "-P", str(self._file)], self._environ, extensions=[_TASKS])
        self._stack.callback(client.kill)
        client.ask("tools/list")
        return client


@contextmanager
def redis_server(program: str, folder: str) -> Iterator[str]:
    """A Redis of our own: its URL."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), "Redis listens", 10)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
