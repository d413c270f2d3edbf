"""What is measured: commands of the servers, temporary homes with workflows in them, and the end of every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from repertoire.home import database_path
from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import WorkflowVersion, version_hash
from repertoire.store import open_store

from .bare import INPUT, OUTPUT
from .wire import StdioClient

_HERE = Path(__file__).parent
_SCRIPT = Path(sys.executable).with_name("repertoire")
REPERTOIRE = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-P", "-m", "repertoire"]
"""As a host's configuration names it."""

ECHO = '''"""Give the text back, repeated as often as asked."""


def run(text: str, times: int = 1) -> dict[str, str]:
    """Give the text back, repeated as often as asked.

    Args:
        text: Any text.
        times: How often to repeat it.
    """
    return {"text": text * times}
'''
TALLY = '''"""Count the calls of this session."""

from repertoire import session_state


def run() -> int:
    """Count the calls of this session."""
    session_state["calls"] = session_state.get("calls", 0) + 1
    return session_state["calls"]
'''


def bare_command(way: str, tools: int | Path = 1) -> list[str]:
    return [sys.executable, "-P", str(_HERE / "bare.py"), way, str(tools)]


def fastmcp_command(python: str, way: str, tools: int = 1) -> list[str]:
    return [python, "-P", str(_HERE / "fast.py"), way, str(tools)]


class Home:
    """A home of its own, and an environment in which nothing of the user's settings shows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("REPERTOIRE_")}
        (path / "workflows").mkdir(parents=True)
        path.chmod(0o700)

    def add(self, name: str, source: str) -> None:
        (self.path / "workflows" / f"{name}.py").write_text(source)

    def add_echoes(self, count: int) -> None:
        """`count` files that differ, the first of them named echo."""
        self.add("echo", ECHO)
        for n in range(1, count):
            self.add(f"echo_{n:03d}", ECHO.replace("Give the text back", f"Give text {n} back"))

    def command(self, *words: str) -> list[str]:
        return [*REPERTOIRE, *words, "--home", str(self.path)]

    def front(self, *words: str) -> StdioClient:
        """`repertoire serve`, as a host starts it."""
        return StdioClient(self.command("serve", *words), self.environ)

    def stop(self) -> None:
        """End the daemon, if there is one; gives back when the home is free."""
        subprocess.run(self.command("stop", "--force"), check=True, capture_output=True, timeout=60, env=self.environ)

    def status(self) -> dict[str, Any]:
        done = subprocess.run(
            self.command("status", "--json"), check=True, capture_output=True, timeout=60, env=self.environ
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@contextmanager
def a_home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="rb-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        try:
            yield home
        finally:
            home.stop()


@contextmanager
def http_server(command: Sequence[str], environ: dict[str, str]) -> Iterator[str]:
    """The URL that the server says, on whichever output; the process ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ)
    assert process.stdout is not None
    try:
        yield _said_url(process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _said_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if (start := line.find("http://127.0.0.1:")) >= 0:
            url = "http://" + line[start + 7 :].split("/")[0].strip()
            _until_open(url)
            threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop the server
            return url
    raise RuntimeError(f"the server did not start: {said}")


def _until_open(url: str, seconds: float = 30.0) -> None:
    """FastMCP says its port before it listens."""
    import socket

    host, _, port = url.removeprefix("http://").partition(":")
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def publish_many(home: Home, count: int) -> None:
    """Put `count` created workflows straight into the Store: a client would need one inspection each."""

    async def main() -> None:
        async with open_store(database_path(str(home.path))) as store, anyio.create_task_group() as tasks:
            for n in range(count):
                tasks.start_soon(store.publish, _version(f"echo_{n:05d}"))

    anyio.run(main)


def _version(name: str) -> WorkflowVersion:
    description = "Give the text back, repeated as often as asked."
    return WorkflowVersion(
        hash=version_hash(name, ECHO, description, Options(), ()), name=name, origin="tool", source=ECHO,
        description=description, options=Options(), input_schema=INPUT, output_schema=OUTPUT,
    )  # fmt: skip


def rss_mib(pid: int) -> float:
    """Resident memory of one process in MiB."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True, text=True)
    return int(said.stdout) / 1024
