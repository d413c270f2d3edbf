"""Tool: a function outside of Repertoire that a workflow body calls as `tools.SOURCE.NAME(...)`, and the contract of its source.

Used by every source of this package, by the catalog, and by the door that carries out a body's call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from ..errors import RepertoireError


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """`source` and `name` are Python identifiers, `original` is the source's own name for it. The schemas are JSON Schema 2020-12.

    A tool with the name of its source is called as `tools.fetch(...)`, and as `tools.fetch.fetch(...)`.
    """

    source: str
    name: str
    original: str
    description: str = ""
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] | None = None
    only_reads: bool = False
    is_destructive: bool = False
    """A person may have to approve each call."""
    key_parameter: str | None = None
    """The parameter that takes an idempotency key, if there is one."""

    @property
    def path(self) -> str:
        """The name that allow-lists, events and records use: `github.create_issue`, or `fetch` where both names are the same."""
        return self.source if self.name == self.source else f"{self.source}.{self.name}"


class Blob(msgspec.Struct, frozen=True):
    """Bytes in a tool's answer, such as an image. The door makes an artifact of them."""

    data: bytes
    mime_type: str


class ToolContext(NamedTuple):
    """Surroundings of one call. All come from the run; a source has no other way to reach it."""

    key: str
    """The same each time the call is made again: an idempotency key."""
    progress: Callable[[float, float | None, str | None], None]
    """Tell the run's watchers how far the call is: done, total, message. Never fails, never waits."""
    ask: Callable[[str, dict[str, Any]], Awaitable[Any]]
    """Ask the run's watchers a question with a JSON Schema for its answer. It may wait for days. Raises CallFailed when it expires."""
    env: Mapping[str, str]
    """The caller's listed environment variables."""


class ToolFailed(RepertoireError):
    """Raised when the tool itself says that it failed. The message is the tool's own text."""

    code = "tool_failed"


class ToolUnavailable(RepertoireError):
    """Raised when the tool cannot be reached: its server does not start, died, hangs, or no longer has the tool."""

    code = "tool_unavailable"


class ToolTimeout(RepertoireError):
    """Raised when a call took longer than its source's time limit."""

    code = "tool_timeout"


class BadToolArguments(RepertoireError):
    """Raised when the arguments do not fit the tool's schema. Nothing was sent."""

    code = "bad_tool_arguments"


class UnknownTool(RepertoireError):
    """Raised when no source has a tool of that name. The hint names similar ones."""

    code = "unknown_tool"


class ToolNotAllowed(RepertoireError):
    """Raised when the workflow may not use the tool."""

    code = "tool_not_allowed"


class ToolRefused(RepertoireError):
    """Raised when a person did not allow the call. Nothing was sent."""

    code = "tool_refused"


class Source(Protocol):
    """One source of tools. Its name is a Python identifier, unique among the sources of a home."""

    @property
    def name(self) -> str: ...

    @property
    def trouble(self) -> str | None:
        """Why it does not work now, in a sentence for the operator. None: no trouble is known."""

    async def list_tools(self) -> tuple[Tool, ...]:
        """All tools. Connects at first use; later it answers from memory until the tools have changed. Raises ToolUnavailable."""

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        """The answer: a JSON value, in which a Blob may stand anywhere. The arguments were checked against the schema.

        Raises ToolFailed, ToolUnavailable, ToolTimeout, BadToolArguments.
        """

    async def aclose(self) -> None:
        """End its processes and connections."""
