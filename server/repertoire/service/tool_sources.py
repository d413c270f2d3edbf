"""Tool sources: makes every source of tools of a home, from its settings and its folders; used by the app. Nothing is started or read yet.

The first source of a name is used: `fetch`, then the definitions and Python files of the folders, then `mcp.json`, then what comes with
Repertoire.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from anyio.abc import TaskGroup

from ..engine.function_calls import FunctionCalls
from ..errors import BadSettings
from ..limits import Limits
from ..upstream.config import ServerConfig, read_servers
from ..upstream.definitions import python_files
from ..upstream.masks import Masks
from ..upstream.own_sources import own_sources
from ..upstream.tool import Source
from .function_tools import FunctionSource, Inspect


class ToolSources(NamedTuple):
    """`troubles` are sentences for the operator, by the path of a file or the name of a setting. `files`: the file of each source that has
    one."""

    sources: tuple[Source, ...]
    troubles: dict[str, str]
    files: dict[str, str]


def tool_sources(
    folders: Sequence[str],
    mcp_file: str,
    private_hosts: Sequence[str],
    masks: Masks,
    tasks: TaskGroup,
    inspect: Inspect,
    calls: FunctionCalls,
    limits: Limits,
) -> ToolSources:
    """All sources. A file that cannot be used is a trouble, and the others work."""
    troubles: dict[str, str] = {}
    configured: tuple[ServerConfig, ...] = ()
    try:
        configured = read_servers(Path(mcp_file), os.environ, masks)
    except BadSettings as error:
        troubles[mcp_file] = " ".join(filter(None, (f"{error.message}.", error.hint)))
    files = [str(path) for folder in dict.fromkeys(folders) for path in python_files(Path(folder))]
    functions = [FunctionSource(path, inspect, calls, limits, masks.add) for path in files]
    taken = [*(server.name for server in configured), *(source.name for source in functions)]
    own = own_sources(folders, private_hosts, masks, taken=taken)
    servers = _mcp_servers((*own.servers, *configured), tasks, masks)
    origins = {server.name: mcp_file for server in configured} | own.files
    return ToolSources((*own.sources, *functions, *servers), troubles | own.troubles, origins)


def _mcp_servers(configs: tuple[ServerConfig, ...], tasks: TaskGroup, masks: Masks) -> tuple[Source, ...]:
    if not configs:
        return ()
    from ..upstream.mcp_servers import mcp_servers  # here: a short command without servers does not pay for the SDK

    return mcp_servers(configs, tasks, masks)
