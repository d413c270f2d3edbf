"""WorkspaceDoors: the doors through which a body reaches the files and the shell of its run's workspace; `app` gives them to the runner.

1. A file operation blocks a thread of the server and nothing else. Its answer is recorded, so a replay reads no file again.
2. A file that was removed just before a crash is not missed when the call is made again: `_noted` remembers the call.
3. A command runs outside of the worker, and the run gives its place back meanwhile. When the call is cancelled, the command is ended.
4. Untrusted code has files, and no shell: a command runs outside of the sandbox.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

from ..engine.doors import CallFailed, Door, DoorCall, DoorResult
from ..errors import NoShell
from ..limits import Limits
from ..wire import Fault
from ..workspace import operations
from ..workspace.faults import BUILTIN, WorkspaceFault
from ..workspace.folder import Folder
from ..workspace.shell import KEPT, Command, Shell, ShellLimits
from .workspaces import Workspaces

_MOST_SHELLS: Final = 64
"""Commands that run at once, each with a thread that reads its output."""
_MOST_ENV: Final = 200


class WorkspaceDoors:
    def __init__(self, workspaces: Workspaces, limits: Limits) -> None:
        self._workspaces = workspaces
        self._limits = ShellLimits(limits.max_shell_s, limits.max_shell_output_bytes)
        self._threads = anyio.CapacityLimiter(_MOST_SHELLS)

    @property
    def doors(self) -> dict[str, Door]:
        return {**dict.fromkeys(operations.OPERATIONS, self._files), "shell": self._shell}

    async def _files(self, call: DoorCall) -> DoorResult:
        folder = await self._workspaces.of(call.live.run)
        note = self._note(call, "rm") if call.op == "fs.rm" else None
        try:
            return DoorResult(await anyio.to_thread.run_sync(_perform, folder, call, note))
        except WorkspaceFault as fault:
            raise _failed(fault) from None

    async def _shell(self, call: DoorCall) -> DoorResult:
        if not call.live.version.is_trusted:
            raise NoShell(
                "Untrusted code has no shell: a command runs on this machine, outside of the sandbox.",
                "Use harness.fs for files and tools.NAME for programs. A workflow that a person approves with `repertoire approve` has one.",
            )
        folder = await self._workspaces.of(call.live.run)
        try:
            shell = Shell(folder, self._command(call), self._limits)
            running = partial(anyio.to_thread.run_sync, shell.run, abandon_on_cancel=False, limiter=self._threads)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_when_cancelled, shell)
                with anyio.CancelScope(shield=True):
                    answer = await running()
                tasks.cancel_scope.cancel()
        except* WorkspaceFault as faults:
            raise _failed(_first(faults)) from None
        return DoorResult(answer)

    def _command(self, call: DoorCall) -> Command:
        args = call.args
        text, cwd, env = args.get("command"), args.get("cwd") or ".", args.get("env") or {}
        if not isinstance(text, str) or not text.strip():
            raise WorkspaceFault("shell_refused", "shell(command): the command is a text with something in it.")
        if not isinstance(env, dict) or len(env) > _MOST_ENV or not all(map(_is_variable, env.items())):
            raise WorkspaceFault("shell_refused", "env= is a dict of texts, and its names have no '=' in them.")
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        own = {"REPERTOIRE_CALL_KEY": call.key}
        env = {**kept, **call.live.env, **own, **env}
        return Command(text, cwd, env, args.get("timeout"), self._note(call, "shell"), bool(args.get("make")))

    def _note(self, call: DoorCall, what: str) -> str:
        """A file of this one call. Its name is made of nothing that a body can choose."""
        digest = hashlib.sha256(call.path.encode("utf-8", "replace")).hexdigest()[:32]
        return self._workspaces.note_path(call.live.run.id, f"{what}-{digest}")


def _perform(folder: Folder, call: DoorCall, note: str | None) -> Any:
    """`note`: the call deletes. The file is made when there is something to delete, and shows later that it was this call's doing."""
    if note is None:
        return operations.perform(folder, call.op, call.args)
    if call.live.begun_again and os.path.exists(note):
        return operations.perform(folder, call.op, {**call.args, "force": True})
    if folder.describe(call.args["path"]) is not None:
        with open(note, "w"):
            pass
    return operations.perform(folder, call.op, call.args)


async def _stop_when_cancelled(shell: Shell) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        shell.stop()


def _is_variable(item: tuple[Any, Any]) -> bool:
    name, value = item
    texts = isinstance(name, str) and isinstance(value, str)
    return texts and name != "" and "=" not in name and "\0" not in name + value


def _failed(fault: WorkspaceFault) -> CallFailed:
    return CallFailed(Fault(fault.code, BUILTIN[fault.code].__name__, fault.message, hint=fault.hint))


def _first(group: BaseExceptionGroup[WorkspaceFault]) -> WorkspaceFault:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, WorkspaceFault)
    return found
