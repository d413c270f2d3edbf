"""Expectations: reads examples from JSON, and compares the end of a run with its example; used by `service.examples`.

An example comes from a client and may be large or hostile, so nothing of it is compared on the event loop. Plain values are compared in
a thread. JSON Schemas are checked in a subprocess that ends itself: their patterns may take for ever and hold the interpreter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import anyio.to_thread
import msgspec

from ..errors import Refused
from ..model.example import Example
from ..model.run import Run
from ..values import big_integers
from .subprocess_check import CHECK_S, TooLong, run_in_subprocess

_SHOWN_CHARS: Final = 300
_MAX_EXAMPLES: Final = 20
_MAX_BYTES: Final = 1024 * 1024
_FORM: Final = (
    'Each is {"arguments": {...}, "expect": value} or {"arguments": {...}, "expect_error": "part of its message"}; also '
    '"match": exact, subset, schema or approx, and "mocks": [{"call": name, "result": value}].'
)


async def read_examples(given: Any) -> tuple[Example, ...]:
    """Examples from JSON values. Raises Refused with the number of the example and its problem."""
    if not isinstance(given, list | tuple):
        raise Refused("`examples` must be a list of objects.", _FORM, code="bad_example")
    if len(given) > _MAX_EXAMPLES:
        raise Refused(f"At most {_MAX_EXAMPLES} examples are allowed, not {len(given)}.", code="bad_example")
    examples = await anyio.to_thread.run_sync(_read_all, list(given))
    for n, example in enumerate(examples, 1):
        if example.match == "schema" and (problem := await _schema_answer(_schema_problem, example.expect)):
            raise Refused(f"Example {n}: {problem}.", _FORM, code="bad_example")
    return examples


def _read_all(given: list[Any]) -> tuple[Example, ...]:
    _check_size(given)
    examples = tuple(_read(n, value) for n, value in enumerate(given, 1))
    for n, example in enumerate(examples, 1):
        try:
            msgspec.msgpack.encode(example)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Refused(f"Example {n} cannot be stored: {_short_text(error)}.", code="bad_example") from None
    return examples


def _check_size(given: list[Any]) -> None:
    try:
        size = len(json.dumps(given, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"The examples are not JSON: {_short_text(error)}.", _FORM, code="bad_example") from None
    if size > _MAX_BYTES:
        raise Refused(
            f"The examples are {size} bytes of JSON; at most {_MAX_BYTES} are allowed.",
            "Say with match=schema or match=subset what matters of a large result.",
            code="bad_example",
        )


def _read(n: int, value: Any) -> Example:
    try:
        example = msgspec.convert(_without_nulls_beside_errors(value), Example)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Refused(
            f"Example {n} is not what it should be: {_short_text(error)}.", _FORM, code="bad_example"
        ) from None
    if example.expect is not msgspec.UNSET and example.expect_error is not None:
        raise Refused(f"Example {n} expects a result and an error: give one of them.", _FORM, code="bad_example")
    if example.expect_error == "":
        raise Refused(f"Example {n}: `expect_error` is empty, and would hold for any error.", _FORM, code="bad_example")
    if any(mock.error is not None and mock.result is not msgspec.UNSET for mock in example.mocks):
        raise Refused(f"Example {n} has a mock with a result and an error: give one.", _FORM, code="bad_example")
    if example.match == "schema" and not isinstance(example.expect, dict | bool):
        raise Refused(f"Example {n}: with match=schema `expect` must be a JSON Schema.", _FORM, code="bad_example")
    return example


def _without_nulls_beside_errors(value: Any) -> Any:
    """Models fill in every property. So a null result beside an expected error means no result, also in a mock."""
    if not isinstance(value, dict):
        return value
    value = {**value}
    if value.get("expect_error") is not None and value.get("expect", 0) is None:
        del value["expect"]
    if isinstance(value.get("mocks"), list):
        value["mocks"] = [_without_null_result(mock) for mock in value["mocks"]]
    return value


def _without_null_result(mock: Any) -> Any:
    if isinstance(mock, dict) and mock.get("error") is not None and mock.get("result", 0) is None:
        return {key: value for key, value in mock.items() if key != "result"}
    return mock


async def problem_of(example: Example, run: Run) -> str | None:
    """Why the ended run differs from the example; None if it does not."""
    if run.error is not None:
        text = f"{run.error.type}: {run.error.message}"
        if example.expect_error is None:
            return f"it failed with {text}"
        known = f"{text} {run.error.code}"
        return None if example.expect_error in known else f"expected an error with {example.expect_error!r}, got {text}"
    if run.status != "completed":
        return f"it was {run.status}"
    if example.match == "schema":
        return await _schema_answer(_schema_mismatch, example.expect, run.result or "null")
    return await anyio.to_thread.run_sync(_mismatch, example, run.result or "null")


def short_json(value: Any) -> str:
    """The first characters of its JSON. A large value is not written out whole."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > _SHOWN_CHARS:
            return text[: _SHOWN_CHARS - 3] + "..."
    return text


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        return iter([json.dumps(value[: _SHOWN_CHARS + 1], ensure_ascii=False)])
    return json.JSONEncoder(ensure_ascii=False).iterencode(value)


def _short_text(error: BaseException) -> str:
    return str(error).rstrip(".")[:_SHOWN_CHARS] or type(error).__name__


# Values


def _mismatch(example: Example, text: str) -> str | None:
    try:
        result = big_integers.loads(text)
        if example.expect_error is not None:
            return f"expected an error with {example.expect_error!r}, got the result {short_json(result)}"
        return None if example.expect is msgspec.UNSET else _difference(example.expect, result, "result", example)
    except RecursionError:
        return "the result is nested too deeply to be compared"
    except (ValueError, OverflowError) as error:  # integers of thousands of digits
        return f"the result cannot be compared: {_short_text(error)}"


def _difference(expected: Any, got: Any, at: str, example: Example) -> str | None:
    """The first difference, with its path in the result."""
    if isinstance(expected, dict) and isinstance(got, dict):
        missing = [key for key in expected if key not in got]
        extra = [key for key in got if key not in expected]
        if missing:
            return f"{at} lacks {short_json(missing[0])}; it is {short_json(got)}"
        if extra and example.match != "subset":
            return f"{at} also has {short_json(extra[0])}; it is {short_json(got)}"
        return _first(_difference(expected[key], got[key], f"{at}[{key!r}]", example) for key in expected)
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{at} has {len(got)} elements, expected {len(expected)}: {short_json(got)}"
        pairs = enumerate(zip(expected, got, strict=True))
        return _first(_difference(one, other, f"{at}[{n}]", example) for n, (one, other) in pairs)
    if _same(expected, got, example):
        return None
    return f"{at}: expected {short_json(expected)}, got {short_json(got)}"


def _first(differences: Iterator[str | None]) -> str | None:
    return next((difference for difference in differences if difference is not None), None)


def _same(expected: Any, got: Any, example: Example) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if example.match == "approx" and isinstance(expected, int | float) and isinstance(got, int | float):
        return math.isclose(expected, got, rel_tol=example.tolerance, abs_tol=example.tolerance)
    return bool(expected == got)


# Schemas, in a subprocess


async def _schema_answer(check: Callable[..., str | None], *args: Any) -> str | None:
    try:
        return await run_in_subprocess(check, *args)
    except TooLong:
        return f"its schema took more than {CHECK_S} s to look at, or is nested too deeply"


def _schema_problem(schema: Any) -> str | None:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"`expect` is no JSON Schema: {error.message[:_SHOWN_CHARS].rstrip('.')}"
    except RecursionError:
        return "`expect` is nested too deeply"
    return None


def _schema_mismatch(schema: Any, text: str) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry

    try:
        # Without a registry that fetches: a reference must not make this machine open an address or a file.
        error = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(big_integers.loads(text)))
    except Exception as error:  # a dead reference, too large numbers, depth: the example is at fault, not the server
        return f"the result cannot be held against the schema: {type(error).__name__}: {_short_text(error)}"
    if error is None:
        return None
    where = "result" + "".join(f"[{part!r}]" for part in error.absolute_path)
    return f"{where} does not fit the schema: {error.message[:_SHOWN_CHARS]}"
