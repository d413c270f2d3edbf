"""References: puts values of earlier runs and artifacts in the place of `{"$ref": URI}` in arguments; used by `Runs` and the doors of bodies.

1. `run:///RUN_ID#/result/rows` is a part of a run of the same principal, by JSON pointer. Without a pointer it is the result.
2. `artifact:///NAME` is what the artifact's resolver gives. An object of another form, such as a JSON schema's `$ref`, is a plain value.
3. A value that was put in is not searched for references: data of a run decides nothing.

A caller may refer to what the caller may read, and to nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import anyio.to_thread

from ..errors import BadArguments
from ..limits import Limits
from ..model.run import Run
from ..store import Store
from ..values import big_integers

KEY: Final = "$ref"
Resolver = Callable[[str, str], Awaitable[Any]]
"""From a principal and a URI without pointer to a JSON value. Raises RepertoireError."""
_RUN: Final = "run:///"
_SCHEMES: Final = (_RUN, "artifact:///")
_MOST: Final = 100
"""References in the arguments of one call."""
_READ_AT_MOST: Final = 2
"""A run is read for a part of it, if it is at most so many times as long as arguments may be."""
_PARTS: Final = "result, arguments, run_id, session_id, status and workflow"


def references_in(value: Any) -> Iterator[str]:
    """The URIs of all references in a value, each as often as it is there."""
    stack = [value]
    while stack:
        one = stack.pop()
        if (uri := _uri_of(one)) is not None:
            yield uri
        elif isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def has_references(value: Any) -> bool:
    return next(references_in(value), None) is not None


def _uri_of(value: Any) -> str | None:
    if not isinstance(value, dict) or len(value) != 1 or not isinstance(uri := value.get(KEY), str):
        return None
    return uri if uri.startswith(_SCHEMES) else None


class References:
    """`resolvers` are found by the beginnings of URIs."""

    def __init__(self, store: Store, limits: Limits, resolvers: Mapping[str, Resolver] | None = None) -> None:
        self._store = store
        self._limits = limits
        self._resolvers: dict[str, Resolver] = {_RUN: self._run, **(resolvers or {})}

    async def resolve(self, principal: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with the values in the places of the references. Raises BadArguments, and what a resolver raises."""
        uris = dict.fromkeys(references_in(arguments))
        if not uris:
            return arguments
        if len(uris) > _MOST:
            raise BadArguments(f"The arguments have {len(uris)} references; at most {_MOST} are allowed.")
        whole: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for uri in uris:
            target, _, fragment = uri.partition("#")
            if target not in whole:
                whole[target] = await self._resolver(target)(principal, target)
            pointer = fragment or ("/result" if target.startswith(_RUN) else "")
            values[uri] = _at(whole[target], unquote(pointer), uri)
        return await anyio.to_thread.run_sync(self._put_all, arguments, values)

    async def resolve_own(self, principal: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """For a body's call: only an argument that is itself a reference. Below it stand data, perhaps of a stranger, that decide nothing."""
        own = {key: value for key, value in arguments.items() if _uri_of(value) is not None}
        return {**arguments, **await self.resolve(principal, own)} if own else arguments

    def _resolver(self, target: str) -> Resolver:
        for beginning, resolver in self._resolvers.items():
            if target.startswith(beginning):
                return resolver
        raise BadArguments(f"{_short(target)}: this server has no such values.")

    def _put_all(self, arguments: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            sizes = {uri: len(json.dumps(value)) for uri, value in values.items()}
        except ValueError as error:  # an integer of thousands of digits
            raise BadArguments(f"A referenced value has no JSON form: {error}") from None
        if (size := sum(sizes[uri] for uri in references_in(arguments))) > self._limits.max_arguments_bytes:
            raise _too_large("The references", size, self._limits)
        return {key: self._put(one, values) for key, one in arguments.items()}

    def _put(self, value: Any, values: Mapping[str, Any]) -> Any:
        if (uri := _uri_of(value)) is not None:
            return values[uri]
        if isinstance(value, dict):
            return {key: self._put(one, values) for key, one in value.items()}
        return [self._put(one, values) for one in value] if isinstance(value, list) else value

    async def _run(self, principal: str, uri: str) -> dict[str, Any]:
        run_id = unquote(uri.removeprefix(_RUN))
        run = await self._store.run(run_id)
        if run is None or run.principal != principal:
            raise BadArguments(f"{_short(uri)}: there is no such run.", "Use the run_id that a call returned.")
        if not run.is_final:
            raise BadArguments(
                f"{_short(uri)}: the run has not ended, it is {run.status}.",
                f"get_run({run_id!r}, wait_s=45) waits for its end.",
            )
        if run.status != "completed":
            raise BadArguments(
                f"{_short(uri)}: the run has no result, it is {run.status}.", f"get_run({run_id!r}) shows why."
            )
        size = len(run.result or "") + len(run.arguments)
        if size > _READ_AT_MOST * self._limits.max_arguments_bytes:
            raise _too_large(_short(uri), size, self._limits)
        return await anyio.to_thread.run_sync(_document, run)


def _too_large(what: str, size: int, limits: Limits) -> BadArguments:
    return BadArguments(
        f"{what}: {size} bytes of JSON; arguments have at most {limits.max_arguments_bytes}.",
        "Refer to a part of it, or hand large data on as the path of a file.",
    )


def _document(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "session_id": run.session_id,
        "status": run.status,
        "workflow": run.workflow,
        "arguments": json.loads(run.arguments),
        "result": big_integers.loads(run.result or "null"),
    }


def _at(value: Any, pointer: str, uri: str) -> Any:
    """The part of a value at a JSON pointer (RFC 6901)."""
    if not pointer:
        return value
    if not pointer.startswith("/"):
        raise BadArguments(f"{_short(uri)}: a JSON pointer begins with /.", "For example #/result/rows/0.")
    passed = ""
    for part in pointer[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and len(key) < 10 and key.isascii() and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise BadArguments(
                f"{_short(uri)}: there is no {key[:60]!r} in {passed or 'it'}.", _there_is(value, passed)
            )
        passed = f"{passed}/{part}"[-200:]
    return value


def _there_is(value: Any, passed: str) -> str:
    if not passed and isinstance(value, dict):
        return f"A run has {_PARTS}."
    if isinstance(value, dict):
        return f"There is {', '.join(str(key)[:60] for key in list(value)[:10]) or 'nothing'}."
    return f"It is a list of {len(value)} items." if isinstance(value, list) else "It has no parts."


def _short(uri: str) -> str:
    return uri if len(uri) <= 120 else uri[:117] + "..."
