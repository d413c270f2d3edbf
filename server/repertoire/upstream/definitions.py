"""Definitions: reads the YAML files of a folder of tools, and those that come with Repertoire; used when the catalog is built.

A file defines a command-line tool (py-code-mode's format), an MCP server (`type: mcp`) or an HTTP API (`type: openapi`). A file that cannot
be used is reported in `troubles`, and the others work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from ..errors import BadSettings
from .command_definition import CommandDefinition, parse_command
from .openapi import ApiDefinition, parse_api

_SHIPPED: Final = Path(__file__).parent / "shipped"
_MAX_BYTES: Final = 1024 * 1024


class Command(NamedTuple):
    definition: CommandDefinition
    folder: str


class Api(NamedTuple):
    definition: ApiDefinition
    folder: str


class Definitions(NamedTuple):
    """`servers` are entries as `mcpServers` has them, by name. `troubles` are sentences by file name, `files` file names by source."""

    commands: tuple[Command, ...]
    apis: tuple[Api, ...]
    servers: dict[str, dict[str, Any]]
    troubles: dict[str, str]
    files: dict[str, str]


def read_definitions(folder: Path) -> Definitions:
    """All `*.yaml` and `*.yml` of the folder; nothing if there is no folder. Files whose names begin with `_` or `.` are left out."""
    commands: list[Command] = []
    apis: list[Api] = []
    servers: dict[str, dict[str, Any]] = {}
    troubles: dict[str, str] = {}
    files: dict[str, str] = {}
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        if path.name.startswith(("_", ".")):
            continue
        try:
            data = _read(path)
            files[str(data.get("name", path.stem))] = path.name
            kind = data.get("type", "cli")
            if kind == "mcp":
                servers[str(data.get("name", path.stem))] = _server(data)
            elif kind == "openapi":
                apis.append(Api(parse_api({"name": path.stem} | data), str(folder)))
            else:
                commands.append(Command(parse_command({"name": path.stem} | data), str(folder)))
        except BadSettings as error:
            troubles[path.name] = " ".join(filter(None, (f"{path.name}: {error.message}.", error.hint)))
    return Definitions(tuple(commands), tuple(apis), servers, troubles, files)


def python_files(folder: Path) -> tuple[Path, ...]:
    """The Python files of a folder of tools. Those whose names begin with `_` are modules that the others import."""
    return tuple(path for path in sorted(folder.glob("*.py")) if not path.name.startswith(("_", ".")))


SHIPPED: Final = ("curl", "git", "grep")
"""The commands that come with Repertoire."""


def shipped_command(name: str) -> CommandDefinition:
    return parse_command(_read(_SHIPPED / f"{name}.yaml"))


def _read(path: Path) -> dict[str, Any]:
    import yaml  # here: a server without definitions does not need it

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadSettings(f"it is larger than {_MAX_BYTES // 1024:,} KiB")
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise BadSettings(f"it cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadSettings(f"it is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise BadSettings("it is not a mapping with `name`, `command`, `schema` and `recipes`")
    return data


def _server(data: dict[str, Any]) -> dict[str, Any]:
    """py-code-mode's `type: mcp` as an entry of `mcpServers`."""
    entry = {
        key: value for key, value in data.items() if key not in ("name", "type", "transport", "description", "tags")
    }
    transport = data.get("transport", "stdio")
    return entry if transport == "stdio" else entry | {"type": {"streamable-http": "http"}.get(transport, transport)}
