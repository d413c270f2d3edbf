"""Trials: small programs that try to leave the sandbox, a table; run in real sandboxes by `engine/sandbox_trials.py` for `repertoire doctor`.

Each is the source of a workflow that nobody has approved. Its `attempt` says in a few words what it has done, or raises what has stopped
it. None does harm where it succeeds: memory is reserved and not touched, signals are signal 0, files are empty and removed again.
Not the suite of attacks: these are few, quick, and one for each wall.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Targets(NamedTuple):
    """Things outside of the sandbox that the trials try to reach. All of them exist while the trials run."""

    home: str
    """The folder with the database and the secrets."""
    secret: str
    """A file in it."""
    unix_socket: str
    """A listening socket in it."""
    port: int
    """A listening socket on 127.0.0.1."""
    pid: int
    """The process of the server."""
    memory_mb: int
    """The limits that the sandbox is said to have. 0: none."""
    scratch_mb: int


class Trial(NamedTuple):
    name: str
    aim: str
    """It follows "try to"."""
    layers: tuple[str, ...]
    """Layers that stop it, each alone. Empty: no layer of the kernel, but the way in which the sandbox is started."""
    attempt: str
    """Source of a function `attempt`."""

    @property
    def source(self) -> str:
        return _FRAME + self.attempt


_FRAME: Final = '''\
"""Try to leave the sandbox."""


class Unclear(Exception):
    pass


def run(home: str, secret: str, unix_socket: str, port: int, pid: int, memory_mb: int, scratch_mb: int) -> dict[str, str]:
    given = dict(locals())
    wanted = attempt.__code__.co_varnames[: attempt.__code__.co_argcount]
    try:
        return {"done": str(attempt(*(given[name] for name in wanted)))}
    except (OSError, MemoryError) as error:
        return {"refused": f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"[:200]}
    except (Unclear, ImportError, AttributeError) as error:
        return {"unclear": str(error)[:200]}


'''

_READ_HOME: Final = """\
def attempt(secret):
    with open(secret, "rb") as file:
        return f"read {len(file.read(16))} bytes of {secret}"
"""

_READ_SYSTEM: Final = """\
def attempt():
    with open("/etc/passwd", "rb") as file:
        return f"read {len(file.read(16))} bytes of /etc/passwd"
"""

_WRITE: Final = """\
import os


def attempt(home):
    for folder in (home, "/tmp", "/var/tmp", "/dev/shm", "/"):
        path = os.path.join(folder, f".repertoire-trial-{os.getpid()}")
        if os.path.realpath(folder) == os.getcwd():
            continue
        try:
            with open(path, "x"):
                pass
        except OSError as error:
            refused = error
        else:
            os.unlink(path)
            return f"made a file in {folder}"
    raise refused
"""

_NETWORK: Final = """\
import socket


def attempt(port):
    with socket.create_connection(("127.0.0.1", port), 5):
        return f"connected to port {port} of this machine"
"""

_UNIX_SOCKET: Final = """\
import socket


def attempt(unix_socket):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(unix_socket)
        return f"connected to {unix_socket}"
"""

_FORK: Final = """\
import os


def attempt():
    for count in range(1, 4):
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return f"started {count} processes, and could go on"
"""

_PROGRAM: Final = """\
import os


def attempt():
    try:
        os.execv("/nonexistent/program", ["program"])
    except FileNotFoundError:
        return "asked the system for another program, and was only told that there is no such file"
"""

_SIGNAL: Final = """\
import os


def attempt(pid):
    reached = []
    for name, other in (("the server", pid), ("the process that forked it", os.getppid())):
        try:
            if other > 0:
                os.kill(other, 0)
                reached.append(f"{name} ({other})")
        except OSError as error:
            refused = error
    if not reached:
        raise refused
    return f"may send signals to {' and '.join(reached)}"
"""

_PROCESSES: Final = """\
import os


def attempt():
    seen = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    if not seen:
        raise FileNotFoundError("/proc shows no other process")
    return f"sees {len(seen)} other processes in /proc"
"""

_ENVIRONMENT: Final = """\
import os

_GIVEN = {"PATH", "HOME", "TMPDIR", "LANG", "TZ"}


def attempt():
    more = sorted(name for name in os.environ if name not in _GIVEN and not name.startswith(("PYTHON", "LC_")))
    if more:
        return f"sees the server's variables {', '.join(more[:5])}"
    raise PermissionError("its variables are its own")
"""

_OTHER_RUNS: Final = """\
import os


def attempt():
    above, here = os.path.split(os.getcwd())
    refused = FileNotFoundError("there is none beside its own")
    for name in () if above == "/" else os.listdir(above):
        try:
            if name != here:
                os.listdir(os.path.join(above, name))
                return f"sees what is in {name} beside its own folder"
        except OSError as error:
            refused = error
    raise refused
"""

_MEMORY: Final = """\
import mmap


def attempt(memory_mb):
    if not memory_mb:
        raise Unclear("the setting worker_memory_mb is 0: no limit is wanted")
    held = []
    while len(held) * 64 < 2 * memory_mb:
        held.append(mmap.mmap(-1, 64 << 20))
    return f"reserved {len(held) * 64} MB"
"""

_DISK: Final = """\
import os


def attempt(scratch_mb):
    if not scratch_mb:
        raise Unclear("no cap is wanted")
    size = 0
    try:
        for number in range(4):
            with open(f"filler-{number}", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, (scratch_mb // 3 + 1) << 20)
            size += scratch_mb // 3 + 1
    finally:
        for number in range(4):
            if os.path.exists(f"filler-{number}"):
                os.unlink(f"filler-{number}")
    return f"took {size} MB of disk in its folder"
"""

_ROOT: Final = """\
import os


def attempt():
    if os.geteuid() == 0:
        owner = os.stat("/usr/lib").st_uid
        if owner == 0:
            return "runs as root"
        raise PermissionError(f"it is root in a namespace of its own only: the system's files belong to {owner}")
    os.setuid(0)
    return "has become root"
"""

_CAPABILITIES: Final = """\
import os


def attempt():
    os.chroot(".")
    return "has changed its root folder, which needs a capability"
"""

_NEW_PRIVILEGES: Final = """\
import ctypes


def attempt():
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl"):
        raise Unclear("this system has no prctl")
    answer = libc.prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS
    if answer == 1:
        raise PermissionError("the kernel gives it no more rights, whatever it starts")
    if answer < 0:
        raise Unclear("the kernel does not say")
    return "would get the rights of a setuid program"
"""

_SYSTEM_CALLS: Final = """\
import ctypes
import errno
import os
import platform

_NUMBERS = {  # x86_64, aarch64
    "ptrace": (101, 117), "mount": (165, 40), "unshare": (272, 97), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "process_vm_readv": (310, 270),
    "memfd_create": (319, 279),
}
_ARGUMENTS = {  # the kernel would refuse these for another reason than a right
    "ptrace": (16, 0x7FFFFFFE, 0, 0), "unshare": (0x10000000,), "keyctl": (0, -1, 0), "bpf": (999, 0, 0),
    "process_vm_readv": (0x7FFFFFFE, 0, 0, 0, 0, 0),
}


def attempt():
    column = ("x86_64", "aarch64").index(platform.machine()) if platform.machine() in ("x86_64", "aarch64") else None
    if column is None or os.uname().sysname != "Linux":
        raise Unclear("the numbers of system calls are not known here")
    libc = ctypes.CDLL(None, use_errno=True)
    reached = []
    for name, numbers in _NUMBERS.items():
        ctypes.set_errno(0)
        given = [ctypes.c_long(one) for one in _ARGUMENTS.get(name, (0, 0, 0, 0, 0))]
        if libc.syscall(ctypes.c_long(numbers[column]), *given) >= 0 or ctypes.get_errno() not in _REFUSALS:
            reached.append(name)
    if reached:
        return f"reached the kernel's {', '.join(reached)}"
    raise PermissionError(f"{len(_NUMBERS)} system calls are refused")


_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
"""

TRIALS: Final = (
    Trial("network", "connect to a port of this machine", ("namespaces", "seccomp"), _NETWORK),
    Trial("unix socket", "connect to the server's own socket", ("namespaces", "seccomp"), _UNIX_SOCKET),
    Trial("home", "read the database", ("namespaces", "landlock"), _READ_HOME),
    Trial("system files", "read /etc/passwd", ("namespaces", "landlock"), _READ_SYSTEM),
    Trial("write", "write outside of its folder", ("namespaces", "landlock"), _WRITE),
    Trial("other runs", "see the folders of other runs", ("namespaces", "landlock"), _OTHER_RUNS),
    Trial("fork bomb", "start processes", ("seccomp",), _FORK),
    Trial("program", "become another program", ("seccomp",), _PROGRAM),
    Trial("signal", "send a signal to another process", ("seccomp",), _SIGNAL),
    Trial("processes", "list the processes of this machine", ("namespaces", "landlock"), _PROCESSES),
    Trial("environment", "read the server's variables", (), _ENVIRONMENT),
    Trial("memory bomb", "take more memory than its limit", ("limits",), _MEMORY),
    Trial("disk", "fill the disk", ("scratch",), _DISK),
    Trial("root", "be root", ("user",), _ROOT),
    Trial("capabilities", "use a right of root", ("capabilities", "seccomp"), _CAPABILITIES),
    Trial("new privileges", "get the rights of a setuid program", ("no_new_privs",), _NEW_PRIVILEGES),
    Trial("system calls", "use rare parts of the kernel", ("seccomp",), _SYSTEM_CALLS),
)  # fmt: skip


class Tried(NamedTuple):
    """How one trial has ended. `refused`: as it should. `done`: it has got out. `unclear`: it could not be tried; `detail` says why."""

    trial: Trial
    outcome: str
    detail: str

    @property
    def is_stopped(self) -> bool:
        return self.outcome != "done"

    def public(self) -> dict[str, Any]:
        return {
            "name": self.trial.name,
            "aim": self.trial.aim,
            "layers": list(self.trial.layers),
            "outcome": self.outcome,
            "detail": self.detail,
        }


def outcome_of(answer: object) -> tuple[str, str]:
    """What a trial's `run` has returned, as (outcome, detail). It comes out of the sandbox, so it may be anything."""
    if isinstance(answer, dict) and len(answer) == 1:
        (outcome, detail), *_ = answer.items()
        if outcome in ("refused", "done", "unclear") and isinstance(detail, str):
            return outcome, detail
    return "unclear", f"it answered {str(answer)[:80]!r}"
