"""Former hashes: texts of step arguments as the first versions hashed them, so that replay still accepts their journals.

Used by `records`.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from datetime import datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from . import codec, instances
from .refusals import StateError
from .trees import TreeEncoder, tag_value

_COLLECTIONS: Final = frozenset({"deque", "OrderedDict", "defaultdict", "Counter", "timezone", "ZoneInfo"})


class _Encoder(TreeEncoder):
    """The first versions' encoder: models in their JSON form; no enums, named tuples and the like."""

    def write(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind.__name__ in _COLLECTIONS:
            raise StateError(path)
        if kind is datetime or kind is time:
            zone = value.tzinfo
            if isinstance(zone, ZoneInfo) and zone.key is not None:
                return tag_value(kind.__name__, [value.replace(tzinfo=None).isoformat(), zone.key, value.fold])
            return tag_value(kind.__name__, [value.isoformat(), None, value.fold])
        return super().write(value, path)

    def _of_class(self, value: Any, path: str) -> Any:
        kind = type(value)
        name = instances.name_of(kind)
        if instances.is_model(kind):
            try:
                plain = value.model_dump(mode="json", by_alias=False, round_trip=True, warnings=False)
            except (ValueError, TypeError) as error:
                raise StateError(path) from error
            return tag_value("model", self.write(plain, path), cls=name)
        if is_dataclass(kind):
            held = {one: getattr(value, one) for one in instances.field_names(kind) if hasattr(value, one)}
            return tag_value("dataclass", {one: self.write(item, path) for one, item in held.items()}, cls=name)
        raise StateError(path)


def shape_of(value: Any) -> str:
    """The value as the first versions compared it."""
    try:
        return codec.write_with({"": value}, _Encoder(), "")
    except (StateError, RecursionError):
        pass
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{shape_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(shape_of, value)) + "]"
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
