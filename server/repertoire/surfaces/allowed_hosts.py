"""Allowed hosts: the Host and Origin headers that the HTTP door accepts; used by http.py.

The SDK alone checks them only on loopback.
"""

from __future__ import annotations

import ipaddress
import re

from mcp.server.transport_security import TransportSecuritySettings


def transport_security(host: str) -> TransportSecuritySettings:
    names = _names(host)
    return TransportSecuritySettings(
        allowed_hosts=[*names, *(f"{name}:*" for name in names)],
        allowed_origins=[
            f"{scheme}://{name}{port}" for scheme in ("http", "https") for name in names for port in ("", ":*")
        ],
    )


def _names(host: str) -> list[str]:
    """The host names under which clients may reach this server."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    return names if host in ("127.0.0.1", "localhost", "::1") else [*names, f"[{host}]" if ":" in host else host]


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_pattern(host: str) -> str:
    """A pattern for the origins that `transport_security` allows, at any port."""
    return f"https?://({'|'.join(map(re.escape, _names(host)))})(:[0-9]+)?"
