"""Own sources: `fetch`, and the commands and HTTP APIs that are defined in folders of tools; used by the app when it builds the catalog."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from .addresses import AddressRules, check_listed
from .commands import CommandSource
from .config import ServerConfig, servers_of
from .definitions import SHIPPED, read_definitions, shipped_command
from .fetch import Fetch
from .masks import Masks
from .openapi import ApiSource
from .tool import Source, Tool, ToolContext


class OwnSources(NamedTuple):
    """`servers` are MCP servers of definitions (`type: mcp`). `troubles` are sentences, by the path of a file or the name of a setting.
    `files` are the paths of definitions, by source."""

    sources: tuple[Source, ...]
    servers: tuple[ServerConfig, ...]
    troubles: dict[str, str]
    files: dict[str, str]


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
    sources: list[Source] = [Fetch(rules, mask=masks.mask)]
    servers: list[ServerConfig] = []
    for folder, definitions in found.items():
        servers += servers_of(definitions.servers, Path(folder), environ, masks)
        for api in definitions.apis:
            sources.append(ApiSource(api.definition, masks.add, mask=masks.mask, folder=folder, environ=environ))
        for definition, own_folder in definitions.commands:
            sources.append(
                CommandSource(definition, rules, masks.add, mask=masks.mask, folder=own_folder, environ=environ)
            )
    names = {*taken, *(server.name for server in servers), *(source.name for source in sources)}
    for name in SHIPPED:
        if name not in names:
            sources.append(_Shipped(name, rules, masks, environ))
    troubles |= {
        os.path.join(folder, name): sentence
        for folder, definitions in found.items()
        for name, sentence in definitions.troubles.items()
    }
    files = {
        name: os.path.join(folder, file)
        for folder, definitions in found.items()
        for name, file in definitions.files.items()
    }
    return OwnSources(tuple(sources), tuple(servers), troubles, files)


class _Shipped:
    """A command that comes with Repertoire. Its definition is read at the first use: a server that starts need not wait for it."""

    def __init__(self, name: str, rules: AddressRules, masks: Masks, environ: Mapping[str, str]) -> None:
        self.name = name
        self._make = partial(CommandSource, rules=rules, add_secret=masks.add, mask=masks.mask, environ=environ)

    @cached_property
    def _source(self) -> CommandSource:
        return self._make(shipped_command(self.name))

    @property
    def trouble(self) -> str | None:
        return self._source.trouble

    async def list_tools(self) -> tuple[Tool, ...]:
        return await self._source.list_tools()

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> str:
        return await self._source.call(tool, arguments, context)

    async def aclose(self) -> None:
        """Each call ends its own program."""
