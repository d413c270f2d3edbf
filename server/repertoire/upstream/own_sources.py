"""Own sources: `fetch`, and the commands and HTTP APIs that are defined in folders of tools; used by the app when it builds the catalog."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .addresses import AddressRules, check_listed
from .commands import CommandSource
from .config import ServerConfig, servers_of
from .definitions import Command, Definitions, read_definitions, shipped_commands
from .fetch import Fetch
from .masks import Masks
from .openapi import ApiSource
from .tool import Source


class OwnSources(NamedTuple):
    """`servers` are MCP servers of definitions (`type: mcp`). `troubles` are sentences, by the path of a file or the name of a setting."""

    sources: tuple[Source, ...]
    servers: tuple[ServerConfig, ...]
    troubles: dict[str, str]


def own_sources(
    folders: Iterable[str],
    private_hosts: Iterable[str],
    masks: Masks,
    environ: Mapping[str, str] | None = None,
    taken: Iterable[str] = (),
) -> OwnSources:
    """The sources of the folders, and those that come with Repertoire: `fetch`, and the commands whose names are not taken.

    `private_hosts` can be reached by `fetch` and by `curl` although their addresses are not public. A wrong entry is a trouble.
    """
    environ = os.environ if environ is None else environ
    troubles: dict[str, str] = {}
    listed = []
    for entry in private_hosts:
        try:
            check_listed(entry)
            listed.append(entry)
        except ValueError as error:
            troubles["fetch_private_hosts"] = f"fetch_private_hosts: {error}."
    rules = AddressRules(listed)
    found = {folder: read_definitions(Path(folder)) for folder in dict.fromkeys(folders)}
    sources: list[Source] = [Fetch(rules)]
    servers: list[ServerConfig] = []
    for folder, definitions in found.items():
        servers += servers_of(definitions.servers, Path(folder), environ, masks)
        for api in definitions.apis:
            sources.append(ApiSource(api.definition, masks.add, folder=folder, environ=environ))
    for definition, folder in _commands(found.values(), {*taken, *(server.name for server in servers)}):
        sources.append(CommandSource(definition, rules, masks.add, folder=folder, environ=environ))
    troubles |= {
        os.path.join(folder, name): sentence
        for folder, definitions in found.items()
        for name, sentence in definitions.troubles.items()
    }
    return OwnSources(tuple(sources), tuple(servers), troubles)


def _commands(found: Iterable[Definitions], taken: set[str]) -> list[Command]:
    own = [command for definitions in found for command in definitions.commands]
    taken = taken | {command.definition.name for command in own}
    taken |= {api.definition.name for definitions in found for api in definitions.apis}
    return [*own, *(command for command in shipped_commands() if command.definition.name not in taken)]
