"""Inside: what the bodies of attacks share: outcomes, raw system calls, machine code, their own descriptor of the host's socket.

`bodies.py` puts this text before the functions of an attack. The imports are made at run time there, so that a check of imports at
creation does not stop an attack before the sandbox can.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any

MACHINE = 0 if platform.machine() == "x86_64" else 1
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "clock_settime": (227, 112),
    "clone3": (435, 435), "execveat": (322, 281), "fanotify_init": (300, 262), "finit_module": (313, 273), "fsopen": (430, 430),
    "init_module": (175, 105), "io_setup": (206, 0), "io_uring_setup": (425, 425), "kcmp": (312, 272), "kexec_load": (246, 104),
    "keyctl": (250, 219), "memfd_create": (319, 279), "memfd_secret": (447, 447), "mount": (165, 40), "move_pages": (279, 239),
    "mount_setattr": (442, 442), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "openat": (257, 56), "openat2": (437, 437),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "process_madvise": (440, 440), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142), "request_key": (249, 218),
    "semget": (64, 190), "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268), "settimeofday": (164, 170),
    "shmget": (29, 194), "socket": (41, 198), "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282), "vhangup": (153, 58),
}  # fmt: skip
"""Numbers of system calls on x86-64 and on aarch64."""
RAW_CALL = bytes.fromhex("4889f84889f74889d64889ca4d89c24d89c80f05c3")
"""x86-64: `syscall` with the number and up to five arguments."""
RAW_CALL_32 = bytes.fromhex("5389f889f387cacd805bc3")
"""x86-64: `int 0x80`, the call of 32-bit programs, with the number and three arguments."""


def outcome(body: Callable[[Any], object], targets: Any) -> str:
    """What came of an attack: `got ...`, `nothing`, the name of an errno, or an exception."""
    try:
        got = body(targets)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "nothing" if got is None else f"got {got!r}"[:300]


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """The result of a C function. Raises OSError with its errno."""
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def syscall(name: str, *arguments: Any) -> int:
    """A system call by its number. Raises OSError."""
    call = libc().syscall
    call.restype = ctypes.c_long
    return checked(call(ctypes.c_long(NUMBERS[name][MACHINE]), *(_word(one) for one in arguments)))


def _word(argument: Any) -> Any:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    return ctypes.c_char_p(argument) if isinstance(argument, bytes) else argument


def raw_syscall(number: int, *arguments: int, code: bytes = RAW_CALL) -> int:
    """A system call by machine code of our own, in memory that is writable and executable. Raises OSError."""
    if MACHINE != 0:
        raise OSError(errno.ENOSYS, "the code is for x86-64")
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    width = ctypes.c_long if code is RAW_CALL else ctypes.c_int
    call = ctypes.CFUNCTYPE(width, *([ctypes.c_long] * 6))(address)
    result: int = call(number, *arguments, *([0] * (5 - len(arguments))))
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def effective_rights() -> str:
    """The effective capabilities of this process, in hexadecimal; "" for none."""
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    checked(libc().capget(header, data))
    return f"{data[3]:x}{data[0]:08x}".lstrip("0")


def connect(family: int, address: Any) -> str:
    """Say a word to a listener of the test. It may not come to that."""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        sock.connect(address)
        sock.sendall(b"attack\n")
    return "connected"


def own_sockets() -> list[int]:
    """Descriptors of this process that are sockets: one of them leads to the host."""
    found = []
    for fd in range(256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                found.append(fd)
        except OSError:
            continue
    return found


def host_socket() -> socket.socket:
    """The socket to the host, under a second descriptor."""
    for fd in own_sockets():
        sock = socket.socket(fileno=os.dup(fd))
        if (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_STREAM):
            return sock
    raise OSError(errno.ENOENT, "no socket")


def send_frames(*frames: Any) -> None:
    """Send frames of our own to the host, as if the worker had."""
    wire = sys.modules["repertoire.wire"]
    with host_socket() as sock:
        for frame in frames:
            sock.sendall(frame if isinstance(frame, bytes) else wire.encode(frame))
