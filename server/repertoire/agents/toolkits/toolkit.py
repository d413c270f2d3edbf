"""Toolkit: the base class of toolkits, and what they share: packages, keys, HTTP requests. Used by the toolkits and by workflow files."""

from __future__ import annotations

import functools
import inspect
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

_TIMEOUT_S: Final = 30.0
_MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_ERROR: Final = 500


class Toolkit:
    """A set of functions for an agent.

    Args:
        name: The toolkit's name.
        tools: The functions.
        instructions: Instructions for the agent about these functions.
        add_instructions: True to give the agent these instructions.
        include_tools, exclude_tools: Names of the functions to take, or to leave out.
        options: Accepted and kept.
    """

    def __init__(
        self,
        name: str = "toolkit",
        tools: Sequence[Callable[..., Any]] = (),
        instructions: str | None = None,
        add_instructions: bool = False,
        *,
        include_tools: Sequence[str] | None = None,
        exclude_tools: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.instructions = instructions
        self.add_instructions = add_instructions
        self.options = options
        named = {tool.__name__: tool for tool in tools}
        if unknown := {*(include_tools or ()), *(exclude_tools or ())} - named.keys():
            raise ValueError(f"{name} has no {', '.join(sorted(unknown))}; there are {', '.join(named) or 'none'}")
        chosen = named.keys() if include_tools is None else include_tools
        left_out = exclude_tools or ()
        self.functions = {one: tool for one, tool in named.items() if one in chosen and one not in left_out}
        self.tools = list(self.functions.values())

    def register(self, function: Callable[..., Any], name: str | None = None) -> None:
        """Add a function."""
        self.functions[name or function.__name__] = function
        self.tools.append(function)


def tool(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Mark a function as a tool: `@tool` or `@tool(name=..., description=...)`. Other options are kept in `tool_options`."""
    if function is None:
        return functools.partial(tool, **options)
    marked = _forwarder(function)
    marked.__name__ = options.get("name") or marked.__name__
    marked.__doc__ = options.get("description") or marked.__doc__
    marked.__dict__["tool_options"] = options
    return marked


def _forwarder(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls this one, so that the author's own keeps its name."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def forward_async(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return forward_async

    @functools.wraps(function)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return forward


class Function:
    """A function as a tool, with a name and a description of its own. `Function.from_callable(f)` is the function itself."""

    def __new__(
        cls,
        name: str = "",
        description: str | None = None,
        entrypoint: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Any:
        if entrypoint is None:
            raise TypeError("Function(entrypoint=...) wants the Python function")
        return tool(entrypoint, name=name or None, description=description, **options)

    @staticmethod
    def from_callable(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        return function


class FunctionCall:
    """A call of a tool, as files name it in annotations. Agents make these themselves."""

    def __init__(self, function: Any = None, arguments: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.function, self.arguments, self.options = function, dict(arguments or {}), options


class Tool:
    """A tool's definition, as older files name it."""

    def __init__(self, **options: Any) -> None:
        self.__dict__.update(options)


ToolRegistry = Toolkit


def package(module: str, distribution: str, toolkit: str) -> Any:
    """Import a package. Raises ImportError with the distribution to install."""
    try:
        return import_module(module)
    except ImportError as error:
        missing = "" if error.name in (None, module) else f" ({error})"  # it is there, but misses one of its own
        raise ImportError(
            f"{toolkit} needs the package {distribution}: pip install {distribution}{missing}", name=module
        ) from error


def key(given: str | None, variable: str, toolkit: str) -> str:
    """The key that was given, or the one of the environment. Raises ValueError that says where to set it."""
    value = given or os.environ.get(variable)
    if not value:
        raise ValueError(
            f"{toolkit} needs a key: give api_key=..., or set {variable} for the host and name it in the setting worker_env"
        )
    return value


def request(url: str, **options: Any) -> str:
    """The text of an answer. Raises ValueError with the status and the beginning of the answer. `options`: those of `request_bytes`."""
    raw, encoding = request_bytes(url, **options)
    return raw.decode(encoding, "replace")


def request_bytes(
    url: str,
    *,
    query: Mapping[str, Any] | None = None,
    data: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> tuple[bytes, str]:
    """The bytes of an answer and their encoding. `data` is sent as JSON."""
    if query:
        url += "?" + urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url[:100]!r} is no http or https address")
    sent = {"User-Agent": "repertoire", "Accept": "*/*", **(headers or {})}
    body = None
    if data is not None:
        body, sent["Content-Type"] = json.dumps(data).encode(), "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, sent), timeout=timeout_s) as answer:
            return answer.read(_MAX_BYTES), answer.headers.get_content_charset() or "utf-8"
    except urllib.error.HTTPError as error:
        said = error.read(_MAX_ERROR).decode("utf-8", "replace")
        raise ValueError(f"{urllib.parse.urlsplit(url).hostname} answered {error.code}: {said}") from error
    except OSError as error:  # URLError, and a connection that breaks while the answer is read
        reason = getattr(error, "reason", error)
        raise ValueError(f"{urllib.parse.urlsplit(url).hostname} cannot be reached: {reason}") from error


def request_json(url: str, **options: Any) -> Any:
    """The same, read as JSON."""
    text = request(url, **options)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{urllib.parse.urlsplit(url).hostname} answered no JSON: {text[:_MAX_ERROR]}") from error


def as_text(value: Any) -> str:
    """A value as JSON for a model. A value that JSON lacks becomes its text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
