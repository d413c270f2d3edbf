"""Agent tools: gives Python functions, toolkits and `tools.x` to an agent's model. Each call of a function is a step of the run.

A replay answers such a step from its record, so the function is not called again. A tool of the host (`tools.github.create_issue`) is a
call of its own. If a function raises, the model gets the error as the tool's result and may correct itself. A refusal of the platform, and
a package that is missing, end the run instead: no model can correct those. Used by `agent_run`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..authoring import ambient
from ..authoring.steps import step
from ..authoring.tools import ToolName
from ..classes import logging
from ..values.exceptions import text_of, type_name
from ..values.records import CallError
from ..values.refusals import NotAvailable, Refusal
from .responses import text_of as value_text

if TYPE_CHECKING:
    from pydantic_ai import RunContext, Tool

    from .agent_run import AgentRun

_GIVEN: Final = ("agent", "team")
"""Parameters that a tool gets from its agent and not from the model."""
_MOST_CHARS: Final = 100_000
"""Of a tool's result: more does not fit into a model's context."""
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


def tools_of(agent: Any) -> list[Tool[AgentRun]]:
    """The tools for pydantic-ai. Raises TypeError for something that is no tool."""
    found: dict[str, Tool[AgentRun]] = {}
    for given in flat(agent.tools):
        for tool in _made(given):
            if found.setdefault(tool.name, tool) is not tool:
                logging.log_warning(
                    f"{agent.member_id}: two of its tools are called {tool.name!r}; the model gets the first one."
                )
    return list(found.values())


def instructions_of(agent: Any) -> list[str]:
    """The instructions of the agent's toolkits."""
    texts = [getattr(one, "instructions", None) for one in flat(agent.tools) if _functions_of(one) is not None]
    return [text for text in texts if isinstance(text, str) and text]


def names_of(agent: Any) -> list[str]:
    """The names of the agent's tools, as its team tells them."""
    found = []
    for one in flat(agent.tools):
        functions = _functions_of(one)
        found += list(functions) if functions is not None else [_name_of(one)]
    return found


def flat(tools: Any) -> list[Any]:
    if tools is None:
        return []
    return list(tools) if isinstance(tools, Sequence | set | frozenset) else [tools]


def _made(given: Any) -> Iterator[Tool[AgentRun]]:
    from pydantic_ai import Tool

    if isinstance(given, Tool):
        yield given
    elif isinstance(given, ToolName):
        yield from _of_host(given)
    elif (functions := _functions_of(given)) is not None:
        for name, function in functions.items():
            yield _of_function(_entrypoint(function), name)
        for source in getattr(given, "host_tools", ()):  # of MCPTools
            yield from _of_host(source)
    elif callable(execute := getattr(given, "execute", None)):
        yield _of_definition(given, execute)
    elif callable(_entrypoint(given)):
        yield _of_function(_entrypoint(given), _name_of(given), getattr(given, "description", None))
    else:
        kind = "a dict" if isinstance(given, Mapping) else type(given).__name__
        raise TypeError(
            f"tools=[...]: {kind} is no tool. Give functions, toolkits, or tools of the host as tools.fetch."
        )


def _functions_of(given: Any) -> Mapping[str, Any] | None:
    """The functions of a toolkit by name; None for what is no toolkit."""
    functions = getattr(given, "functions", None)
    return functions if isinstance(functions, Mapping) else None


def _entrypoint(given: Any) -> Any:
    """The function itself, or the one inside of an object that describes a function."""
    entry = getattr(given, "entrypoint", None)
    return entry if callable(entry) else given


def _name_of(given: Any) -> str:
    while isinstance(given, functools.partial):
        given = given.func
    name = getattr(given, "name", None) or getattr(given, "__name__", None) or type(given).__name__
    return str(name)


def _safe(name: str) -> str:
    return _NO_NAME.sub("_", name).strip("_")[:64] or "tool"


# Python functions.


def _of_function(function: Callable[..., Any], name: str, description: str | None = None) -> Tool[AgentRun]:
    from pydantic_ai import Tool

    while isinstance(function, functools.partial) and not hasattr(function, "__name__"):
        function = _named(function, name)
    given = [one for one in _GIVEN if one in _parameters(function)]
    read = Tool(_without(function, given) if given else function, takes_ctx=False).function_schema

    async def call(ctx: RunContext[AgentRun], /, *args: Any, **kwargs: Any) -> str:
        run = ctx.deps
        recorded = _recorded(function, dict.fromkeys(given, run.agent))
        return await run.call_tool(lambda: _perform(run, recorded, args, kwargs))

    schema = dataclasses.replace(read, function=call, name=_safe(name), takes_ctx=True, is_async=True)
    return Tool(
        call,
        takes_ctx=True,
        name=_safe(name),
        description=description if isinstance(description, str) else read.description,
        function_schema=schema,
    )


def _of_definition(given: Any, execute: Callable[..., Any]) -> Tool[AgentRun]:
    """A tool that is described by a JSON Schema: its function gets the arguments as one dict."""
    from pydantic_ai import Tool

    async def call(ctx: RunContext[AgentRun], /, **arguments: Any) -> str:
        run, recorded = ctx.deps, _recorded(execute, {})
        return await run.call_tool(lambda: _perform(run, recorded, (arguments,), {}))

    schema = dict(given.parameters or {"type": "object", "properties": {}})
    return Tool.from_schema(call, _safe(given.name), given.description or None, schema, takes_ctx=True)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a function of C without a signature
        return {}


def _named(function: functools.partial[Any], name: str) -> Callable[..., Any]:
    """A function for a partial, which has no name of its own."""

    @functools.wraps(function.func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    call.__name__ = name
    vars(call)["__signature__"] = inspect.signature(function)
    return call


def _without(function: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """The function as the model sees it, without these parameters."""

    @functools.wraps(function)
    def shown(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    signature = inspect.signature(function)
    kept = [one for name, one in signature.parameters.items() if name not in names]
    vars(shown)["__signature__"] = signature.replace(parameters=kept)
    return shown


def _recorded(function: Callable[..., Any], more: dict[str, Any]) -> Callable[..., Any]:
    """The function with a result that a step can record: text. `more` are arguments that are no part of the step's identity."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "aio", None)):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> str:
            return _result(await getattr(function, "aio", function)(*args, **kwargs, **more))

        return acall
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def join(*args: Any, **kwargs: Any) -> str:
            return _joined([item async for item in function(*args, **kwargs, **more)])

        return join

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> str:
        return _result(function(*args, **kwargs, **more))

    return call


def _result(value: Any) -> str:
    """The value as the model gets it: text, or JSON. The items of a generator are joined."""
    if inspect.isgenerator(value):
        return _joined(value)
    text = value_text(getattr(value, "content", value) if hasattr(value, "run_id") else value)
    if len(text) > _MOST_CHARS:
        text = f"{text[:_MOST_CHARS]}\n... {len(text) - _MOST_CHARS} characters more are left out"
    return text


def _joined(items: Iterable[Any]) -> str:
    return _result("".join(value_text(getattr(item, "content", item)) for item in items))


async def _perform(run: AgentRun, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if inspect.iscoroutinefunction(function):
        value: str = await step.aio(function, *args, **kwargs)
        return value
    return await run.outlet.call(lambda: step(function, *args, **kwargs))


# Tools of the host.


def _of_host(given: ToolName) -> Iterator[Tool[AgentRun]]:
    """The tool of the host, or all tools of a source. Its description comes from the host, by a call that is recorded."""
    from pydantic_ai import Tool

    path = given.__name__.removeprefix("tools.")
    described = ToolName(f"{path}.describe")()
    for one in [described] if described.get("input_schema") else described["tools"]:
        name = one["name"]
        schema = one.get("input_schema") or ToolName(name).describe()["input_schema"]
        yield Tool.from_schema(
            _host_call(ToolName(name)), _safe(name.replace(".", "_")), one.get("description"), schema, takes_ctx=True
        )


def _host_call(tool: ToolName) -> Callable[..., Awaitable[str]]:
    async def call(ctx: RunContext[AgentRun], /, **arguments: Any) -> str:
        async def perform() -> str:
            return _result(await tool.aio(**arguments))

        return await ctx.deps.call_tool(perform)

    return call


# Errors.


async def told_to_model(perform: Callable[[], Awaitable[str]]) -> str:
    """The result of a call, or the sentence for the model if it failed. Raises what the model cannot correct."""
    try:
        return await perform()
    except (Refusal, asyncio.CancelledError):
        raise
    except ImportError as error:  # a toolkit without its package
        raise ambient.note_refusal(
            NotAvailable(text_of(error), hint="Install it into the Python that runs workflows.")
        ) from error
    except CallError as error:
        if error.code in ("over_budget", "not_available", "no_model"):
            raise
        return f"Error: {error.message}" + (f" {error.hint}" if error.hint else "")
    except Exception as error:  # the function's own: the model corrects it
        return f"Error: {type_name(error)}: {text_of(error)}"
