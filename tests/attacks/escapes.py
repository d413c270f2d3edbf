"""Attacks by means of Python: what it has loaded, what it has inherited, what it can rebuild; and ways to take the walls down."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import stat
import sys
import threading
from typing import Any, Final

from .attack import BLOCKED, FAILED, KILLED, NOTHING, REFUSED, Table, Targets
from .inside import checked, libc, own_sockets, syscall

ESCAPES: Final = Table("escapes")
probe, alone = ESCAPES.probe, ESCAPES.alone


@probe("finds secrets among all objects that its process has inherited")
def objects(t: Targets) -> object:
    found: list[str] = []
    for one in gc.get_objects():
        values = list(one.values()) if type(one) is dict else list(one) if type(one) in (list, tuple, set) else []
        found += [value for value in values if type(value) is str and value.startswith("canary-") and len(value) > 20]
    return found or None


@probe("finds settings or keys of the server in loaded modules", (NOTHING, "AttributeError: .*"))
def modules(t: Targets) -> object:
    server = ("app", "settings", "store", "service", "engine", "surfaces", "daemon", "cli")
    return [
        name
        for name in sys.modules
        if name.split(".")[:1] == ["repertoire"] and name.split(".")[1:2] and name.split(".")[1] in server
    ] or None


@probe("reaches a shell through the subclasses of object", REFUSED)
def subclasses(t: Targets) -> object:
    for kind in ().__class__.__base__.__subclasses__():  # type: ignore[union-attr, var-annotated]  # object
        names = getattr(getattr(kind, "__init__", None), "__globals__", {})
        if "system" in names and "popen" in names:
            status = names["system"]("exit 7")
            if os.waitstatus_to_exitcode(status) == 7:
                return "a shell ran"
            return checked(-1) if status == -1 else None
    return None


@probe("forks by the module below os", BLOCKED)
def posix(t: Targets) -> object:
    if (pid := sys.modules["posix"].fork()) == 0:
        sys.modules["posix"]._exit(0)
    os.waitpid(pid, 0)
    return "forked"


@probe("starts a program by the module below subprocess", BLOCKED)
def posix_subprocess(t: Targets) -> object:
    make: Any = sys.modules["_posixsubprocess"].fork_exec
    reads, writes = os.pipe()
    pid = make(
        [b"true"], [b"/bin/true"], True, (writes,), None, None, -1, -1, -1, -1, -1, -1, reads, writes, True, False, -1, None, None,
        None, -1, None, False,
    )  # fmt: skip
    os.waitpid(pid, 0)
    return "started"


@probe("has a folder or a file open from before")
def descriptors(t: Targets) -> object:
    found = []
    for fd in range(256):
        try:
            mode = os.fstat(fd)
        except OSError:
            continue
        harmless = stat.S_ISFIFO(mode.st_mode) or stat.S_ISSOCK(mode.st_mode)
        if not harmless and mode.st_rdev not in (os.makedev(1, 3), os.makedev(1, 9)):
            found.append((fd, oct(mode.st_mode), mode.st_size, os.pread(fd, 60, 0)))
    return found or None


@probe("lists its descriptors")
def list_descriptors(t: Targets) -> object:
    return os.listdir("/proc/self/fd")


@probe("reads a descriptor of its parent")
def descriptor_of_parent(t: Targets) -> object:
    return os.open(f"/proc/{os.getppid()}/fd/3", os.O_RDWR)


@probe("has a second socket from before: the zygote's own, or another run's")
def sockets(t: Targets) -> object:
    peers = []
    for fd in own_sockets():
        sock = socket.socket(fileno=os.dup(fd))
        with sock:
            pid = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), "little")
            if pid != os.getpid():
                peers.append((fd, pid))
    return peers if len(peers) > 1 else None


@probe("sends a descriptor to the host, so that the host would close or use it", (NOTHING, *REFUSED))
def send_descriptor(t: Targets) -> object:
    with socket.socket(fileno=os.dup(own_sockets()[0])) as sock:
        return socket.send_fds(sock, [b""], [0])


@probe("switches the filter of system calls off", ("EINVAL", *BLOCKED))
def filter_off(t: Targets) -> object:
    return checked(libc().prctl(22, 0, 0, 0, 0)) or "off"


@probe("takes back that it may gain no new rights", ("EINVAL", *BLOCKED))
def new_privileges(t: Targets) -> object:
    return checked(libc().prctl(38, 0, 0, 0, 0)) or "taken back"


@probe("becomes the parent of processes that have lost theirs", BLOCKED)
def subreaper(t: Targets) -> object:
    return checked(libc().prctl(36, 1, 0, 0, 0)) or "it is"


@probe("reads the addresses of the kernel or of itself")
def maps(t: Targets) -> object:
    return open("/proc/self/maps").read(40)


@probe("makes a second thread that has no filter", BLOCKED)
def thread_without_filter(t: Targets) -> object:
    found: list[OSError] = []

    def try_it() -> None:
        try:
            syscall("socket", socket.AF_INET, 1, 0)
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    if found:
        raise found[0]
    return "a socket"


@probe("has asyncio start a program", BLOCKED)
def asyncio_program(t: Targets) -> object:
    async def start() -> object:
        process = await asyncio.create_subprocess_exec("/bin/true")
        return await process.wait()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(start())
    finally:
        loop.close()


@alone("reads a null pointer", KILLED, raw=True)
def null_pointer(t: Targets) -> object:
    return ctypes.string_at(0)


@alone("aborts", KILLED, raw=True)
def abort(t: Targets) -> object:
    os.abort()


@alone("ends its process with success", KILLED, raw=True)
def exit_process(t: Targets) -> object:
    os._exit(0)


@alone("recurses until the stack of C is over", (*FAILED, "completed .*"), raw=True)
def recursion(t: Targets) -> object:
    sys.setrecursionlimit(10**9)

    def deeper(n: int) -> int:
        return deeper(n + 1) + len(str(deeper))

    return deeper(0)


@alone("runs bytecode that no compiler makes", (*FAILED, "completed .*"), raw=True)
def bytecode(t: Targets) -> object:
    def body() -> int:
        return 1

    body.__code__ = body.__code__.replace(co_code=b"d\xff\xff\xff" * 50, co_consts=())
    return body()


@alone("overwrites an object of the interpreter", (*FAILED, "completed .*"), raw=True)
def overwrite(t: Targets) -> object:
    ctypes.memset(id(int), 0xFF, 200)
    return int("1") + 1


@alone("replaces open, import and the JSON of its worker", ("completed .*", *FAILED), raw=True)
def replaced_builtins(t: Targets) -> object:
    names: Any = sys.modules["builtins"]
    names.len = names.repr = names.isinstance = lambda *_: 7
    sys.modules["json"].dumps = lambda *_, **__: '{"forged": true}'  # type: ignore[attr-defined]
    return [1, 2, 3]


@alone("ends the process that forks workers", REFUSED)
def kill_zygote(t: Targets) -> object:
    os.kill(os.getppid(), signal.SIGKILL)
    return "killed"


@alone("stops itself, so that it neither runs nor ends", (*REFUSED, "failed timeout"), timeout_s=1)
def stop_itself(t: Targets) -> object:
    os.kill(os.getpid(), signal.SIGSTOP)
    return None


@alone("closes its socket and goes on", FAILED, raw=True, timeout_s=1)
def close_socket(t: Targets) -> object:
    for fd in own_sockets():
        os.close(fd)
    while True:
        pass


@alone("shuts its socket down for writing, and waits", FAILED, raw=True, timeout_s=1)
def shut_socket(t: Targets) -> object:
    for fd in own_sockets():
        socket.socket(fileno=os.dup(fd)).shutdown(socket.SHUT_WR)
    while True:
        signal.pause()
