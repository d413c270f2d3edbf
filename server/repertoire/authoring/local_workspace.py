"""LocalWorkspace: a workspace in a temporary folder, for bodies that run without a server; used by LocalDoors and by `agents` in a script.

The folder is made by the first call, and deleted with the object or at the end of the process. A command gets the process's environment.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from typing import Any

from ..values.records import CallError
from ..workspace import operations
from ..workspace.faults import BUILTIN, WorkspaceFault
from ..workspace.folder import Folder
from ..workspace.shell import Command, Shell, ShellLimits


class LocalWorkspace:
    def __init__(self) -> None:
        self._folder: Folder | None = None

    def perform(self, op: str, args: dict[str, Any]) -> Any:
        """Carry out a file operation or a command. Raises the CallError that the server gives."""
        try:
            if op != "shell":
                return operations.perform(self._open(), op, args)
            env = {**os.environ, **(args.get("env") or {})}
            command = Command(
                args["command"], args.get("cwd") or ".", env, args.get("timeout"), make=bool(args.get("make"))
            )
            return Shell(self._open(), command, ShellLimits()).run()
        except WorkspaceFault as fault:
            kind = BUILTIN[fault.code].__name__
            raise CallError(fault.message, code=fault.code, type=kind, hint=fault.hint) from None

    def _open(self) -> Folder:
        if self._folder is None:
            path = tempfile.mkdtemp(prefix="repertoire-workspace-")
            weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
            self._folder = Folder(path)
        return self._folder
