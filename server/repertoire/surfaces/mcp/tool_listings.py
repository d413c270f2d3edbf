"""Tool listings: each workflow as a tool of its own, with its listed schemas; used by tools/list, tools/call and tasks.

A listed schema is portable (model/portable_schema.py). So an argument may have another name than its parameter, and a result may not
fit the listed schema.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import mcp_types as types

from ...errors import UnknownWorkflow
from ...model.output_check import Check, fitting
from ...model.portable_schema import DESCRIPTION_UNITS, Portable, portable_input, portable_output
from ...model.session import Caller
from ...model.workflow_version import WorkflowVersion
from ...service import Service
from ...text import cut
from .fixed_tools import WHOSE_STATE, envelope_schema

_MOST_KEPT: Final = 20_000
"""Beyond this number all listings are dropped: making one again takes a millisecond."""


class Listing:
    """One version as a tool of its own."""

    def __init__(self, version: WorkflowVersion) -> None:
        self._version = version
        self._input: Portable = portable_input(version.input_schema, taken=("session_id",))
        self._output = portable_output(version.output_schema).schema

    @cached_property
    def tool(self) -> dict[str, Any]:
        """In wire form: dumping a model anew for each tools/list would be a third of the work."""
        version, options = self._version, self._version.options
        tool = types.Tool(
            name=version.name,
            title=cut(version.title, 200, "…"),
            description=_description(version),
            input_schema=self.input_schema,
            output_schema=envelope_schema(self._output),
            annotations=types.ToolAnnotations(read_only_hint=options.read_only, idempotent_hint=options.idempotent),
        )
        return tool.model_dump(by_alias=True, mode="json", exclude_none=True)

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        listed = self._input.schema
        return {**listed, "properties": {**listed["properties"], "session_id": WHOSE_STATE}}

    @cached_property
    def misfit(self) -> Check:
        """Gives the place in a result (not null) that does not fit the listed schema; None: it fits."""
        return fitting(self._output)

    def own_names(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments under the workflow's own names for its parameters."""
        aliases = self._input.aliases
        if not aliases:
            return arguments
        return {self._own_name(name, arguments): value for name, value in arguments.items()}

    def _own_name(self, name: str, arguments: dict[str, Any]) -> str:
        own = self._input.aliases.get(name, name)
        return name if own in arguments else own  # both were given: the worker says that it knows only one


class Listings:
    """The listing of each version, made at first need."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._made: dict[str, Listing] = {}

    def of(self, version: WorkflowVersion) -> Listing:
        listing = self._made.get(version.hash)
        if listing is None:
            if len(self._made) >= _MOST_KEPT:
                self._made.clear()
            listing = self._made[version.hash] = Listing(version)
        return listing

    def under(self, caller: Caller, name: str) -> Listing | None:
        """The tool that this caller sees under the name now; None: there is no such workflow, or no longer."""
        try:
            return self.of(self._service.library.find(caller, name))
        except UnknownWorkflow:
            return None


def _description(version: WorkflowVersion) -> str:
    return cut(
        version.description or f"The workflow {version.name}.", DESCRIPTION_UNITS, "… (get_workflow has the rest)"
    )
