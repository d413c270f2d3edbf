"""Attacks on the kernel: system calls that no workflow needs, each of which has had holes. Only a refusal before the kernel looks at the
arguments counts: another error than those of `BLOCKED` means that it did look."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from .attack import BLOCKED, KILLED, Table, Targets
from .inside import RAW_CALL_32, checked, libc, raw_syscall, syscall

KERNEL: Final = Table("kernel")
probe, alone = KERNEL.probe, KERNEL.alone


@probe("sets up io_uring, which works past filters of system calls", BLOCKED)
def io_uring(t: Targets) -> object:
    return syscall("io_uring_setup", 1, (ctypes.c_char * 120)())


@probe("sets up asynchronous input and output", BLOCKED)
def aio(t: Targets) -> object:
    return syscall("io_setup", 1, ctypes.byref(ctypes.c_ulong()))


@probe("loads a program into the kernel by bpf", BLOCKED)
def bpf(t: Targets) -> object:
    return syscall("bpf", 0, (ctypes.c_char * 72)(), 72)


@probe("watches the machine by perf events", BLOCKED)
def perf(t: Targets) -> object:
    attributes = (ctypes.c_uint32 * 32)(1, 128)
    return syscall("perf_event_open", attributes, 0, -1, -1, 0)


@probe("handles its own page faults, which holds the kernel up", BLOCKED)
def userfaultfd(t: Targets) -> object:
    return syscall("userfaultfd", 1)


@probe("puts a key into the kernel's store", BLOCKED)
def add_key(t: Targets) -> object:
    return syscall("add_key", b"user", b"attack", b"x", 1, -3)


@probe("reads keys of the session", BLOCKED)
def keyctl(t: Targets) -> object:
    return syscall("keyctl", 0, -3, 1)


@probe("asks for a key, which starts a program as root", BLOCKED)
def request_key(t: Targets) -> object:
    return syscall("request_key", b"user", b"attack", b"", -3)


@probe("mounts a file system", BLOCKED)
def mount(t: Targets) -> object:
    os.makedirs("mounted", exist_ok=True)
    return syscall("mount", b"none", b"mounted", b"no-such-type", 0, None)


@probe("unmounts what hides the machine's files", BLOCKED)
def umount(t: Targets) -> object:
    return syscall("umount2", b"/no/such/place", 2)


@probe("opens a file system by the newer calls", BLOCKED)
def fsopen(t: Targets) -> object:
    return syscall("fsopen", b"no-such-type", 0)


@probe("copies a tree of mounts", BLOCKED)
def open_tree(t: Targets) -> object:
    return syscall("open_tree", -100, b"/no/such/place", 1)


@probe("changes the flags of a mount, so that it can be written", BLOCKED)
def mount_setattr(t: Targets) -> object:
    return syscall("mount_setattr", -100, b"/no/such/place", 0, (ctypes.c_uint64 * 4)(), 32)


@probe("moves its root elsewhere", BLOCKED)
def pivot_root(t: Targets) -> object:
    return syscall("pivot_root", b"/no/such/place", b"/no/such/place")


@probe("enters a namespace of another process", BLOCKED)
def setns(t: Targets) -> object:
    return syscall("setns", -1, 0)


@probe("loads a module into the kernel", BLOCKED)
def init_module(t: Targets) -> object:
    return syscall("init_module", None, 0, b"")


@probe("loads a module from a descriptor", BLOCKED)
def finit_module(t: Targets) -> object:
    return syscall("finit_module", -1, b"", 0)


@probe("loads another kernel", BLOCKED)
def kexec(t: Targets) -> object:
    return syscall("kexec_load", 0, 1 << 20, None, 0)


@probe("restarts the machine", BLOCKED)
def reboot(t: Targets) -> object:
    return syscall("reboot", 0, 0, 0, None)


@probe("uses a file as swap space", BLOCKED)
def swapon(t: Targets) -> object:
    return syscall("swapon", b"/no/such/place", 0)


@probe("changes the machine's name", BLOCKED)
def sethostname(t: Targets) -> object:
    return syscall("sethostname", None, -1)


@probe("changes the domain's name", BLOCKED)
def setdomainname(t: Targets) -> object:
    return syscall("setdomainname", None, -1)


@probe("sets the clock", BLOCKED)
def settimeofday(t: Targets) -> object:
    return syscall("settimeofday", ctypes.byref((ctypes.c_long * 2)(-1, -1)), None)


@probe("sets the clock by the newer call", BLOCKED)
def clock_settime(t: Targets) -> object:
    return syscall("clock_settime", 0, None)


@probe("writes accounts of all processes into a file", BLOCKED)
def acct(t: Targets) -> object:
    return syscall("acct", b"/no/such/place")


@probe("changes the quota of disks", BLOCKED)
def quotactl(t: Targets) -> object:
    return syscall("quotactl", -1, b"/no/such/place", 0, None)


@probe("reads the kernel's log", BLOCKED)
def syslog(t: Targets) -> object:
    return syscall("syslog", 3, (ctypes.c_char * 64)(), 64)


@probe("hears of every access to files", BLOCKED)
def fanotify(t: Targets) -> object:
    return syscall("fanotify_init", 0, 0)


@probe("makes memory that has no address for the kernel", BLOCKED)
def memfd_secret(t: Targets) -> object:
    return syscall("memfd_secret", 0)


@probe("makes a file that is in memory only", BLOCKED)
def memfd(t: Targets) -> object:
    return syscall("memfd_create", b"x", 0)


@probe("moves pages of another process", BLOCKED)
def move_pages(t: Targets) -> object:
    return syscall("move_pages", t["canary"], 0, None, None, None, 0)


@probe("advises the kernel on memory of another process", BLOCKED)
def process_madvise(t: Targets) -> object:
    return syscall("process_madvise", -1, None, 0, 4, 0)


@probe("hangs up the terminal", BLOCKED)
def vhangup(t: Targets) -> object:
    return syscall("vhangup")


@probe("runs as another kind of program, without protections", BLOCKED)
def personality(t: Targets) -> object:
    return syscall("personality", 0x0040000)


@probe("opens a queue of messages that other processes can read", BLOCKED)
def message_queue(t: Targets) -> object:
    return syscall("mq_open", b"attack", os.O_CREAT | os.O_RDWR, 0o600, None)


@probe("opens a queue of messages of the older kind", BLOCKED)
def old_message_queue(t: Targets) -> object:
    return syscall("msgget", 0, 0o1600)


@probe("makes semaphores that outlive it", BLOCKED)
def semaphores(t: Targets) -> object:
    return syscall("semget", 0, 1, 0o1600)


@probe("reads memory that other processes share", (*BLOCKED, "ENOENT"))
def shared_memory(t: Targets) -> object:
    memory = syscall("shmget", t["memory"], 0, 0)
    attach = libc().shmat
    attach.restype = ctypes.c_void_p
    return ctypes.string_at(attach(memory, None, 0o10000), 40)


@probe("makes memory that outlives it", BLOCKED)
def own_shared_memory(t: Targets) -> object:
    return checked(libc().shmget(0, 4096, 0o1600))


@probe("makes a user namespace, in which it is root", BLOCKED)
def user_namespace(t: Targets) -> object:
    return syscall("unshare", 0x10000000)


@probe("makes a mount namespace", BLOCKED)
def mount_namespace(t: Targets) -> object:
    return syscall("unshare", 0x00020000)


@alone("calls the kernel as a 32-bit program does, with other numbers", (*BLOCKED, *KILLED))
def call_of_32_bit(t: Targets) -> object:
    return raw_syscall(359, 2, 1, 0, code=RAW_CALL_32)


@alone("calls the kernel by the numbers of x32", (*BLOCKED, *KILLED))
def call_of_x32(t: Targets) -> object:
    return raw_syscall(0x40000000 | 41, 2, 1, 0)
