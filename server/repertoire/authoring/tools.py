"""Tools: the namespace `tools` of a body: functions outside of Repertoire, which the host calls and records. Used by workflow files.

`tools.github.create_issue(title="...")` and `tools.fetch(url="...")` work with and without `await`. Which tools there are, and which of
them the workflow may use, only the host knows: any name can be written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from .door import Door
from .durable import in_a_run

_MOST_RETRIES: Final = 10
_VERBS: Final[dict[str, tuple[str, ...]]] = {"list": (), "search": ("query", "limit")}
"""Functions of the namespace itself, with their parameters in order."""


class Tools:
    """`tools.SOURCE.NAME(**arguments)` calls a tool and gives its answer. A failure is a CallError with the tool's own text.

    `list()`, `search(query, limit=5)`, `SOURCE.list()`, `SOURCE.describe()` and `SOURCE.NAME.describe()` say which there are.
    `tools.SOURCE.NAME.with_options(retries=2, timeout=10)(**arguments)` calls one again after a failure, and not for longer than that.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python itself looks such names up
            raise AttributeError(name)
        return _verb_door(name) if name in _VERBS else ToolName(name)

    def __getitem__(self, path: str) -> ToolName:
        """A tool whose name is known at run time: `tools["github.create_issue"](title="...")`."""
        if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")):
            raise TypeError(f"tools[name]: the name is a text as 'github.create_issue', got {str(path)[:100]!r}")
        return ToolName(path)

    def __contains__(self, name: object) -> bool:
        raise TypeError(f"{name!r} in tools: tools.list() tells which there are")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("iterating over tools: tools.list() gives them")

    def __repr__(self) -> str:
        return "<tools>"


class ToolName(Door[..., Any]):
    """A tool, or a source of tools, by the name that the body has written."""

    def __init__(self, path: str, options: Mapping[str, Any] | None = None) -> None:
        request = partial(_request, path, options or {})
        what = f"tools.{path}(...)"
        super().__init__(
            lambda *args, **kwargs: in_a_run(what).call(*request(args, kwargs)),
            lambda *args, **kwargs: in_a_run(what).acall(*request(args, kwargs)),
        )
        self.__name__ = f"tools.{path}"
        self.__doc__ = None
        self._path = path

    def __getattr__(self, name: str) -> ToolName:
        if name.startswith("__"):
            raise AttributeError(name)
        return ToolName(f"{self._path}.{name}")

    def with_options(self, *, retries: int = 0, timeout: float | None = None) -> Callable[..., Any]:
        """The same tool, called at most `retries` times more after a failure. Each call may take `timeout` seconds."""
        if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= _MOST_RETRIES:
            raise TypeError(f"with_options(retries): a whole number from 0 to {_MOST_RETRIES}, got {retries!r}")
        options: dict[str, Any] = {"retries": retries} if retries else {}
        if timeout is not None:
            if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
                raise TypeError(f"with_options(timeout): seconds, more than 0, got {timeout!r}")
            options["timeout"] = timeout
        return ToolName(self._path, options)


def _request(
    path: str, options: Mapping[str, Any], args: tuple[Any, ...], arguments: dict[str, Any]
) -> tuple[str, dict[str, Any], str]:
    if args:
        raise TypeError(f"tools.{path}(...): name the arguments, as in tools.{path}(url='...')")
    return "tool", {"tool": path, "arguments": arguments, **options}, path


def _verb_door(verb: str) -> Door[..., Any]:
    what = f"tools.{verb}()"
    return Door(
        lambda *args, **kwargs: in_a_run(what).call(*_verb_request(verb, args, kwargs)),
        lambda *args, **kwargs: in_a_run(what).acall(*_verb_request(verb, args, kwargs)),
    )


def _verb_request(verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    names = _VERBS[verb]
    if len(args) > len(names) or not kwargs.keys() <= set(names):
        raise TypeError(f"tools.{verb}({', '.join(names)})")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return f"tools.{verb}", given, str(given.get("query") or "")


tools: Final = Tools()
