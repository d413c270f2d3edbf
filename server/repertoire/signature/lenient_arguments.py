"""Second reading: what the types refuse of a caller's arguments is read as what models often mean by it.

- Text where no text can be is read as JSON: `"[1, 2]"` for a list, `"5.0"` for an int, `"{...}"` for a model, at any depth.
- null for what has a default, and may not be null, is as left out.
- `[]` for an object is an empty one: some languages write both alike.

What the types accept is never touched, so `str` stays text, and a valid call costs nothing. Used by arguments.py for every style.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from .simple_types import Adapter

_ROUNDS: Final = 8
"""Text in text in text: each round reads one level of it."""

_OBJECT: Final = frozenset(
    {"dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type", "dataclass_exact_type", "arguments_type"}
)  # fmt: skip
_NOT_TEXT: Final = _OBJECT | {
    "list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "int_parsing", "int_type", "int_parsing_size",
    "float_parsing", "float_type", "bool_parsing", "bool_type", "none_required", "literal_error", "enum",
}  # fmt: skip
"""Pydantic's errors for a type that text cannot be."""


class Reading(NamedTuple):
    given: Mapping[str, Any]
    """The arguments as they were read."""
    value: Any
    """What the types made of them."""


class Misread(Exception):
    """Raised when the types refuse the arguments, however they are read. `given` is the reading that `errors` speak of."""

    def __init__(self, errors: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> None:
        super().__init__(errors, given)
        self.errors = errors
        self.given = given


class _Place(NamedTuple):
    """Where in the arguments a value stands: in its container under this key. `path` are the names on the way."""

    container: Any
    key: Any
    path: tuple[Any, ...]


def read(
    adapter: Adapter, given: Mapping[str, Any], optional: Collection[str], schema: Callable[[], Mapping[str, Any]]
) -> Reading:
    """`optional` names the parameters with a default. `schema` is asked only for a null further inside. Raises Misread."""
    from pydantic import ValidationError

    try:
        return Reading(given, adapter.validate_python(given))
    except ValidationError as error:
        first = error.errors(include_url=False)
    if not any(map(_is_readable, first)):
        raise Misread(first, given)
    again, opened = _copy(given), False
    for _ in range(_ROUNDS):
        try:
            return Reading(again, adapter.validate_python(again))
        except ValidationError as error:
            last = error.errors(include_url=False)
        found = [_read(error, again, optional, schema) for error in last if _is_readable(error)]
        opened = opened or not {list, dict, type(None)}.isdisjoint(found)
        if not any(found):
            break
    raise (
        Misread(last, again) if opened else Misread(first, given)
    )  # what is wrong then: inside of a text, beside a null


def _copy(given: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values, nested as deeply as they are: `deepcopy` would give up long before marshal does."""
    copied: dict[str, Any] = marshal.loads(marshal.dumps(dict(given)))
    return copied


def _is_readable(error: Mapping[str, Any]) -> bool:
    value = error["input"]
    return (
        value is None
        or (isinstance(value, str) and error["type"] in _NOT_TEXT)
        or (value == [] and error["type"] in _OBJECT)
    )


def _read(
    error: Mapping[str, Any], given: dict[str, Any], optional: Collection[str], schema: Callable[[], Mapping[str, Any]]
) -> type | None:
    """Put into the arguments what is meant. The type that was found there; None: nothing was changed."""
    place = _place_of(error, given)
    if place is None:
        return None
    value = error["input"]
    if value is None:
        if not _is_optional(place, optional, schema):
            return None
        del place.container[place.key]
        return type(None)
    meant = {} if value == [] else _decoded(value)
    if isinstance(meant, str):
        return None
    place.container[place.key] = meant
    return type(meant)


def _decoded(text: str) -> Any:
    """What the text is as JSON; the text itself where it is none, or is a text again."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _place_of(error: Mapping[str, Any], given: dict[str, Any]) -> _Place | None:
    """None where the error is of something else: pydantic's location also names the members of unions, and keys."""
    place, current = None, given
    for part in error["loc"]:
        is_inside = part in current if isinstance(current, dict) else _is_index(part, current)
        if is_inside:
            place = _Place(current, part, (*(place.path if place else ()), part))
            current = current[part]
    return place if place is not None and type(current) is type(error["input"]) and current == error["input"] else None


def _is_index(part: Any, current: Any) -> bool:
    return isinstance(current, list) and isinstance(part, int) and part < len(current)


def _is_optional(place: _Place, optional: Collection[str], schema: Callable[[], Mapping[str, Any]]) -> bool:
    """Whether it is a field with a default: an item of a list, or of a dict with any keys, is the caller's own."""
    if len(place.path) == 1 and place.key in optional:
        return True
    if not isinstance(place.container, dict):
        return False
    root = schema()
    holders = _inside(root, root, place.path[:-1])
    return any(place.key in one.get("properties", ()) and place.key not in one.get("required", ()) for one in holders)


def _inside(schema: Mapping[str, Any], root: Mapping[str, Any], path: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """The schemas that may describe what stands at this path."""
    if "$ref" in schema:
        yield from _inside(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), root, path)
        return
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _inside(choice, root, path)
    if not path:
        yield schema
        return
    first, *rest = path
    below = _item(schema, first) if isinstance(first, int) else schema.get("properties", {}).get(first)
    below = schema.get("additionalProperties") if below is None and isinstance(first, str) else below
    if isinstance(below, Mapping):
        yield from _inside(below, root, rest)


def _item(schema: Mapping[str, Any], index: int) -> Any:
    places = schema.get("prefixItems", ())
    return places[index] if index < len(places) else schema.get("items")
