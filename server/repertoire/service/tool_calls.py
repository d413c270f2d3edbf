"""ToolCalls: makes one call of a tool: checks its arguments, tries again, masks secrets in what comes back; used by the door and the command.

A call from a body and one from the terminal go through the same `call`. It records nothing: that is CallExecutor's.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final

import anyio

from ..errors import RepertoireError
from ..limits import Limits
from ..registry.subprocess_check import TooLong, may_be_slow, run_in_subprocess
from ..upstream.tool import (
    BadToolArguments,
    Blob,
    Source,
    Tool,
    ToolContext,
    ToolFailed,
    ToolTimeout,
    ToolUnavailable,
)
from .tool_descriptions import signature

KeepBlob = Callable[[Tool, Blob], Awaitable[Any]]
"""Makes a JSON value of bytes in an answer."""

_MOST_PROBLEMS: Final = 3
_ERROR_CHARS: Final = 4_000
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0


class AnswerTooLarge(RepertoireError):
    """Raised when a tool's answer is longer than a record may be."""

    code = "record_too_large"


class ToolCalls:
    def __init__(self, mask: Callable[[str], str], limits: Limits) -> None:
        """`mask(text)` is the text without the secrets that the sources use."""
        self.mask = mask
        self._limits = limits

    async def complete_arguments(self, tool: Tool, arguments: dict[str, Any], key: str) -> dict[str, Any]:
        """The arguments with the idempotency key, if the tool takes one. Raises BadToolArguments where they do not fit the schema."""
        if tool.key_parameter is not None and tool.key_parameter not in arguments:
            arguments = {**arguments, tool.key_parameter: key}
        text = json.dumps(tool.input_schema)
        if may_be_slow(tool.input_schema):
            try:
                problem = await run_in_subprocess(_argument_problem, text, arguments)
            except TooLong:
                problem = "they take too long to be checked against its schema"
        else:
            problem = _argument_problem(text, arguments)
        if problem is not None:
            error = BadToolArguments(f"tools.{tool.path}: {problem}.", f"It is called as {signature(tool)}.")
            raise self._masked(error)
        return arguments

    async def call(
        self,
        source: Source,
        tool: Tool,
        arguments: dict[str, Any],
        context: ToolContext,
        *,
        keep_blob: KeepBlob,
        retries: int = 0,
        timeout: float | None = None,
        note: Callable[[str], None] = lambda message: None,
    ) -> str:
        """The answer as JSON text. After a failure it is called again, at most `retries` times; `note` gets the failure."""
        for failures in range(retries + 1):
            try:
                answer = await self._try(source, tool, arguments, context, timeout)
                return await self._as_json(tool, answer, keep_blob)
            except (ToolFailed, ToolUnavailable, ToolTimeout) as error:
                masked = self._masked(error)
                if failures == retries:
                    raise masked from None
                note(f"tools.{tool.path} is called again: {masked.message}")
                await anyio.sleep(min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S))
            except RepertoireError as error:
                raise self._masked(error) from None
        raise AssertionError("unreachable")

    async def _try(
        self, source: Source, tool: Tool, arguments: dict[str, Any], context: ToolContext, timeout: float | None
    ) -> Any:
        with anyio.move_on_after(timeout) as scope:
            return await source.call(tool, arguments, context)
        assert scope.cancelled_caught
        raise ToolTimeout(
            f"tools.{tool.path} took longer than {timeout:g} s.", "Ask it for less, or give it more time."
        )

    async def _as_json(self, tool: Tool, answer: Any, keep_blob: KeepBlob) -> str:
        text = json.dumps(await self._plain(answer, tool, keep_blob))
        if len(text) > self._limits.max_record_bytes:
            raise AnswerTooLarge(
                f"The answer of tools.{tool.path} is {len(text):,} bytes long; at most {self._limits.max_record_bytes:,} are recorded.",
                "Ask it for less, such as a page of it.",
            )
        return text

    async def _plain(self, value: Any, tool: Tool, keep_blob: KeepBlob) -> Any:
        """The value without secrets in its texts, and with JSON in the place of bytes."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Blob):
            return await self._kept(value, tool, keep_blob)
        if isinstance(value, dict):
            return {self.mask(key): await self._plain(item, tool, keep_blob) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [await self._plain(item, tool, keep_blob) for item in value]
        return value

    async def _kept(self, blob: Blob, tool: Tool, keep_blob: KeepBlob) -> Any:
        """The call has had its effect. So bytes that cannot be kept must not make it a failure, which would be tried again."""
        try:
            return await keep_blob(tool, blob)
        except RepertoireError as error:
            return {"error": error.code, "message": error.message, "mime_type": blob.mime_type, "size": len(blob.data)}

    def _masked(self, error: RepertoireError) -> RepertoireError:
        """The same error, of the same class, without secrets and not longer than a caller wants to read."""
        error.message = _cut(self.mask(error.message))
        error.hint = None if error.hint is None else _cut(self.mask(error.hint))
        error.args = (error.message,)
        return error


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _ERROR_CHARS
        else f"{text[:_ERROR_CHARS]}... ({len(text) - _ERROR_CHARS:,} characters more)"
    )


def _argument_problem(schema: str, arguments: dict[str, Any]) -> str | None:
    """Why the arguments do not fit, as a part of a sentence. A schema that cannot be used lets all through: the tool itself will say."""
    from referencing.exceptions import Unresolvable

    if (validator := _validator(schema)) is None:
        return None
    try:
        found = sorted(validator.iter_errors(arguments), key=lambda one: list(map(str, one.absolute_path)))
    except (Unresolvable, RecursionError, ValueError, TypeError):
        return None
    if not found:
        return None
    said = [f"{_place(one.absolute_path)}{one.message[:300].rstrip('.')}" for one in found[:_MOST_PROBLEMS]]
    return "; ".join(said)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """The validator of a schema, given as JSON. To check the schema itself takes ten times as long as a call. None: it cannot be used."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    read = json.loads(schema)
    try:
        kind = validator_for(read, default=Draft202012Validator)
        kind.check_schema(read)
        # Without a registry that fetches: a reference must not make this machine open an address or a file.
        return kind(read, registry=Registry())
    except (SchemaError, Unresolvable, RecursionError, ValueError, TypeError):
        return None


def _place(path: Any) -> str:
    parts = [f"[{part!r}]" if index else f"{part}" for index, part in enumerate(path)]
    return f"`{''.join(parts)}`: " if parts else ""
