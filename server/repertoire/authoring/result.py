"""What `run` returned, as JSON text: checked against its annotation, or refused with a sentence that says where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..text import well_formed_json
from .complaints import shown
from .hints import UNSAID
from .hints import shown as shown_annotation
from .refusals import ResultMismatch, ResultNotJson, ResultTooLarge, TooManyItems

if TYPE_CHECKING:
    from .plain import Adapter


def check_room(items: int, max_items: int, hint: str) -> None:
    """Raises TooManyItems where a stream of the author's own values has as many as its result may hold."""
    if items >= max_items:
        raise TooManyItems(
            f"run() yielded more than {max_items} items", hint=f"{hint} The setting max_items raises this limit."
        )


def dump(value: Any, annotation: Any, adapter: Adapter, max_bytes: int) -> str:
    """NaN and infinities become null: JSON has no word for them."""
    if annotation is not UNSAID:
        value = _checked(value, annotation, adapter)
    try:
        text = _written(value, adapter)
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_json(value, adapter, error) from error
    if len(text) > max_bytes:
        raise ResultTooLarge(
            f"run() returned {len(text)} bytes of JSON; at most {max_bytes} are allowed",
            hint="Write the data to a file and return its path, or take an offset and return one page.",
        )
    return text.decode()


def _written(value: Any, adapter: Adapter) -> bytes:
    """JSON as UTF-8. Names of files may hold bytes that are no UTF-8, and what comes from JSON half a character: they are escaped."""
    try:
        return adapter.dump_json(value, by_alias=True, warnings=False)
    except ValueError as error:
        if "surrogates not allowed" not in str(error):
            raise
    from pydantic_core import to_json, to_jsonable_python

    plain = to_jsonable_python(well_formed_json(value), by_alias=True)
    return to_json(well_formed_json(plain), inf_nan_mode="null")


def _checked(value: Any, annotation: Any, adapter: Adapter) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        detail = f"; at result{place}: {first['msg']}" if place else ""
        raise ResultMismatch(
            f"run() says it returns {shown_annotation(annotation)}, but returned {shown(value)}{detail}",
            hint="Correct the return annotation or the return value.",
        ) from None


def _not_json(value: Any, adapter: Adapter, error: Exception) -> ResultNotJson:
    path, culprit = _find_culprit(value, adapter)
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


def _find_culprit(value: Any, adapter: Adapter) -> tuple[str, Any]:
    """The innermost part that cannot be written, and the way to it; None when that leads back to where it has been."""
    from pydantic_core import to_json

    path, seen = "result", set[int]()
    for _ in range(50):  # a longer way helps nobody
        if id(value) in seen:
            return path, None
        seen.add(id(value))
        for step, part in _parts(value):
            try:
                to_json(part)
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
