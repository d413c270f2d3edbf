"""PyFlue: the names of the module `pyflue`, for files with `from pyflue import FlueContext, create_agent, PyFlueClient`. Used by `hook`."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..authoring.context import Context as FlueContext
from ..authoring.unavailable import AgentDefinition, create_agent
from ..values.refusals import NotAvailable

__all__ = ["AgentDefinition", "FlueContext", "PyFlueClient", "create_agent"]

_INSTEAD: Final = {
    "init": "ctx.init(agent)",
    "init_agent": "ctx.init(agent)",
    "define_agent_profile": "create_agent",
}


class PyFlueClient:
    """A stand-in for the client of PyFlue's HTTP server. Making one raises NotAvailable and names the replacement."""

    def __init__(self, base_url: str = "", **options: Any) -> None:
        raise NotAvailable(
            "PyFlueClient speaks to PyFlue's server, and this is Repertoire",
            hint="Use repertoire_client.RepertoireClient, or any MCP client: every workflow is a tool.",
        )


def __getattr__(name: str) -> NoReturn:
    """Raise ImportError: for `from pyflue import name`, Python replaces the message of any AttributeError."""
    if name.startswith("__"):
        raise AttributeError(name)
    instead = f"use {_INSTEAD[name]} instead" if name in _INSTEAD else f"there are {', '.join(__all__)}"
    raise ImportError(f"Repertoire has no {name!r} in place of pyflue's; {instead}", name=f"pyflue.{name}")
