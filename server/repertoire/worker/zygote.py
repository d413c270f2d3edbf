"""Zygote: a process with the common modules loaded, which forks workers in milliseconds; started by `engine` through `__main__`.

One zygote forks reused workers for the operator's files. Another one is locked in (`sandbox`) and forks one worker for each run of
untrusted code, each with a scratch folder of its own (`slots`). A zygote never starts a thread.
Only the zygote reaps its children, so only the zygote kills them: until a process is reaped, its id cannot belong to another process.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

from ..signature.schema import Signature, read
from ..wire import Ended, Fork, Forked, Kill, Locked, ZygoteReport, encode, frames, zygote_command_decoder
from . import resource_limits
from .link.channel import leave
from .process import prepare, serve
from .slots import Slots
from .surroundings.comparison import remember

_PR_SET_PDEATHSIG: Final = 1
_COMMON: Final = (
    "asyncio", "collections", "concurrent.futures", "csv", "dataclasses", "datetime", "decimal", "difflib",
    "docstring_parser", "enum", "functools", "hashlib", "itertools", "json", "math", "pathlib", "pydantic", "random",
    "re", "statistics", "string", "subprocess", "tempfile", "textwrap", "time", "typing", "urllib.request", "uuid",
)  # fmt: skip
"""Modules that bodies often import, and modules that our own first run needs."""


_SAMPLE: Final = '''
def run(text: str, count: int = 1, names: list[str] | None = None) -> dict[str, str]:
    """Say it.

    Args:
        text: What.
    """
    return {"text": text * count}
'''


class Zygote:
    """Obeys Fork and Kill from the control socket, and reports Forked and Ended."""

    def __init__(self, control: socket.socket, sandbox: str | None = None, preload: Sequence[str] = ()) -> None:
        """`sandbox`: a `Setup` as JSON; its children run untrusted code. `preload`: modules to load beforehand."""
        self._control = control
        self._slots = None if sandbox is None else Slots(sandbox)
        self._preload = preload
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()
        self._pids: dict[int, int] = {}
        self._pid = os.getpid()
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._wakeup_writes, self._wakeup_reads = socket.socketpair()

    def serve(self) -> NoReturn:
        """Obey commands until the host closes the control socket. Then kill all children and end."""
        _warm(self._preload)
        if self._slots is not None:
            self._report(Locked(self._slots.lock_in()))
        self._wakeup_reads.setblocking(False)
        self._wakeup_writes.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the wake-up descriptor is written
        signal.set_wakeup_fd(self._wakeup_writes.fileno(), warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self._control, self._wakeup_reads], [], [])
            if self._wakeup_reads in ready:
                with contextlib.suppress(BlockingIOError):
                    self._wakeup_reads.recv(4096)
            self._reap()
            if self._control in ready:
                self._obey()

    def _obey(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 65536, 16)
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._kill_all()
            leave()
        self._descriptors.extend(descriptors)
        self._buffer += data
        for frame in frames(self._buffer):
            command = zygote_command_decoder.decode(frame)
            if isinstance(command, Fork):
                self._fork(command, self._descriptors.popleft())
            elif isinstance(command, Kill) and command.id in self._pids:
                _kill(self._pids[command.id])

    def _fork(self, command: Fork, descriptor: int) -> None:
        try:
            scratch = None if self._slots is None else self._slots.take(command.id)
            pid = os.fork()
        except OSError as error:
            self._free(command.id)
            os.close(descriptor)
            print(f"repertoire zygote: cannot fork: {error}", file=sys.stderr)
            self._report(Forked(command.id, 0))  # the host waits for Forked before Ended
            self._report(Ended(command.id, os.EX_OSERR))
            return
        if pid == 0:
            self._become_worker(command, descriptor, scratch)
        os.close(descriptor)
        self._pids[command.id] = pid
        self._report(Forked(command.id, pid, scratch or ""))

    def _become_worker(self, command: Fork, descriptor: int, scratch: str | None) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for sock in (self._control, self._wakeup_writes, self._wakeup_reads):
                sock.close()
            for waiting in self._descriptors:
                os.close(waiting)
            self._leave_group()
            self._die_with_zygote()
            if not command.is_trusted:
                resource_limits.enforce(command)
            if self._slots is not None and scratch is not None:
                self._slots.enter(scratch)
            _rehearse()
            once = command.once or not command.is_trusted
            serve(socket.socket(fileno=descriptor), watch=self._libc is None, once=once)
        finally:
            os._exit(70)  # a child must never return into the zygote's loop

    def _leave_group(self) -> None:
        """Become the leader of a process group. Forks in the sandbox stay in one session: Linux shares the processor among sessions, and so
        all untrusted runs together get the share of one."""
        if self._slots is None:
            os.setsid()
        else:
            os.setpgid(0, 0)

    def _die_with_zygote(self) -> None:
        """Ask the kernel to kill this worker when the zygote ends. On systems without this, the worker watches its socket."""
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._pid:  # the zygote ended before we asked
                os._exit(0)

    def _reap(self) -> None:
        for number, pid in list(self._pids.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill(pid)  # kills the rest of its group, while the id cannot belong to another process
            _, status = os.waitpid(pid, 0)
            del self._pids[number]
            self._free(number)
            self._report(Ended(number, os.waitstatus_to_exitcode(status)))
        if self._slots is not None:
            self._slots.clean()

    def _free(self, number: int) -> None:
        if self._slots is not None:
            self._slots.give_back(number)

    def _report(self, report: ZygoteReport) -> None:
        try:
            self._control.sendall(encode(report))
        except OSError:
            self._kill_all()
            leave()

    def _kill_all(self) -> None:
        for pid in self._pids.values():
            _kill(pid)


def _kill(pid: int) -> None:
    """Kill a child's whole process group, and the child itself if it has not made its group yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _warm(preload: Sequence[str]) -> None:
    """Load, patch and remember everything that all children need."""
    for name in _COMMON:
        import_module(name)
    for name in preload:
        with contextlib.suppress(ImportError):  # an extra that is not installed: a body that wants it is told so
            import_module(name)
    sample = _rehearse()
    assert sample.input_schema and sample.output_schema
    prepare()
    remember()
    gc.collect()
    gc.freeze()


def _rehearse() -> Signature:
    """Read a sample signature and call it, as each run does first.

    In the zygote this fills our caches and pydantic's. In a child that waits for its run, it makes the system copy the memory pages that a
    run writes to; otherwise each first call would take milliseconds longer.
    """
    namespace: dict[str, Any] = {}
    exec(compile(_SAMPLE, "<rehearsal>", "exec", dont_inherit=True), namespace)
    sample = read(namespace["run"], namespace)
    positional, keyword = sample.bind({"text": "a"})
    sample.dump(namespace["run"](*positional, **keyword), 1000)
    return sample
