"""Prompt: asks a run's questions at the terminal; used by follow_run.py and runs.py. It does not check answers: the server does.

Questions go to stderr, answers come from stdin.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import anyio

from . import output

_YES, _NO = ("y", "yes", "true"), ("n", "no", "false")


def someone_is_there() -> bool:
    """Whether a person can answer here: stdin and stderr are both a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


class EndOfInput(Exception):
    """Raised at the end of stdin: the person has left."""


class Keyboard:
    """Reads lines from stdin in the event loop, so that an answer from elsewhere can end the wait."""

    def __init__(self) -> None:
        self._rest = b""

    async def line(self, prompt: str) -> str:
        """The next line without blanks at its ends. Raises EndOfInput."""
        output.err.print(prompt, end="", markup=False)
        while b"\n" not in self._rest:
            await anyio.wait_readable(sys.stdin.fileno())
            more = os.read(sys.stdin.fileno(), 4096)
            if not more:
                output.err.print("")
                raise EndOfInput
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip()

    async def answer(self, question: str, schema: dict[str, Any]) -> Any:
        """A value for the schema. Asks again while the typed text cannot be one. Raises EndOfInput."""
        output.err.print(question, markup=False)
        if schema.get("type") != "object" or not schema.get("properties"):
            return await self._value(schema, "> ")
        values = {}
        for name, field in schema["properties"].items():
            needed = name in schema.get("required", ())
            title = str(field.get("description") or name) + ("" if needed else " (may be left empty)")
            value = await self._value(field, f"{title}> ", may_be_empty=not needed)
            if value is not None:
                values[name] = value
        return values

    async def _value(self, schema: dict[str, Any], prompt: str, *, may_be_empty: bool = False) -> Any:
        while True:
            text = await self.line(choices(schema) + prompt)
            if not text and may_be_empty:
                return None
            try:
                return read_answer(text, schema)
            except ValueError as error:
                output.err.print(f"  {error}", markup=False)


def read_answer(text: str, schema: dict[str, Any]) -> Any:
    """The typed text as a value for the schema. Raises ValueError with a sentence."""
    kind = schema.get("type")
    if kind == "string":
        return text
    if "enum" in schema and text in schema["enum"]:
        return text
    if kind == "boolean" and text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    try:
        return json.loads(text)
    except ValueError:
        if kind is None or isinstance(kind, list):
            return text
        wanted = "y or n" if kind == "boolean" else f"a JSON {kind}"
        raise ValueError(f"{text!r} is not {wanted}.") from None


def choices(schema: dict[str, Any]) -> str:
    """The values to choose from, before the prompt."""
    if "enum" in schema:
        return f"[{', '.join(map(str, schema['enum']))}] "
    return "[y/n] " if schema.get("type") == "boolean" else ""
