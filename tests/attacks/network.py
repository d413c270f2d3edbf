"""Attacks on the network: sockets of every family, listeners of the test, the server's own socket, and what Python builds on sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from http import client
from typing import Final

from .attack import BLOCKED, UNREACHED, Table, Targets
from .inside import connect, raw_syscall, syscall

NETWORK: Final = Table("network")
probe = NETWORK.probe
_NO_FAMILY: Final = (*BLOCKED, "EAFNOSUPPORT", "EPROTONOSUPPORT")
"""The kernel may lack the family altogether."""


@probe("connects to a listener on this machine", UNREACHED)
def tcp(t: Targets) -> object:
    return connect(socket.AF_INET, ("127.0.0.1", t["tcp"]))


@probe("sends a datagram, as a question to a name server is", UNREACHED)
def udp(t: Targets) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return sock.sendto(
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06secret\x07example\x00\x00\x01\x00\x01",
            ("127.0.0.1", t["udp"]),
        )


@probe("connects to a socket in the file system", UNREACHED)
def unix(t: Targets) -> object:
    return connect(socket.AF_UNIX, t["unix"])


@probe("connects to a socket that has no file", UNREACHED)
def abstract(t: Targets) -> object:
    return connect(socket.AF_UNIX, f"\0{t['abstract']}")


@probe("connects to the server's control socket, as the command line does", UNREACHED)
def control(t: Targets) -> object:
    return connect(socket.AF_UNIX, t["control"])


@probe("makes an IPv4 socket", _NO_FAMILY)
def inet(t: Targets) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM).fileno()


@probe("makes an IPv6 socket", _NO_FAMILY)
def inet6(t: Targets) -> object:
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM).fileno()


@probe("makes a datagram socket", _NO_FAMILY)
def datagram(t: Targets) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno()


@probe("makes a raw socket", _NO_FAMILY)
def raw(t: Targets) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno()


@probe("makes a Unix socket that could be connected", _NO_FAMILY)
def unix_family(t: Targets) -> object:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).fileno()


@probe("makes a socket that hears all packets", _NO_FAMILY)
def packet(t: Targets) -> object:
    return syscall("socket", 17, 3, 0x0300)


@probe("makes a socket to the kernel's network settings", _NO_FAMILY)
def netlink(t: Targets) -> object:
    return syscall("socket", 16, 3, 0)


@probe("makes a socket to the kernel's ciphers", _NO_FAMILY)
def ciphers(t: Targets) -> object:
    return syscall("socket", 38, 5, 0)


@probe("makes a socket to the hypervisor", _NO_FAMILY)
def vsock(t: Targets) -> object:
    return syscall("socket", 40, 1, 0)


@probe("makes a Bluetooth socket", _NO_FAMILY)
def bluetooth(t: Targets) -> object:
    return syscall("socket", 31, 3, 0)


@probe("makes a socket of any other family")
def every_family(t: Targets) -> object:
    found = []
    for family in range(64):
        for kind in (1, 2, 3, 5):
            try:
                found.append((family, kind, syscall("socket", family, kind, 0)))
            except OSError:
                continue
    return found or None


@probe("makes a socket by machine code", _NO_FAMILY)
def raw_socket(t: Targets) -> object:
    return raw_syscall(41, socket.AF_INET, socket.SOCK_STREAM, 0)


@probe("makes a pair of sockets of a family that can leave the machine", (*_NO_FAMILY, "ENOTSUP"))
def pair(t: Targets) -> object:
    return socket.socketpair(socket.AF_INET)[0].fileno()


@probe("connects one end of a Unix pair to somewhere else", (*UNREACHED, "EISCONN", "EINVAL"))
def reconnect(t: Targets) -> object:
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.connect(t["unix"])
    return "connected"


@probe("sends a datagram out of a Unix pair to somewhere else", (*UNREACHED, "EISCONN", "EPROTOTYPE"))
def send_elsewhere(t: Targets) -> object:
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"attack", t["unix"])


@probe("listens on the network", UNREACHED)
def listen(t: Targets) -> object:
    with socket.create_server(("0.0.0.0", 0)) as server:
        return server.getsockname()


@probe("listens under a name without a file", UNREACHED)
def listen_abstract(t: Targets) -> object:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0attack")
        server.listen()
        return server.getsockname()


@probe("asks for a web page of this machine", UNREACHED)
def http(t: Targets) -> object:
    connection = client.HTTPConnection("127.0.0.1", t["tcp"], timeout=2)
    connection.request("GET", "/")
    return "asked"


@probe("connects with asyncio", UNREACHED)
def with_asyncio(t: Targets) -> object:
    async def reach() -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", t["tcp"])
        writer.close()
        return "connected"

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(reach())
    finally:
        loop.close()


@probe("asks for the address of a name", (*UNREACHED, "gaierror"))
def resolve(t: Targets) -> object:
    return socket.getaddrinfo("localhost.attack.invalid", 80)


@probe("connects with another program", UNREACHED)
def with_curl(t: Targets) -> object:
    return subprocess.run(["curl", "-s", "-m", "2", f"http://127.0.0.1:{t['tcp']}/"], capture_output=True).returncode


@probe("lists the machine's addresses and interfaces")
def interfaces(t: Targets) -> object:
    return open("/proc/net/tcp").read(60)


@probe("reads the machine's name servers and hosts")
def resolv_conf(t: Targets) -> object:
    return open("/etc/resolv.conf").read(40) + os.readlink("/etc/hosts")
