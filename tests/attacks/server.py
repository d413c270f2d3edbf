"""Server: a real server of a home with canaries around it, two MCP clients, and what has to hold after each attack; used by the tests.

The attacker and the bystander are two hosts, each with a front of its own. Both reach the same daemon.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from support.daemons import Lines, Spoken

from . import interpreters
from .canaries import Canaries

SETTINGS: Final = {
    "REPERTOIRE_WORKERS": "2",
    "REPERTOIRE_WORKER_MEMORY_MB": "300",
    "REPERTOIRE_WORKER_FILE_MB": "16",
    "REPERTOIRE_WORKER_OPEN_FILES": "128",
    "REPERTOIRE_SCRATCH_MB": "16",
    "REPERTOIRE_RUN_TIMEOUT_S": "60",
    "REPERTOIRE_INLINE_DEADLINE_S": "10",
    "REPERTOIRE_INSPECT_TIMEOUT_S": "5",
    "REPERTOIRE_EXAMPLES_TIMEOUT_S": "3",
    "REPERTOIRE_SEARCH_MODEL": "off",
    "REPERTOIRE_READY_WORKFLOWS": "false",
}
"""Small limits: an attack meets them in a second. Those that go on for ever declare a short time of their own: on a busy machine other runs
need the long one, because created code has the lowest priority."""
ECHO: Final = '''"""Give a number back."""


def run(number: int) -> int:
    """Give a number back."""
    return number
'''
_STALLED_S: Final = 18.0
"""A bystander's call that takes so long was not answered. How long calls take is a benchmark: `python -m benchmarks attacks`."""
_ANSWERED_S: Final = 60.0
"""A start on a busy machine takes half of it."""
_GONE_S: Final = 20.0
"""The processes of a run are gone after this, also on a busy machine."""


class Client(Spoken):
    """An MCP host with a front as its child."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=dict(environ), cwd="/"
        )
        assert self.process.stdin and self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.lines, self.number = Lines(self.stdout.fileno()), 0
        self.initialize()

    def receive(self) -> Any:
        line = self.lines.line(_ANSWERED_S)
        return None if line is None else json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()

    def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a tool, with `is_error`. An error of the protocol is {"protocol_error": text}."""
        number = self.ask("tools/call", name=name, arguments=arguments)
        while (answer := self.receive()) is not None and "id" not in answer:
            pass
        assert answer is not None and answer["id"] in (number, None), answer  # None: the request could not be read
        if "error" in answer:
            return {"is_error": True, "protocol_error": answer["error"]["message"]}
        result = answer["result"]
        content = result.get("structuredContent") or json.loads(result["content"][0]["text"])
        return {**content, "is_error": bool(result.get("isError"))}


class Server:
    """`texts`: all that the attacker was answered, in which no secret may be."""

    def __init__(self, folder: Path, user: int | None = None, **environ: str) -> None:
        self.user = user
        self.canaries = Canaries(folder, user, {"echo": ECHO})
        self._environ = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **SETTINGS, **self.canaries.environ(), **environ,
        }  # fmt: skip
        self._command = [*interpreters.command(user), "-P", "-m", "repertoire"]
        serve = [*self._command, "serve"]
        self.attacker = Client(serve, self._environ)
        self.bystander = Client(serve, self._environ)
        self.pid = int(json.loads((self.canaries.home / "daemon.json").read_text())["pid"])
        self.texts: list[str] = []
        self._warm_up()

    def _warm_up(self) -> None:
        """The first runs start the processes that stay."""
        assert self.bystander.call("run_workflow", name="echo", arguments={"number": 1})["result"] == 1
        assert self.run("def run() -> int:\n    return 1\n")["result"] == 1
        assert self.bystander.call("run_workflow", name="echo", arguments={"number": 1})["result"] == 1
        time.sleep(0.5)

    # What the attacker does

    def tool(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        answer = self.attacker.call(name, **arguments)
        self.texts.append(json.dumps(answer))
        return answer

    def run(self, source: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run this code once, to its end."""
        return self.finished(self.tool("run_code", source=source, arguments=arguments or {}))

    def finished(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer of a run at its end. A run that asks is cancelled."""
        while answer.get("status") == "working":
            answer = self.tool("get_run", run_id=answer["run_id"], wait_s=10)
        if answer.get("status") == "input_required":
            answer = self.tool("cancel_run", run_id=answer["run_id"])
        return answer

    @staticmethod
    def outcome(answer: dict[str, Any]) -> str:
        """`completed RESULT`, `failed CODE`, `failed exception TYPE: MESSAGE`, or `refused CODE` without a run."""
        if "protocol_error" in answer:
            return f"refused {answer['protocol_error'][:200]}"
        status, error = answer.get("status"), answer.get("error") or {}
        code = error.get("code")
        if code is None:
            return f"{status} {answer.get('result')!r}"[:400]
        if code == "exception":
            code = f"exception {error.get('type')}: {error.get('message')}"[:300]
        return f"{status if answer.get('run_id') and status else 'refused'} {code}"

    def command_line(self, *words: str) -> str:
        """What the command line prints to a person."""
        done = subprocess.run(
            [*self._command, *words],
            env={**self._environ, "COLUMNS": "200"},
            cwd="/",
            capture_output=True,
            timeout=60,
        )
        assert done.returncode != 2, f"{words} is no command: {done.stderr!r}"
        return (done.stdout + done.stderr).decode()

    def targets(self) -> dict[str, Any]:
        home = self.canaries.home
        return {
            **self.canaries.targets(),
            "daemon": self.pid,
            "database": str(home / "repertoire.db"),
            "control": str(home / "daemon.sock"),
            "log": str(home / "logs" / "daemon.log"),
            "packages": os.path.dirname(os.path.dirname(json.__file__)),
        }

    # What has to hold

    @contextlib.contextmanager
    def bystanders(self) -> Iterator[list[str]]:
        """Another caller makes calls all the while. Gives a list of what went wrong with them, which is complete after the block."""
        problems: list[str] = []
        over = threading.Event()

        def go_on() -> None:
            number = 0
            while number == 0 or not over.wait(0.15):
                number += 1
                began = time.monotonic()
                try:
                    answer = self.bystander.call("run_workflow", name="echo", arguments={"number": number})
                except (AssertionError, OSError, ValueError, TypeError) as error:
                    problems.append(f"the bystander's call {number}: {error!r}")
                    return
                if answer.get("result") != number:
                    problems.append(f"the bystander got {answer}")
                if (taken := time.monotonic() - began) > _STALLED_S:
                    problems.append(f"the bystander waited {taken:.0f} s")

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield problems
        finally:
            over.set()
            thread.join()

    def problems(self) -> list[str]:
        """What is wrong after an attack; nothing if it was contained."""
        found = self.canaries.problems()
        if leaks := [text for text in self.texts if self.canaries.token in text]:
            found.append(f"the secret is in an answer: {leaks[0][:300]}")
        self.texts.clear()
        give_up = time.monotonic() + _GONE_S
        while (left := self.processes()) and time.monotonic() < give_up:
            time.sleep(0.02)
        if left:
            found.append(f"processes are left: {left}")
        return found

    def processes(self) -> list[str]:
        """The processes of untrusted code below the daemon, and those that have lost their parent.

        One fork of each zygote is kept ready for the next run, so that many are none of an attack's.
        """
        table = _processes()
        below, frontier = set[int](), {self.pid}
        while frontier:
            frontier = {pid for pid, one in table.items() if one.parent in frontier} - below
            below |= frontier
        pythons = {
            pid for pid in below if "\0repertoire.worker\0" in table[pid].words and "\0--sandbox\0" in table[pid].words
        }
        started = {pid for pid in pythons if table[pid].words.startswith(_STARTERS)}
        forks = {pid for pid in pythons - started if table[pid].words == table[table[pid].parent].words}
        zygotes = pythons - started - forks
        lost = {
            pid for pid, one in table.items() if one.parent == 1 and one.folder.startswith(str(self.canaries.folder))
        }
        return [f"{pid} of {table[pid].parent}" for pid in sorted(forks | (lost - {self.pid}))][len(zygotes) :]

    def close(self) -> None:
        for client in (self.attacker, self.bystander):
            client.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        give_up = time.monotonic() + _GONE_S
        while os.path.exists(f"/proc/{self.pid}") and time.monotonic() < give_up:
            time.sleep(0.02)
        self.canaries.close()


_STARTERS: Final = tuple(f"{folder}{name}" for folder in ("", "/usr/bin/", "/bin/") for name in ("bwrap", "unshare"))
"""They have the words of the zygote after their own."""


class _Process(NamedTuple):
    parent: int
    folder: str
    words: str


def _processes() -> dict[int, _Process]:
    """Every process that is not dead, by its id."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            with open(f"/proc/{entry}/cmdline") as file:
                words = file.read()
            if fields[0] != "Z":
                table[int(entry)] = _Process(int(fields[1]), os.readlink(f"/proc/{entry}/cwd"), words)
        except OSError:
            continue
    return table
