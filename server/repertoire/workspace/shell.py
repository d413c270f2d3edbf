"""Shell: runs one command of a run in its workspace, with limits on time, output and disk; used by `operations`.

1. `/bin/sh -c` executes it, with an empty stdin, in a session of its own. At the end its whole process group is killed.
2. Output beyond the limit is read and dropped, so the command goes on. Time and disk beyond the limit end it.
3. The environment is not the server's. It has PATH and the like, and what the run may see.
4. The process group is noted in a file. When a server died under a command, the call is made again, and kills what was left first.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, Final, NamedTuple

from .faults import WorkspaceFault
from .folder import Folder

KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables of the server that a command gets. None of them could be a secret."""
_LIMITED: Final = '{ ulimit -c 0; ulimit -f "$2"; } 2>/dev/null; exec /bin/sh -c "$1"'
_LOOK_S: Final = 0.2
_MEASURE_S: Final = 1.0
_GRACE_S: Final = 2.0
_DRAIN_S: Final = 0.5
"""So long the pipes are read after the command itself has ended: a child in the background may hold them."""


class ShellLimits(NamedTuple):
    seconds: float = 600.0
    """The longest time that a call may ask for."""
    output_bytes: int = 256 * 1024
    """Of stdout, and of stderr."""


class Command(NamedTuple):
    """`cwd` is a path in the workspace, made with `make`. `note` is a file outside of it for the number of the process group."""

    text: str
    cwd: str
    env: Mapping[str, str]
    timeout: float | None
    note: str | None = None
    make: bool = False


class Shell:
    """One command. `run` blocks its thread; `stop` may be called from another one."""

    def __init__(self, folder: Folder, command: Command, limits: ShellLimits) -> None:
        self._folder = folder
        self._command = command
        self._limits = limits
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the command: its call was cancelled."""
        self._stopped.set()

    def run(self) -> dict[str, Any]:
        """{stdout, stderr, exit_code}, and `truncated` where output was dropped. Raises WorkspaceFault."""
        seconds = self._seconds()
        _end_left(self._command.note)
        where = self._folder.real_folder(self._command.cwd, make=self._command.make)
        blocks = str(max(1, self._folder.bounds.bytes // 512))
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _LIMITED, "sh", self._command.text, blocks],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=where,
                env={"HOME": self._folder.root, "PWD": where, "TERM": "dumb", "NO_COLOR": "1", **self._command.env},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # too long, or a NUL in it
            raise WorkspaceFault("no_such_file", f"The command could not be started: {error}.", "Shorten it.") from None
        _note(self._command.note, process.pid)
        try:
            return self._attend(process, seconds)
        finally:
            _end(process)
            _forget(self._command.note)
            self._folder.forget_size()

    def _seconds(self) -> float:
        most = self._limits.seconds
        seconds = most if self._command.timeout is None else self._command.timeout
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= most:
            raise WorkspaceFault(
                "shell_refused",
                f"timeout must be a number of seconds above 0 and at most {most:g}, got {str(seconds)[:50]}.",
                "The operator sets the longest one: max_shell_s.",
            )
        return float(seconds)

    def _attend(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        began, measured, ended = time.monotonic(), time.monotonic(), 0.0
        with selectors.DefaultSelector() as pipes:
            out, err = _Output(self._limits.output_bytes), _Output(self._limits.output_bytes)
            for pipe, output in ((process.stdout, out), (process.stderr, err)):
                assert pipe is not None
                pipes.register(pipe, selectors.EVENT_READ, output)
            while pipes.get_map():
                for key, _ in pipes.select(_LOOK_S):
                    if not key.data.read(key.fileobj):
                        pipes.unregister(key.fileobj)
                now = time.monotonic()
                if process.poll() is not None:
                    ended = ended or now
                    if now - ended > _DRAIN_S:
                        break
                elif now - began > seconds:
                    raise self._timeout(seconds, out, err)
                if self._stopped.is_set():
                    raise WorkspaceFault("shell_timeout", "The command was cancelled.")
                if now - measured > _MEASURE_S:
                    self._check_disk()
                    measured = max(time.monotonic(), now + (time.monotonic() - now) * 10)
            try:
                process.wait(max(0.0, seconds - (time.monotonic() - began)))
            except subprocess.TimeoutExpired:  # it has closed its pipes, and goes on
                raise self._timeout(seconds, out, err) from None
        is_cut = {"truncated": True} if out.dropped or err.dropped else {}
        return {"stdout": out.text, "stderr": err.text, "exit_code": process.returncode, **is_cut}

    def _check_disk(self) -> None:
        self._folder.forget_size()
        if self._folder.is_full():
            bounds = self._folder.bounds
            raise WorkspaceFault(
                "workspace_full",
                f"The command was ended: it filled the workspace with more than {bounds.bytes} bytes or {bounds.files} files.",
                "Write less, or raise max_workspace_bytes or max_workspace_files.",
            )

    def _timeout(self, seconds: float, out: _Output, err: _Output) -> WorkspaceFault:
        said = (err.text or out.text).strip()[-500:]
        return WorkspaceFault(
            "shell_timeout",
            f"The command took longer than {seconds:g} s and was ended, with all its processes.{f' It said last: {said}' if said else ''}",
            "Give it less to do, or a longer timeout=.",
        )


class _Output:
    """What came out of one pipe, up to a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()
        self.dropped = 0

    def read(self, pipe: IO[bytes] | Any) -> bool:
        """False: it has ended."""
        data = os.read(pipe.fileno(), 65536)
        room = self._most - len(self._data)
        self._data += data[:room]
        self.dropped += max(0, len(data) - room)
        return bool(data)

    @property
    def text(self) -> str:
        return self._data.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of its group: SIGTERM if it goes on, then SIGKILL."""
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(
        ProcessLookupError, PermissionError
    ):  # all of it has ended; macOS says "not permitted" for zombies
        os.killpg(group, number)


def _note(path: str | None, group: int) -> None:
    if path is not None:
        with open(path, "w") as file:
            file.write(f"{group} {_start_of(group)}")


def _forget(path: str | None) -> None:
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _end_left(path: str | None) -> None:
    """Kill the group that an earlier server left behind. Its start time shows that the number is still the same process."""
    if path is None or not os.path.exists(path):
        return
    with open(path) as file:
        number, _, start = file.read().partition(" ")
    if number.isdigit() and start and start == _start_of(int(number)):
        _signal_group(int(number), signal.SIGKILL)


def _start_of(pid: int) -> str:
    """The start time of a process; "" where the system does not tell (macOS) or it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


__all__ = ["KEPT", "Command", "Shell", "ShellLimits"]
