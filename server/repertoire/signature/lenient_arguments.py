"""Lenient arguments: if the types refuse a caller's arguments, reads them again as models often mean them. Used by `arguments`.

1. Text in the place of another type is read as JSON: `"[1, 2]"` for a list, `"5.0"` for an int, `"{...}"` for a model, at any depth.
2. null counts as absent if the field has a default and its type does not allow null.
3. `[]` in the place of an object is an empty object: some languages write both alike.

Accepted values are never changed. So `str` stays text, and a valid call costs nothing.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from .fast_adapters import Adapter

_ROUNDS: Final = 8
"""JSON text may hold JSON text; each round reads one level."""

_OBJECT: Final = frozenset(
    {
        "arguments_type",
        "dataclass_exact_type",
        "dataclass_type",
        "dict_type",
        "mapping_type",
        "model_attributes_type",
        "model_type",
    }
)
_NOT_TEXT: Final = _OBJECT | {
    "list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "int_parsing", "int_type", "int_parsing_size",
    "float_parsing", "float_type", "bool_parsing", "bool_type", "none_required", "literal_error", "enum",
}  # fmt: skip
"""Pydantic's error types for a value that should not be text."""


class Reading(NamedTuple):
    given: Mapping[str, Any]
    """The arguments after the second reading."""
    value: Any
    """The arguments as the types validated them."""


class Misread(Exception):
    """Raised when the types refuse both readings of the arguments. `errors` refer to the reading `given`."""

    def __init__(self, errors: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> None:
        super().__init__(errors, given)
        self.errors = errors
        self.given = given


class _Place(NamedTuple):
    """The place of a value in the arguments: a container and a key. `path` holds all keys from the root."""

    container: Any
    key: Any
    path: tuple[Any, ...]


def read(
    adapter: Adapter, given: Mapping[str, Any], optional: Collection[str], schema: Callable[[], Mapping[str, Any]]
) -> Reading:
    """Validate the arguments, if needed by a second reading. Raises Misread.

    `optional` names the parameters with a default. `schema` is called only for a null inside a parameter's value.
    """
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
    # Once the second reading has opened a text or dropped a null, the errors that remain are about the new arguments.
    raise Misread(last, again) if opened else Misread(first, given)


def _copy(given: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of JSON values, by marshal: `deepcopy` fails at a much smaller depth."""
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
    """Put the likely meaning into the arguments, in place. Returns its type; None if nothing changed."""
    place = _place_of(error, given)
    if place is None:
        return None
    value = error["input"]
    if value is None:
        if not _is_optional(place, optional, schema):
            return None
        del place.container[place.key]
        return type(None)
    meant = {} if value == [] else _decode(value)
    if isinstance(meant, str):
        return None
    place.container[place.key] = meant
    return type(meant)


def _decode(text: str) -> Any:
    """The JSON value in the text; the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _place_of(error: Mapping[str, Any], given: dict[str, Any]) -> _Place | None:
    """The place that the error is about, or None. Pydantic's location also names union members and keys, which we skip."""
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
    """True for a field with a default. False for a list item, or a value in a dict with free keys: the caller chose to give it."""
    if len(place.path) == 1 and place.key in optional:
        return True
    if not isinstance(place.container, dict):
        return False
    root = schema()
    holders = _inside(root, root, place.path[:-1])
    return any(place.key in one.get("properties", ()) and place.key not in one.get("required", ()) for one in holders)


def _inside(schema: Mapping[str, Any], root: Mapping[str, Any], path: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """The schemas that may describe the value at this path."""
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
