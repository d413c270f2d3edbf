"""Whether a run's end is what an example expects; if not, where the two differ, in a sentence."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import anyio.to_process
import msgspec

from ..errors import Refused
from ..model.example import Example
from ..model.run import Run

_SHOWN_CHARS: Final = 300
_MAX_EXAMPLES: Final = 20
_MAX_BYTES: Final = 1024 * 1024


def read_examples(given: Any) -> tuple[Example, ...]:
    """From JSON values. Raises Refused naming the example and what is wrong with it."""
    if not isinstance(given, list | tuple):
        raise Refused("`examples` must be a list of objects.", _FORM, code="bad_example")
    if len(given) > _MAX_EXAMPLES:
        raise Refused(f"At most {_MAX_EXAMPLES} examples are allowed, not {len(given)}.", code="bad_example")
    examples = tuple(_read(n, value) for n, value in enumerate(given, 1))
    try:
        size = len(msgspec.json.encode(examples))
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"The examples are not JSON: {error}.", _FORM, code="bad_example") from None
    if size > _MAX_BYTES:
        raise Refused(f"The examples are {size} bytes of JSON; at most {_MAX_BYTES} are allowed.", code="bad_example")
    return examples


_FORM: Final = (
    'Each is {"arguments": {...}, "expect": value} or {"arguments": {...}, "expect_error": "part of its message"}; also '
    '"match": exact, subset, schema or approx, and "mocks": [{"call": name, "result": value}].'
)


def _read(n: int, value: Any) -> Example:
    try:
        example = msgspec.convert(value, Example)
        _check_numbers(value)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Refused(f"Example {n} is not what it should be: {error}.", _FORM, code="bad_example") from None
    except ValueError as error:
        raise Refused(f"Example {n} is not JSON: {error}.", _FORM, code="bad_example") from None
    if example.expect is not msgspec.UNSET and example.expect_error is not None:
        raise Refused(f"Example {n} expects a result and an error: give one of them.", _FORM, code="bad_example")
    if example.match == "schema":
        _check_schema(n, example.expect)
    return example


def _check_numbers(value: Any) -> None:
    json.dumps(value, allow_nan=False)


def _check_schema(n: int, schema: Any) -> None:
    from jsonschema import Draft202012Validator, SchemaError  # 40 ms: with the first example that has one

    if not isinstance(schema, dict | bool):
        raise Refused(f"Example {n}: with match=schema `expect` must be a JSON Schema.", _FORM, code="bad_example")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise Refused(f"Example {n}: `expect` is no JSON Schema: {error.message}.", _FORM, code="bad_example") from None


async def problem_of(example: Example, run: Run) -> str | None:
    """Why the ended run is not what the example expects; None: it is."""
    if run.error is not None:
        text = f"{run.error.type}: {run.error.message}"
        if example.expect_error is None:
            return f"it failed with {text}"
        known = f"{text} {run.error.code}"
        return None if example.expect_error in known else f"expected an error with {example.expect_error!r}, got {text}"
    if run.status != "completed":
        return f"it was {run.status}"
    result = json.loads(run.result or "null")
    if example.expect_error is not None:
        return f"expected an error with {example.expect_error!r}, got the result {shown(result)}"
    if example.expect is msgspec.UNSET:
        return None
    try:
        if example.match == "schema":
            # In a process of its own: a pattern may take for ever, and holds the interpreter meanwhile.
            return await anyio.to_process.run_sync(_unfit, example.expect, result, cancellable=True)
        return _difference(example.expect, result, "result", example)
    except RecursionError:
        return "the result is nested too deeply to be compared"


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def _unfit(schema: Any, result: Any) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(result))
    if error is None:
        return None
    where = "result" + "".join(f"[{part!r}]" for part in error.absolute_path)
    return f"{where} does not fit the schema: {error.message[:_SHOWN_CHARS]}"


def _difference(expected: Any, got: Any, at: str, example: Example) -> str | None:
    """The first difference, named by its place."""
    if isinstance(expected, dict) and isinstance(got, dict):
        missing = [key for key in expected if key not in got]
        extra = [key for key in got if key not in expected]
        if missing:
            return f"{at} lacks {shown(missing[0])}; it is {shown(got)}"
        if extra and example.match != "subset":
            return f"{at} also has {shown(extra[0])}; it is {shown(got)}"
        return _first(_difference(expected[key], got[key], f"{at}[{key!r}]", example) for key in expected)
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{at} has {len(got)} elements, expected {len(expected)}: {shown(got)}"
        pairs = enumerate(zip(expected, got, strict=True))
        return _first(_difference(one, other, f"{at}[{n}]", example) for n, (one, other) in pairs)
    if _same(expected, got, example):
        return None
    return f"{at}: expected {shown(expected)}, got {shown(got)}"


def _first(differences: Any) -> str | None:
    return next((difference for difference in differences if difference is not None), None)


def _same(expected: Any, got: Any, example: Example) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if example.match == "approx" and isinstance(expected, int | float) and isinstance(got, int | float):
        return math.isclose(expected, got, rel_tol=example.tolerance, abs_tol=example.tolerance)
    return bool(expected == got)
