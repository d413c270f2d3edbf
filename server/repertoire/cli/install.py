"""`repertoire install HOST`: writes this server's entry into an MCP host's own configuration file; used by commands.py, which prints.

Nothing else in that file changes. The old file is kept beside it as a backup. The new file replaces it in one step. A file that cannot be
read as JSON is not changed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ..errors import BadSettings

ENTRY: Final = "repertoire"
_SERVERS: Final = "mcpServers"
_OF_ANOTHER_TRANSPORT: Final = frozenset({"type", "url", "headers"})
_PRIVATE: Final = 0o600
"""Mode of a new file: hosts keep tokens beside the servers."""


class Host(StrEnum):
    """The hosts whose configuration is known."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"


@dataclass(frozen=True)
class Plan:
    """An install before it is written. `old` is None where there is no file yet."""

    path: Path
    entry: dict[str, Any]
    old: bytes | None
    new: bytes

    @property
    def changes(self) -> bool:
        return self.old != self.new


def plan(host: Host, session: str | None = None, home: str | None = None) -> Plan:
    """Read the host's file and work out the new one. Raises BadSettings where it is not a JSON object."""
    path = config_file(host)
    old = _read(path)
    config = _object(old, path)
    servers = config.setdefault(_SERVERS, {})
    if not isinstance(servers, dict):
        raise _unusable(path, f"its {_SERVERS!r} is not an object")
    entry = _entry(host, session or host.value, home)
    before = servers.get(ENTRY)
    if isinstance(before, dict):  # a user's `env` and the like stay
        entry = {key: value for key, value in before.items() if key not in _OF_ANOTHER_TRANSPORT} | entry
    if old is not None and before == entry:  # the file keeps its own format
        return Plan(path, entry, old, old)
    servers[ENTRY] = entry
    return Plan(path, entry, old, _text(config))


def carry_out(planned: Plan) -> Path | None:
    """Write the plan. Returns the backup's path, or None where there was no file. Raises BadSettings where that is impossible."""
    path = planned.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _read(path) != planned.old:  # hosts write their file while they run
            raise BadSettings(f"{path} has changed in the meantime; nothing was written.", "Run the command again.")
        mode = _PRIVATE if planned.old is None else path.stat().st_mode & 0o777
        backup = None if planned.old is None else _back_up(path, planned.old, mode)
        _replace(path, planned.new, mode)
    except OSError as error:
        raise BadSettings(f"{path} cannot be written: {error.strerror}.") from error
    return backup


def config_file(host: Host, platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """The host's configuration file; where that is a symbolic link, the file that it names."""
    return Path(os.path.realpath(_place(host, platform, environ)))


def _place(host: Host, platform: str, environ: Mapping[str, str]) -> Path:
    user = Path(environ.get("HOME") or Path.home())
    match host:
        case Host.CURSOR:
            return user / ".cursor" / "mcp.json"
        case Host.CLAUDE_CODE:
            return user / ".claude.json"
    if platform == "darwin":
        return user / "Library" / "Application Support" / "Claude" / "claude_desktop_config.json"
    configured = environ.get("XDG_CONFIG_HOME", "")
    base = Path(configured) if os.path.isabs(configured) else user / ".config"
    return base / "Claude" / "claude_desktop_config.json"


def own_command() -> list[str]:
    """The command that starts the `repertoire` of this process, with absolute paths: hosts have neither its environment nor its folder."""
    script = Path(sys.executable).parent / "repertoire"
    return [str(script)] if script.is_file() else [sys.executable, "-m", "repertoire"]


def _entry(host: Host, session: str, home: str | None) -> dict[str, Any]:
    command, *arguments = own_command()
    arguments += ["serve", "--session", session]
    if home is not None:
        arguments += ["--home", os.path.abspath(os.path.expanduser(home))]
    kind = {"type": "stdio"} if host is Host.CLAUDE_CODE else {}
    return {**kind, "command": command, "args": arguments}


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}.") from error


def _object(text: bytes | None, path: Path) -> dict[str, Any]:
    """The configuration. An empty file is an empty one: some hosts make such a file."""
    if text is None or not text.strip():
        return {}
    try:
        config = json.loads(text)
    except ValueError as error:  # UnicodeDecodeError is one too
        raise _unusable(path, f"it is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise _unusable(path, "it is not a JSON object")
    return config


def _unusable(path: Path, why: str) -> BadSettings:
    return BadSettings(f"{path} is left as it is, because {why}.", "Mend that file, then run the command again.")


def _text(config: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half an emoji, where a host has cut a text: only an escape can write it
        return (json.dumps(config, indent=2) + "\n").encode()


def _back_up(path: Path, content: bytes, mode: int) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    backup = path.with_name(f"{path.name}.{moment}.bak")
    _replace(backup, content, mode)
    return backup


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write the whole file or nothing. The temporary file is readable by this user only."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
