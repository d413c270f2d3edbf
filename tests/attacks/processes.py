"""Attacks on processes: other ones of the same user, the server, the zygote; new ones; rights that are given back."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
from typing import Final

from .attack import BLOCKED, NOTHING, REFUSED, Table, Targets
from .inside import checked, effective_rights, libc, raw_syscall, syscall

PROCESSES: Final = Table("processes")
probe = PROCESSES.probe
_NO_OTHER: Final = (*REFUSED, "EINVAL")


@probe("lists all processes")
def list_all(t: Targets) -> object:
    return [name for name in os.listdir("/proc") if name.isdigit()]


@probe("reads the environment of the first process")
def environ_of_init(t: Targets) -> object:
    return open("/proc/1/environ", "rb").read()[:40]


@probe("reads the environment of its parent")
def environ_of_parent(t: Targets) -> object:
    return open(f"/proc/{os.getppid()}/environ", "rb").read()[:40]


@probe("reads the environment of the server")
def environ_of_server(t: Targets) -> object:
    return open(f"/proc/{t['daemon']}/environ", "rb").read()[:40]


@probe("reads the environment of another process of the user")
def environ_of_canary(t: Targets) -> object:
    return open(f"/proc/{t['canary']}/environ", "rb").read()[:40]


@probe("finds secrets in its own environment")
def own_environ(t: Targets) -> object:
    names = [name for name in os.environ if "SECRET" in name or "KEY" in name or name.startswith("REPERTOIRE")]
    return names or None


@probe("finds secrets in the environment with which its process was started")
def first_environ(t: Targets) -> object:
    with open("/proc/self/environ", "rb") as file:
        found = file.read()
    return found if b"canary" in found else None


@probe("finds secrets in the C library's environment")
def environ_of_c(t: Targets) -> object:
    getenv = libc().getenv
    getenv.restype = ctypes.c_char_p
    return getenv(b"CANARY_SECRET")


@probe("opens the memory of another process")
def memory_of_canary(t: Targets) -> object:
    return os.open(f"/proc/{t['canary']}/mem", os.O_RDONLY)


@probe("opens the memory of its parent for writing")
def memory_of_parent(t: Targets) -> object:
    return os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR)


@probe("opens its own memory, past the protection of its pages")
def own_memory(t: Targets) -> object:
    return os.open("/proc/self/mem", os.O_RDWR)


@probe("copies memory out of another process", BLOCKED)
def read_memory(t: Targets) -> object:
    return syscall("process_vm_readv", t["canary"], None, 0, None, 0, 0)


@probe("writes memory of another process", BLOCKED)
def write_memory(t: Targets) -> object:
    return syscall("process_vm_writev", t["canary"], None, 0, None, 0, 0)


@probe("attaches to another process as a debugger", BLOCKED)
def ptrace(t: Targets) -> object:
    syscall("ptrace", 16, t["canary"], 0, 0)
    syscall("ptrace", 17, t["canary"], 0, 0)
    return "attached, and detached"


@probe("attaches to its parent", BLOCKED)
def ptrace_parent(t: Targets) -> object:
    return syscall("ptrace", 0x4206, os.getppid(), 0, 0)


@probe("asks to be debugged by its parent", BLOCKED)
def ptrace_me(t: Targets) -> object:
    return syscall("ptrace", 0, 0, 0, 0)


@probe("may send signals to another process", _NO_OTHER)
def signal_canary(t: Targets) -> object:
    os.kill(t["canary"], 0)
    return "it may"


@probe("may send signals to its parent", _NO_OTHER)
def signal_parent(t: Targets) -> object:
    os.kill(os.getppid(), 0)
    return "it may"


@probe("may send signals to the server", _NO_OTHER)
def signal_server(t: Targets) -> object:
    os.kill(t["daemon"], 0)
    return "it may"


@probe("may send signals to all processes", _NO_OTHER)
def signal_all(t: Targets) -> object:
    os.kill(-1, 0)
    return "it may"


@probe("may send signals to its parent's group", _NO_OTHER)
def signal_group(t: Targets) -> object:
    os.killpg(os.getpgid(os.getppid()), 0)
    return "it may"


@probe("opens another process by its id", BLOCKED)
def pidfd(t: Targets) -> object:
    return syscall("pidfd_open", t["canary"], 0)


@probe("takes a descriptor out of another process", BLOCKED)
def pidfd_getfd(t: Targets) -> object:
    return syscall("pidfd_getfd", 3, 0, 0)


@probe("compares the resources of two processes", BLOCKED)
def kcmp(t: Targets) -> object:
    return syscall("kcmp", os.getpid(), os.getppid(), 0, 0, 0)


@probe("changes the limits of another process", _NO_OTHER)
def prlimit(t: Targets) -> object:
    return resource.prlimit(t["canary"], resource.RLIMIT_NOFILE)


@probe("raises its own limit of memory", (*BLOCKED, "ValueError: .*"))
def raise_limit(t: Targets) -> object:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return resource.getrlimit(resource.RLIMIT_AS)


@probe("raises its own priority", (*BLOCKED, NOTHING))
def raise_priority(t: Targets) -> object:
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    return os.getpriority(os.PRIO_PROCESS, 0)


@probe("changes the priority of another process", REFUSED)
def priority_of_canary(t: Targets) -> object:
    os.setpriority(os.PRIO_PROCESS, t["canary"], 5)
    return "it may"


@probe("becomes a process of real time", BLOCKED)
def real_time(t: Targets) -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return os.sched_getscheduler(0)


@probe("forks", BLOCKED)
def fork(t: Targets) -> object:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


@probe("forks by the number of the system call, in machine code", BLOCKED)
def raw_fork(t: Targets) -> object:
    if (pid := raw_syscall(56, 17)) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


@probe("forks by clone3", BLOCKED)
def clone3(t: Targets) -> object:
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = signal.SIGCHLD
    if (pid := syscall("clone3", arguments, 88)) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


@probe("starts a program", BLOCKED)
def program(t: Targets) -> object:
    return subprocess.run(["/bin/sh", "-c", "id"], capture_output=True).stdout


@probe("starts a program by posix_spawn", REFUSED)
def spawn(t: Targets) -> object:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return "spawned"


@probe("starts a shell by the C library", REFUSED)
def system(t: Targets) -> object:
    status = libc().system(b"exit 7")
    return (
        f"the shell ran: {status}" if os.waitstatus_to_exitcode(status) == 7 else checked(-1) if status == -1 else None
    )


@probe("starts a process by multiprocessing", BLOCKED)
def other_python(t: Targets) -> object:
    process = multiprocessing.get_context("fork").Process(target=print)
    process.start()
    process.join()
    return "started"


@probe("starts a Python by multiprocessing", REFUSED)
def spawned_python(t: Targets) -> object:
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    return "started"


@probe("runs a program out of memory", BLOCKED)
def exec_memory(t: Targets) -> object:
    fd = syscall("memfd_create", b"x", 0)
    return f"a file without a name: {fd}"


@probe("replaces itself by a program that is not there", BLOCKED)
def exec_missing(t: Targets) -> object:
    os.execv("/nowhere", ["nowhere"])


@probe("replaces itself by a descriptor", BLOCKED)
def execveat(t: Targets) -> object:
    return syscall("execveat", -1, b"", None, None, 0x1000)


@probe("becomes root", REFUSED)
def become_root(t: Targets) -> object:
    os.setresuid(0, 0, 0)
    return effective_rights() or None


@probe("has rights of root", REFUSED)
def rights(t: Targets) -> object:
    return effective_rights() or None


@probe("gives itself back what it dropped", REFUSED)
def raise_rights(t: Targets) -> object:
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
    return checked(libc().capset(header, data)) or "all"


@probe("joins the groups of root", BLOCKED)
def groups(t: Targets) -> object:
    os.setgroups([0])
    return os.getgroups()


@probe("leaves its session, so that a kill of its group would miss it", (*REFUSED, r"got 'leader'"))
def leave_session(t: Targets) -> object:
    if os.getsid(0) == os.getpid():
        return "leader"  # it has been its session's leader from the start, and cannot leave it
    os.setsid()
    return "left"
