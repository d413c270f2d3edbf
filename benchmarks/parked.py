"""What a parked run costs while it waits: memory of the daemon, and processes, which must be none."""

from __future__ import annotations

import sqlite3
import subprocess

from repertoire.home import database_path

from .figures import Figure, Target
from .servers import Home, a_home, rss_mib
from .survivors import until
from .wire import StdioClient

_ENDS = '''"""Nothing."""


def run() -> None:
    """Do nothing."""
'''
_ASKS = '''"""A question."""

from repertoire import ask


def run() -> str:
    """Ask whether to go on."""
    return ask("Go on?")
'''
_SLEEPS = '''"""A long sleep."""

from repertoire import sleep


def run() -> None:
    """Sleep for a day."""
    sleep(86_400)
'''
_AT_ONCE = 20
"""Calls on their way at once: what a thousand of them take is not what a thousand parked runs keep."""


def measure(runs: int) -> list[Figure]:
    with a_home() as home:
        home.environ["REPERTOIRE_INLINE_DEADLINE_S"] = "0.05"
        for name, source in (("ends", _ENDS), ("asks", _ASKS), ("sleeps", _SLEEPS)):
            home.add(name, source)
        with home.front() as front:
            front.ask("tools/list")  # the database is there
            for name in ("asks", "sleeps", "ends"):  # the last leaves as many idle workers as there may be
                _run(home, front, name, runs // 2)
            before = _below(home.status()["pid"])
            ended = _kept(home, front, "ends", runs)
            parked = {"ask": _kept(home, front, "asks", runs), "sleep": _kept(home, front, "sleeps", runs)}
            after = _below(home.status()["pid"])
    figures = [Figure(f"a run that has ended, of {runs}", "KiB", ended)]
    for what, kept in parked.items():
        figures.append(Figure(f"a run parked by {what}, of {runs}", "KiB", kept, ended, target=Target(4, "value")))
    what = f"processes with {3 * runs} parked runs, over those before"
    figures.append(Figure(what, "", float(after), float(before), target=Target(0, "difference")))
    return figures


def _kept(home: Home, front: StdioClient, name: str, runs: int) -> float:
    """KiB of the daemon for each run."""
    pid = home.status()["pid"]
    before = rss_mib(pid)
    _run(home, front, name, runs)
    return (rss_mib(pid) - before) * 1024 / runs


def _run(home: Home, front: StdioClient, name: str, runs: int) -> None:
    connection = sqlite3.connect(f"file:{database_path(str(home.path))}?mode=ro", uri=True)
    statement = "SELECT count(*) FROM run WHERE workflow = ? AND (status = 'completed' OR parked IS NOT NULL)"

    def settled() -> int:
        count: int = connection.execute(statement, (name,)).fetchone()[0]
        return count

    try:
        wanted = settled() + runs
        for begun in range(0, runs, _AT_ONCE):
            front.call_all("run_workflow", [{"name": name}] * min(_AT_ONCE, runs - begun))
        until(lambda: settled() == wanted, f"{runs} runs of {name} have ended or are parked")
    finally:
        connection.close()


def _below(pid: int) -> int:
    """How many processes this one has begun, and those that they have begun."""
    said = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    children: dict[int, list[int]] = {}
    for line in said.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, waiting = 0, [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += len(below)
        waiting += below
    return found
