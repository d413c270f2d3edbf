"""Durable calls: `now`, `sleep`, `ask` and `workflows`, which the host executes and records. Used by workflow files and `context`."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from ..values.records import CallError
from ..values.refusals import NotAvailable
from . import ambient
from .awaited_values import Ready
from .door import Door
from .doors import Doors

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from .door_types import Ask, Now, Sleep

_SHORT_S: Final = 0.05
"""A shorter sleep is not recorded, because recording it takes longer than the sleep."""


def _now() -> datetime:
    doors = ambient.doors()
    return datetime.fromtimestamp(time.time() if doors is None else doors.read_clock(time.time), UTC)


def _sleep(seconds: float) -> None:
    seconds = _seconds(seconds)
    doors = ambient.doors()
    if doors is None or seconds < _SHORT_S:
        time.sleep(seconds)
    else:
        doors.call("sleep", {"seconds": seconds}, f"{seconds:g} s")


async def _asleep(seconds: float) -> None:
    seconds = _seconds(seconds)
    doors = ambient.doors()
    if doors is None or seconds < _SHORT_S:
        await asyncio.sleep(seconds)
    else:
        await doors.acall("sleep", {"seconds": seconds}, f"{seconds:g} s")


def _ask(question: str, schema: Any = None, *, expires_s: float | None = None) -> Any:
    doors, asked = in_a_run("ask(question)"), Question(question, schema, expires_s)
    return asked.read(doors.call("ask", asked.args, question))


def _aask(question: str, schema: Any = None, *, expires_s: float | None = None) -> Awaitable[Any]:
    doors, asked = in_a_run("ask(question)"), Question(question, schema, expires_s)
    return asked.read_later(doors.acall("ask", asked.args, question))


now = cast("Now", Door(_now, lambda: Ready(_now())))
now.__doc__ = "The time, in UTC and with its zone; the same on replay."
sleep = cast("Sleep", Door(_sleep, _asleep))
sleep.__doc__ = "Sleep for `seconds`. A long sleep holds no worker and survives a restart."
ask = cast("Ask", Door(_ask, _aask))
ask.__doc__ = """Ask a watcher of the run a question, and return the answer. While it waits, the run holds no worker and survives a restart.

`schema` is the answer's type, a pydantic model, or a JSON Schema such as `{"type": "boolean"}`; by default `str`. The answer is an
instance of the type or model; with a JSON Schema it is plain JSON. After `expires_s` seconds, CallError with code `expired` is raised.
"""


_OUTSIDE: Final = "Run the workflow with `repertoire run` or from an MCP client. In a test, use the fixture `stage` of `repertoire.testing`."


class Workflows:
    """`workflows.invoke(name, **arguments)` runs another workflow and gives its result; `workflows.NAME(**arguments)` does too.

    `search(query, limit=5)`, `list()`, `get(name)`, `create(name, source, description=None, replace=False, examples=None, tags=None)`,
    `delete(name, force=False)` are the registry's.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "invoke":
            return invoke
        return _registry_door(name) if name in _VERBS else _workflow_door(name)

    def __repr__(self) -> str:
        return "<workflows>"


_VERBS: Final[dict[str, tuple[str, ...]]] = {
    "search": ("query", "limit"),
    "list": (),
    "get": ("name",),
    "create": ("name", "source", "description", "replace", "examples", "tags"),
    "delete": ("name", "force"),
}
"""The registry's calls with their parameters in order."""


def _registry_door(verb: str) -> Door[..., Any]:
    return Door(
        lambda *args, **kwargs: in_a_run(f"workflows.{verb}").call(*_registry_call(verb, args, kwargs)),
        lambda *args, **kwargs: in_a_run(f"workflows.{verb}").acall(*_registry_call(verb, args, kwargs)),
    )


def _registry_call(verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    names = _VERBS[verb]
    if len(args) > len(names) or not kwargs.keys() <= set(names):
        raise TypeError(f"workflows.{verb}({', '.join(names)})")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return f"workflows.{verb}", given, str(given.get("name") or given.get("query") or "")


def _workflow_door(name: str) -> Door[..., Any]:
    return Door(
        lambda *args, **kwargs: in_a_run(f"workflows.{name}").call(*_invocation(name, args, kwargs)),
        lambda *args, **kwargs: in_a_run(f"workflows.{name}").acall(*_invocation(name, args, kwargs)),
    )


def _invocation(name: str, args: tuple[Any, ...], arguments: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    if args:
        raise TypeError(f"workflows.invoke({name!r}, ...): name the arguments, as in invoke({name!r}, text='...')")
    return "workflow", {"name": name, "arguments": arguments}, name


def _invoke(*name: str, **arguments: Any) -> Any:
    return in_a_run("workflows.invoke").call(*_invocation(*_split_name(name, arguments)))


def _ainvoke(*name: str, **arguments: Any) -> Awaitable[Any]:
    return in_a_run("workflows.invoke").acall(*_invocation(*_split_name(name, arguments)))


def _split_name(names: tuple[Any, ...], arguments: dict[str, Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """The workflow's name, and the other arguments.

    The name is positional, because `name` may be a parameter of the workflow. `workflow_name=` works too.
    """
    if not names and "workflow_name" in arguments:
        names = (arguments.pop("workflow_name"),)
    if not names or not isinstance(names[0], str):
        raise TypeError("workflows.invoke(name, **arguments): the workflow's name comes first")
    return names[0], names[1:], arguments


invoke = Door(_invoke, _ainvoke)
workflows: Final = Workflows()


def in_a_run(what: str) -> Doors:
    """The run's doors. Raises NotAvailable in a plain script."""
    doors = ambient.doors()
    if doors is None:
        raise NotAvailable(f"{what} needs a server. {_OUTSIDE}")
    return doors


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"sleep(seconds): wants a number, got {value!r}")
    return max(float(value), 0.0)


class Question:
    """One question of `ask`: its arguments for the host, and the reader of its answer."""

    def __init__(self, question: object, schema: Any, expires_s: float | None) -> None:
        if not isinstance(question, str) or not question.strip():
            raise TypeError("ask(question): the question must be a string with something in it")
        self._adapter: TypeAdapter[Any] | None = None
        if schema is None:
            schema = {"type": "string"}
        elif not isinstance(schema, dict):
            from pydantic import TypeAdapter

            self._adapter = TypeAdapter(schema)
            schema = self._adapter.json_schema()
        if expires_s is not None:
            expires_s = _seconds(expires_s)
        self.args: dict[str, Any] = {"question": question, "schema": schema, "expires_s": expires_s}

    def read(self, answer: Any) -> Any:
        """The answer as an instance of the asked type."""
        return answer if self._adapter is None else self._adapter.validate_json(json.dumps(answer))

    async def read_later(self, answer: Awaitable[Any]) -> Any:
        return self.read(await answer)


__all__ = ["CallError", "ask", "invoke", "now", "sleep", "workflows"]
