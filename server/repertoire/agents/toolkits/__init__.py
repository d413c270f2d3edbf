"""Toolkits: sets of functions for agents, by the class names that workflow files use. Used by workflow files, through `compat`.

A toolkit can be made without its package and its key. A call then raises and says what to install or to set. `toolkit` is the base class,
`missing` makes a class for a toolkit that we do not have; the other modules hold the toolkits themselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from .missing import missing_toolkit
from .toolkit import Function, FunctionCall, Tool, Toolkit, ToolRegistry, tool

__all__ = ["Function", "FunctionCall", "Tool", "ToolRegistry", "Toolkit", "tool", "toolkit_class"]

_HOMES: Final = {
    "articles": "ArxivTools Newspaper4kTools NewspaperTools WebsiteTools WikipediaTools",
    "finance": "FinancialDatasetsTools YFinanceTools",
    "keyed": "ExaTools FirecrawlTools JinaReaderTools ResendTools ScrapeGraphTools SerperTools TavilyTools",
    "local": "CalculatorTools FileTools PythonTools ShellTools SleepTools",
    "mcp": "MCPTools MultiMCPTools",
    "thinking": "ReasoningTools ThinkingTools",
    "web_search": "DuckDuckGoTools GoogleSearchTools HackerNewsTools",
}
_MODULES: Final = {name: module for module, names in _HOMES.items() for name in names.split()}
_OLDER: Final = {
    "ArxivToolkit": "ArxivTools", "Calculator": "CalculatorTools", "DuckDuckGo": "DuckDuckGoTools", "GoogleSearch": "GoogleSearchTools",
    "HackerNews": "HackerNewsTools", "Newspaper4k": "Newspaper4kTools", "NewspaperToolkit": "NewspaperTools", "Sleep": "SleepTools",
}  # fmt: skip
"""Names of phi, and the present ones."""


def __getattr__(name: str) -> Any:
    """A toolkit by its name. Its module is imported at the first use."""
    module = _MODULES.get(_OLDER.get(name, name))
    if module is None:
        raise AttributeError(name)
    return getattr(import_module(f".{module}", __name__), _OLDER.get(name, name))


def toolkit_class(path: str, name: str) -> type[Toolkit]:
    """The toolkit of this name; for one that we do not have a class whose calls say what to do. `path`: `agno.tools.zoom.ZoomTools`."""
    if name in _MODULES or name in _OLDER:
        found: type[Toolkit] = __getattr__(name)
        return found
    return missing_toolkit(path, name)
