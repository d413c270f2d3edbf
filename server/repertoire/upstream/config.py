"""Configuration of MCP servers: reads a standard `mcpServers` file, such as `HOME/mcp.json`; used by the app. It starts nothing.

The file may be shared with other hosts, so keys that we do not know are theirs and are left alone. Options of ours are under the key
`repertoire` of a server, and those are checked. A server with a fault is still listed, with the fault as its trouble: the other servers work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ..errors import BadSettings
from .identifiers import RESERVED_SOURCES, unique_identifiers
from .masks import Masks
from .tool import ToolUnavailable
from .variables import add_if_secret, expanded

Kind = Literal["stdio", "http", "sse"]

_KINDS: Final[dict[str, Kind]] = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "sse": "sse",
}
_OTHER_VARIABLE: Final = re.compile(r"\$\{(?!env:)[A-Za-z]+:[^-}][^}]*\}")
"""Such as `${input:token}` of VS Code."""


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ours for one server, under the key `repertoire`."""

    timeout_s: float = 60.0
    """One call. The time in which a person answers a question is not counted."""
    connect_timeout_s: float = 30.0
    """From the start of the server to the end of the handshake: `npx` may have to download first."""
    max_message_mb: float = 16.0
    """One message of the server, such as an answer."""
    protocol: Literal["auto", "legacy"] = "auto"
    """`legacy`: do not ask for the protocol of 2026 first. For servers that hang when they are asked."""
    tools: tuple[str, ...] | None = None
    """Only these tools exist, as patterns of the server's own names. Not given: all."""
    destructive: tuple[str, ...] = ()
    """Patterns of tools that count as destructive, even if the server does not say so."""
    key_parameters: dict[str, str] = {}
    """By tool: the parameter that takes an idempotency key."""


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One server. `original` is its name in the file. Texts are expanded, so they hold secrets."""

    name: str
    original: str
    kind: Kind = "stdio"
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    options: ServerOptions = ServerOptions()
    trouble: str | None = None
    """Why it cannot be used as it is written, in a sentence."""

    def __repr__(self) -> str:
        return f"ServerConfig({self.original!r})"


class _Fault(Exception):
    """Raised when one server's entry cannot be used."""


def read_servers(path: Path, environ: Mapping[str, str], masks: Masks) -> tuple[ServerConfig, ...]:
    """The servers of a file, none if there is no file. Their secrets are added to `masks`. Raises BadSettings for a broken file."""
    try:
        document = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadSettings(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadSettings(f"{path} is not JSON: {error}", "Correct the file, or move it away.") from error
    entries = document.get("mcpServers", document.get("servers", {})) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise BadSettings(
            f'{path} has no object "mcpServers"', 'It must be {"mcpServers": {"NAME": {"command": ...}}}.'
        )
    return servers_of(entries, path.resolve().parent, environ, masks)


def servers_of(
    entries: Mapping[str, Any], folder: Path, environ: Mapping[str, str], masks: Masks
) -> tuple[ServerConfig, ...]:
    """The servers of entries as `mcpServers` has them. Relative paths begin at `folder`."""
    names = unique_identifiers(entries, RESERVED_SOURCES)
    reader = _Reader(folder, environ, masks)
    return tuple(
        reader.server(names[original], original, entry)
        for original, entry in entries.items()
        if not (isinstance(entry, dict) and entry.get("disabled") is True)
    )


class _Reader:
    """Reads the entries of one file."""

    def __init__(self, folder: Path, environ: Mapping[str, str], masks: Masks) -> None:
        self._folder = folder
        self._environ = environ
        self._masks = masks

    def server(self, name: str, original: str, entry: Any) -> ServerConfig:
        try:
            return self._server(name, original, entry)
        except _Fault as fault:
            return ServerConfig(name=name, original=original, trouble=str(fault))

    def _server(self, name: str, original: str, entry: Any) -> ServerConfig:
        if not isinstance(entry, dict):
            raise _Fault("Its entry is not an object.")
        kind = _kind(entry)
        headers = self._texts(entry, "headers")
        env = self._texts(entry, "env")
        for key, value in (*headers.items(), *env.items()):
            add_if_secret(value, key, self._masks.add)
        url = self._text(entry, "url")
        if kind != "stdio":
            self._check_url(url)
        elif not entry.get("command"):
            raise _Fault('It has neither "command" nor "url".')
        return ServerConfig(
            name=name,
            original=original,
            kind=kind,
            command=self._text(entry, "command"),
            args=tuple(self._expanded(text, "args") for text in _list_of(entry, "args")),
            env=env,
            cwd=str(self._folder / self._text(entry, "cwd")),
            url=url,
            headers=headers,
            options=_options(entry),
        )

    def _text(self, entry: dict[str, Any], key: str) -> str:
        return self._expanded(entry.get(key, ""), key)

    def _texts(self, entry: dict[str, Any], key: str) -> dict[str, str]:
        found = entry.get(key) or {}
        if not isinstance(found, dict):
            raise _Fault(f'"{key}" is not an object.')
        return {str(name): self._expanded(value, key) for name, value in found.items()}

    def _expanded(self, text: Any, key: str) -> str:
        """The text with `${env:X}`, `${X}` and `${X:-default}` replaced."""
        if isinstance(text, int | float) and not isinstance(text, bool):
            text = str(text)
        if not isinstance(text, str):
            raise _Fault(f'A value in "{key}" is not a text.')
        if "\0" in text:
            raise _Fault(f'A value in "{key}" contains a NUL.')
        try:
            found = expanded(text, self._environ, self._masks.add, short=True)
        except ToolUnavailable as error:
            raise _Fault(error.message) from error
        if other := _OTHER_VARIABLE.search(text):
            raise _Fault(f"{other[0]} is not supported here: use ${{env:NAME}}.")
        return found

    def _check_url(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            password = parts.password
        except ValueError:
            is_usable, password = False, None
        if not is_usable:
            raise _Fault('Its "url" is not an http or https address.')
        self._masks.add(password or "", "password")
        for key, value in parse_qsl(parts.query):
            add_if_secret(value, key, self._masks.add)


def _kind(entry: dict[str, Any]) -> Kind:
    given = entry.get("type", entry.get("transport"))
    if given is None:
        return "http" if "url" in entry else "stdio"
    if not isinstance(given, str) or given not in _KINDS:
        raise _Fault(f'Its "type" is {given!r}; it can be stdio, http or sse.')
    return _KINDS[given]


def _list_of(entry: dict[str, Any], key: str) -> list[Any]:
    found = entry.get(key) or []
    if not isinstance(found, list):
        raise _Fault(f'"{key}" is not a list.')
    return found


def _options(entry: dict[str, Any]) -> ServerOptions:
    try:
        options = msgspec.convert(entry.get("repertoire") or {}, ServerOptions)
    except msgspec.ValidationError as error:
        raise _Fault(f'"repertoire": {error}.') from error
    if min(options.timeout_s, options.connect_timeout_s, options.max_message_mb) <= 0:
        raise _Fault('"repertoire": a limit must be above 0.')
    return options
