"""Result: checks the value that `run` returned against its annotation and writes it as JSON text. Used by `Signature`.

A refusal is one of ResultMismatch, ResultNotJson, ResultTooLarge, TooManyItems. Its message names the place in the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ..values.refusals import ResultMismatch, ResultNotJson, ResultTooLarge, TooManyItems
from ..values.result_json import Fallback, TooMany, is_boxed, unbox_all, with_text, write_json
from .annotations import UNSAID, show_annotation
from .validation_messages import show_value

if TYPE_CHECKING:
    from .fast_adapters import ForResults

_LARGE_HINT: Final = "Write the data to a file and return its path, or take an offset and return one page."
_ANY_SIZE: Final = 2**62


def check_room(items: int, max_items: int, hint: str) -> None:
    """Raise TooManyItems if a generator has already yielded as many items as a result may hold."""
    if items >= max_items:
        raise TooManyItems(
            f"run() yielded more than {max_items} items", hint=f"{hint} The setting max_items raises this limit."
        )


def dump(value: Any, annotation: Any, adapter: ForResults, max_bytes: int) -> str:
    """The result as JSON text. NaN and infinities become null, because JSON cannot express them."""
    if is_boxed(value):  # first, because a type check of a large array would visit every value
        value = _unbox(value, max_bytes)
    if annotation is not UNSAID:
        value = _check(value, annotation, adapter, max_bytes)
    try:
        text = write_json(with_text(value) if adapter.is_loose else value, adapter.serializer, Fallback(max_bytes))
    except TooMany as error:
        raise ResultTooLarge(
            f"run() returned {error}; at most {max_bytes} bytes are allowed", hint=_LARGE_HINT
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_json(value, error) from error
    if len(text) > max_bytes:
        raise ResultTooLarge(
            f"run() returned {len(text)} bytes of JSON; at most {max_bytes} are allowed",
            hint=_LARGE_HINT,
        )
    return text.decode()


def _check(value: Any, annotation: Any, adapter: ForResults, max_bytes: int) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        if (plain := _unbox(value, max_bytes)) is not value:
            return _check(plain, annotation, adapter, max_bytes)
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        detail = f"; at result{place}: {first['msg']}" if place else ""
        raise ResultMismatch(
            f"run() says it returns {show_annotation(annotation)}, but returned {show_value(value)}{detail}",
            hint="Correct the return annotation or the return value.",
        ) from None


def _unbox(value: Any, max_bytes: int) -> Any:
    """The value with Python's own numbers and lists for numpy's; the same object if it has none."""
    try:
        plain = unbox_all(value, max_bytes)
    except TooMany as error:
        raise ResultTooLarge(
            f"run() returned {error}; at most {max_bytes} bytes are allowed", hint=_LARGE_HINT
        ) from None
    except (TypeError, RecursionError):
        return value
    return plain if _kinds(plain) != _kinds(value) else value


def _kinds(value: Any) -> Any:
    """The types inside a value, to see if unboxing changed any."""
    if isinstance(value, dict):
        return [_kinds(item) for item in value.values()]
    return [_kinds(item) for item in value] if type(value) in (list, tuple) else type(value)


def _not_json(value: Any, error: Exception) -> ResultNotJson:
    path, culprit = _find_culprit(value)
    if culprit is None:
        return ResultNotJson(
            f"{path} contains itself, so it has no JSON form",
            hint="Return a copy without the part that points back.",
        )
    name = type(culprit).__name__
    return ResultNotJson(
        f"{path} has no JSON form: it is of type {name} ({str(error)[:300]})",
        hint="Return numbers, strings, lists, dicts, dataclasses or pydantic models.",
    )


def _find_culprit(value: Any) -> tuple[str, Any]:
    """The path to the innermost part that cannot be written, and that part. The part is None if the value contains itself."""
    from pydantic_core import to_json

    path, seen = "result", set[int]()
    for _ in range(50):  # a longer path in a message helps nobody
        if id(value) in seen:
            return path, None
        seen.add(id(value))
        for step, part in _parts(value):
            try:
                to_json(part, bytes_mode="base64", fallback=Fallback(_ANY_SIZE))
            except (ValueError, TypeError, RecursionError):
                path, value = path + step, part
                break
        else:
            break
    return path, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{str(key)[:60]!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{i}]", part) for i, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from (("{...}", part) for part in value)
