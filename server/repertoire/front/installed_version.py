"""Installed version: HOME/newest.json, the newest version that has served a home, and how a front starts it; used by connect.py.

Part of the front, so standard library only. Hosts are upgraded one by one, and each has a front of its own version. Without this file,
an old host's next call would bring back the old daemon after it has handed over to a newer one.
"""

from __future__ import annotations

import json
import os

from repertoire import home as homes
from repertoire.version import as_numbers


class Program:
    """How a daemon of one version is started: the command before `--home`, and the PYTHONPATH that it needs."""

    __slots__ = ("command", "pythonpath", "version")

    def __init__(self, version: str, command: list[str], pythonpath: str) -> None:
        self.version, self.command = version, command
        # A relative path would mean something else in another working folder.
        self.pythonpath = os.pathsep.join(os.path.abspath(path) for path in pythonpath.split(os.pathsep) if path)

    def environment(self) -> dict[str, str]:
        """The environment of this process, with the daemon's own PYTHONPATH."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**kept, "PYTHONPATH": self.pythonpath} if self.pythonpath else kept

    def as_json(self) -> str:
        return json.dumps({"version": self.version, "program": self.command, "pythonpath": self.pythonpath})


def newer_program(home: str, than: str) -> Program | None:
    """The newest program that this home has seen, where that is newer than `than` and still installed."""
    found = _read(home)
    if found is None or as_numbers(found.version) <= as_numbers(than) or not os.access(found.command[0], os.X_OK):
        return None
    return found


def record_program(home: str, ours: Program) -> None:
    """Store ours, unless a newer program is known and still installed. Where it cannot be stored, each front starts its own."""
    if newer_program(home, ours.version) is not None:
        return
    path = homes.newest_path(home)
    try:
        if _text(path) == (text := ours.as_json()):
            return
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    except OSError:
        pass


def _read(home: str) -> Program | None:
    try:
        said = json.loads(_text(homes.newest_path(home)))
        program = Program(str(said["version"]), [str(word) for word in said["program"]], str(said["pythonpath"]))
    except (ValueError, KeyError, TypeError):
        return None
    return program if program.command else None


def _text(path: str) -> str:
    """The file's text; "" where there is none. Only this user can write to the home, so the command in it can be trusted."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""
