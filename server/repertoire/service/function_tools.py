"""FunctionSource: the functions of an operator's Python file as a source of tools, run in a worker; used when the catalog is built.

The signature gives the schema, as with a workflow. A changed file is read again at the next use. The file's secrets are variables of the
server's environment that `__tools__` names: the worker that runs the function has them, the workflow that calls it has not.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import anyio
import anyio.to_thread

from ..engine.function_calls import FunctionCalls
from ..errors import Refused
from ..limits import Limits
from ..model.workflow_version import WorkflowVersion
from ..registry.tool_file import ToolFile, ToolOptions, read_tool_file
from ..upstream.identifiers import RESERVED_SOURCES, identifier
from ..upstream.tool import BadToolArguments, Tool, ToolContext, ToolFailed, ToolTimeout, ToolUnavailable
from ..upstream.variables import AddSecret
from ..wire import Fault, Inspected

logger = logging.getLogger(__name__)

Inspect = Callable[[WorkflowVersion, Mapping[str, str]], Awaitable[Inspected | Fault]]
"""Loads a version in a worker and reads its schemas: the engine's."""


class _Read(NamedTuple):
    file: ToolFile
    stamps: tuple[Any, ...]
    tools: tuple[Tool, ...]
    trouble: str | None


class FunctionSource:
    def __init__(
        self,
        path: str,
        inspect: Inspect,
        calls: FunctionCalls,
        limits: Limits,
        add_secret: AddSecret = lambda value, name: None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._inspect = inspect
        self._calls = calls
        self._limits = limits
        self._add_secret = add_secret
        self._environ = os.environ if environ is None else environ
        self._lock = anyio.Lock()
        self._read: _Read | None = None
        self._problem: str | None = None

    @property
    def name(self) -> str:
        return identifier(os.path.basename(self._path).removesuffix(".py"), RESERVED_SOURCES)

    @property
    def definition(self) -> str:
        """The path of its file, which it reads again by itself."""
        return self._path

    @property
    def trouble(self) -> str | None:
        return self._problem or (self._read.trouble if self._read is not None else None)

    async def list_tools(self) -> tuple[Tool, ...]:
        return (await self._current()).tools

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        read = await self._current()
        version = read.file.versions.get(tool.original)
        if version is None:
            raise ToolUnavailable(f"{os.path.basename(self._path)} no longer has the function {tool.original}.")
        env = {**context.env, **self._secrets(read.file.options)}
        try:
            found = await self._calls.call(version, arguments, env, context.progress)
        except TimeoutError:
            seconds = version.options.timeout_s or self._limits.run_timeout_s
            raise ToolTimeout(
                f"{tool.path} took longer than {seconds:g} s and was ended.",
                "Ask it for less. The operator sets the limit: timeout_s in __tools__.",
            ) from None
        if isinstance(found, Fault):
            raise _error_of(tool, found)
        return found

    async def aclose(self) -> None:
        """The pool ends its workers."""

    async def _current(self) -> _Read:
        """The file as it is now, read again if it has changed; or as it was before it became unusable. Raises ToolUnavailable."""
        async with self._lock:
            if self._read is None or self._read.stamps != _stamps(self._read.file.files):
                try:
                    self._read = await self._load()
                except Refused as error:
                    self._problem = f"{os.path.basename(self._path)}: {error.message}"
                    if self._read is None:
                        raise ToolUnavailable(self._problem, error.hint) from None
                else:
                    self._problem = None
            return self._read

    async def _load(self) -> _Read:
        file = await anyio.to_thread.run_sync(read_tool_file, self._path, self._limits)
        stamps, env = _stamps(file.files), self._secrets(file.options)
        tools: list[Tool] = []
        troubles: list[str] = []
        for name, version in file.versions.items():
            found = await self._inspect(version, env)
            if isinstance(found, Fault):
                troubles.append(f"{name}: {found.message}")
            else:
                tools.append(self._tool(version, found, file.options))
        return _Read(file, stamps, tuple(tools), "; ".join(dict.fromkeys(troubles)) or None)

    def _tool(self, version: WorkflowVersion, read: Inspected, options: ToolOptions) -> Tool:
        return Tool(
            source=self.name,
            name=identifier(version.name),
            original=version.name,
            description=version.description,
            input_schema=json.loads(read.input_schema),
            output_schema=json.loads(read.output_schema) or None,
            only_reads=version.name in options.only_reads,
            is_destructive=version.name in options.destructive,
        )

    def _secrets(self, options: ToolOptions) -> dict[str, str]:
        found = {name: self._environ[name] for name in options.env if name in self._environ}
        for name, value in found.items():
            self._add_secret(value, name)
        return found


def _error_of(tool: Tool, fault: Fault) -> Exception:
    if fault.code == "invalid_arguments":
        return BadToolArguments(fault.message, fault.hint)
    if fault.traceback:
        logger.warning("%s failed\n%s", tool.path, fault.traceback)
    return ToolFailed(f"{tool.path} failed: {fault.type}: {fault.message}", fault.hint)


def _stamps(files: tuple[str, ...]) -> tuple[Any, ...]:
    """When each file was changed; None for one that is not there."""
    found: list[Any] = []
    for path in files:
        try:
            about = os.stat(path)
            found.append((about.st_mtime_ns, about.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
