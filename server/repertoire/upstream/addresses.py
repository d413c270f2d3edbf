"""AddressRules: resolves a host name and refuses addresses that a workflow must not reach; used by `fetch` and by commands with URLs.

1. A name is resolved once, and the addresses that come back are checked.
2. The caller connects to a checked address, not to the name: a second resolution could give another address (DNS rebinding).
3. One refused address refuses the name: a name with a public and a private address is an attack, or a mistake.
4. An operator lists hosts that are reachable all the same: a name, an address or a network, each with a port or without.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

import anyio

from .tool import BadToolArguments, ToolUnavailable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS: Final = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""6to4 and Teredo: addresses that hold an IPv4 address, which may be private."""

_WIRE_SERVER: Final = ipaddress.ip_address("168.63.129.16")
"""Azure's service for its machines: reachable from each of them, and its address looks public."""


class _Listed(NamedTuple):
    """One entry of the operator's list: a host name or a network, and a port or None for every port."""

    name: str | None
    network: _Network | None
    port: int | None


class AddressRules:
    def __init__(self, listed: Iterable[str] = (), resolve: Resolve | None = None) -> None:
        self._listed = tuple(_parsed(entry) for entry in listed)
        self._resolve = resolve or _resolve

    async def checked(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of the host, all of them allowed. Raises BadToolArguments for a refused one, ToolUnavailable for an unknown name."""
        found = tuple(dict.fromkeys(await self._resolve(host, port)))
        if self._lists_name(host, port):
            return found
        for text in found:
            address = ipaddress.ip_address(text)
            if not is_public(address) and not self._lists_address(address, port):
                known = "" if text == host else f" ({text})"
                raise BadToolArguments(
                    f"{host}{known} is not a public address, and workflows must not reach it.",
                    f"The operator can list it in the setting fetch_private_hosts, as {_entry(host, port)}.",
                )
        return found

    def _lists_name(self, host: str, port: int) -> bool:
        name = host.lower().rstrip(".")
        return any(entry.name == name and entry.port in (None, port) for entry in self._listed)

    def _lists_address(self, address: _Address, port: int) -> bool:
        plain = _embedded(address) or address
        return any(
            entry.network is not None and plain in entry.network and entry.port in (None, port)
            for entry in self._listed
        )


def is_public(address: _Address) -> bool:
    """A unicast address of the open internet: not private, loopback, link-local, multicast, reserved or a tunnel's."""
    if (inner := _embedded(address)) is not None:
        address = inner
    if address == _WIRE_SERVER or any(address in tunnel for tunnel in _TUNNELS if tunnel.version == address.version):
        return False
    if address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False):
        return False
    return address.is_global


def check_listed(entry: str) -> None:
    """Raise ValueError when an entry of the operator's list cannot be read."""
    _parsed(entry)


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: `::ffff:127.0.0.1`, and NAT64."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped


def _parsed(entry: str) -> _Listed:
    text = entry.strip()
    if (network := _network(text.strip("[]"))) is not None:
        return _Listed(None, network, None)
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, ""
    if not host or "/" in host or (port and not port.isdecimal()) or (colon and not port):
        raise ValueError(f"{entry!r} is not a host, an address or a network, with a port or without")
    network = _network(host.strip("[]"))
    return _Listed(None if network else host.lower().rstrip("."), network, int(port) if port else None)


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _entry(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        rows = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise ToolUnavailable(f"The host name {host} is unknown.", "Check the spelling of the URL.") from None
    except UnicodeError:
        raise BadToolArguments(f"{host!r} is not a host name.") from None
    return [str(row[4][0]) for row in rows]
