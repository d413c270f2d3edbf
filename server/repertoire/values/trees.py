"""Trees: `TreeEncoder` turns a value into a tree of JSON's own types, and `read_tree` turns it back. Used by `codec`, `records`, `exceptions`.

JSON's own types stay as they are. A value of another type becomes a dict with the key TAG. `scalars` holds the types without parts,
`instances` takes objects of an author's classes apart.
"""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Final

from . import instances, scalars
from .refusals import StateError
from .scalars import Unstorable

TAG: Final = "__repertoire__"
"""The key of a tagged value. A dict of the author that holds this key is written as pairs, tagged itself."""

VALUE: Final = "value"

_LONG_INT_BITS: Final = 4096
"""Longer integers are written as hexadecimal: Python refuses to read more than 4,300 decimal digits."""

_STORABLE: Final = (
    "the state can hold None, bool, int, float, str, list, dict, tuple, set, bytes, dates and times, Decimal, UUID, paths, enums, "
    "named tuples, the dicts and the deque of collections, dataclasses and pydantic models"
)


class TreeEncoder:
    """Writes one value as a tree of JSON's own types. Use a new encoder for each text.

    `otherwise(value, path)` gives the tree for a value of an unknown type; without it, such a value raises StateError.
    `is_record`: the tree is only for reading, not for a later run. Its classes need not be found again, and secrets go to `otherwise`.
    """

    def __init__(self, otherwise: Callable[[Any, str], Any] | None = None, *, is_record: bool = False) -> None:
        self._otherwise = otherwise or _refuse_unsupported
        self._is_record = is_record
        self._above: set[int] = set()
        self._references: dict[type, Any] = {}
        self._slots: dict[type, dict[str, Any]] = {}

    def write(self, value: Any, path: str) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return value if value.isascii() or _is_exact(value) else tag_value("text", scalars.write_text(value))
        if kind is int:
            return value if value.bit_length() <= _LONG_INT_BITS else tag_value("int", hex(value))
        if kind is float:
            return value if math.isfinite(value) else tag_value("float", repr(value))
        try:
            if kind in scalars.WRITERS:
                tag, write = scalars.WRITERS[kind]
                return tag_value(tag, write(value))
            if id(value) in self._above:
                raise StateError(
                    f"{path}: it contains itself, so it cannot be stored",
                    hint="Store a copy without the part that points back.",
                )
            self._above.add(id(value))
            try:
                return self._write_container(value, path)
            finally:
                self._above.discard(id(value))
        except Unstorable as error:
            raise StateError(f"{path}: {_article(kind)} cannot be stored: {error}", hint=_CONVERT) from None

    def _write_container(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind is dict:
            return self._dict(value, path)
        if kind is list or kind is tuple:
            items = self._items(value, path)
            return items if kind is list else tag_value("tuple", items)
        if kind is set or kind is frozenset:
            items = [self.write(item, f"{path}{{{short(item)}}}") for item in value]
            return tag_value(kind.__name__, sorted(items, key=json.dumps))  # a set has no order; its text must have one
        if kind in _COLLECTIONS:
            return self._collection(value, path)
        return self._of_class(value, path)

    def _items(self, values: Iterable[Any], path: str) -> list[Any]:
        return [self.write(item, f"{path}[{i}]") for i, item in enumerate(values)]

    def _dict(self, value: dict[Any, Any], path: str) -> Any:
        if TAG not in value and all(type(key) is str and (key.isascii() or _is_exact(key)) for key in value):
            return {
                key: item if type(item) is str and item.isascii() else self.write(item, f"{path}[{key!r}]")
                for key, item in value.items()
            }
        return tag_value("dict", self._pairs(value, path))

    def _pairs(self, value: dict[Any, Any], path: str) -> list[list[Any]]:
        pairs = []
        for key, item in value.items():
            place = f"{path}[{short(key)}]"
            if _holds_nan(key):
                raise StateError(
                    f"the key of {place}: NaN equals nothing, so what it stands for would never be found again",
                    hint="Use another key, a text for instance.",
                )
            pairs.append([self.write(key, f"the key of {place}"), self.write(item, place)])
        return pairs

    def _collection(self, value: Any, path: str) -> Any:
        kind = type(value)
        if getattr(value, "__dict__", None):
            raise Unstorable("it has attributes of its own")
        if kind is deque:
            return tag_value("deque", self._items(value, path), most=value.maxlen)
        if kind is not defaultdict:
            return tag_value(kind.__name__, self._pairs(value, path))
        makes = None if value.default_factory is None else instances.reference(value.default_factory)
        if makes is None and value.default_factory is not None:
            raise Unstorable("its default_factory is no class that could be found again")
        return tag_value("defaultdict", self._pairs(value, path), makes=makes)

    # Objects of classes

    def _of_class(self, value: Any, path: str) -> Any:
        kind = type(value)
        if issubclass(kind, Enum):
            return self._enum(value, path)
        if is_dataclass(kind) and instances.is_plain(kind):
            return self._dataclass(value, path)
        if instances.is_model(kind):
            return self._model(value, path)
        if instances.is_named_tuple(kind):
            return self._named_tuple(value, path)
        if not (self._is_record and scalars.is_secret(kind)) and (named := scalars.write_named(value)):
            return tag_value("named", named[1], cls=named[0])
        return self._otherwise(value, path)

    def _reference(self, kind: type) -> Any:
        """The reference by which the class is found again."""
        if kind not in self._references:
            found = instances.reference(kind)
            if found is None and not self._is_record:
                raise Unstorable(
                    f"its class {kind.__qualname__} could not be found again under this name; define it at the top level of a file"
                )
            self._references[kind] = found or instances.name_of(kind)
        return self._references[kind]

    def _attributes(self, value: Any, path: str) -> dict[str, Any]:
        """The object's attributes by name."""
        kind = type(value)
        if kind not in self._slots:
            self._slots[kind] = instances.slots(kind)
        return instances.attributes(value, self._slots[kind])

    def _write_named(self, held: dict[str, Any], path: str) -> dict[str, Any]:
        return {name: self.write(item, f"{path}.{name}") for name, item in held.items()}

    def _write_others(self, held: dict[str, Any], path: str, kind: type) -> dict[str, Any]:
        """Attributes that are no fields. A cached property's value may be left out."""
        found = {}
        for name, item in held.items():
            try:
                found[name] = self.write(item, f"{path}.{name}")
            except StateError:
                if not instances.is_cached_property(kind, name):
                    raise
        return found

    def _dataclass(self, value: Any, path: str) -> Any:
        kind = type(value)
        held = self._attributes(value, path)
        more: dict[str, Any] = {}
        if (of := held.pop("__orig_class__", None)) is not None:
            more["of"] = instances.reference(of)
            if more["of"] is None and not self._is_record:
                raise Unstorable(f"{of} could not be found again")
        names = kind.__dataclass_fields__  # includes pseudo-fields (ClassVar, InitVar); objects hold no value for them
        fields = {name: held.pop(name) for name in names if name in held}
        if lacks := [one for one in instances.field_names(kind) if one not in fields]:
            more["lacks"] = lacks
        if held:
            more["more"] = self._write_others(held, path, kind)
        return tag_value("dataclass", self._write_named(fields, path), cls=self._reference(kind), **more)

    def _model(self, value: Any, path: str) -> Any:
        kind = type(value)
        kept = instances.take_apart(value)
        if instances.slots(kind):
            raise Unstorable("it has slots of its own")
        more: dict[str, Any] = {}
        if kept.given != list(kept.fields):
            more["given"] = kept.given
        for name, held in (("extra", kept.extra), ("private", kept.private)):
            if held is not None:
                more[name] = self._write_named(held, path)
        if kept.more:
            more["more"] = self._write_others(kept.more, path, kind)
        if kept.lacks:
            more["lacks"] = kept.lacks
        return tag_value("pydantic", self._write_named(kept.fields, path), cls=self._reference(kind), **more)

    def _enum(self, value: Enum, path: str) -> Any:
        kind, name = type(value), instances.enum_name(value)
        try:
            inner = self.write(value._value_, f"{path}.value")
        except (StateError, Unstorable):
            inner = None
        if name is None and (inner is None or instances.find_member(kind, None, value._value_) != value):
            raise Unstorable("its class could not give it again")
        return tag_value("enum", inner, cls=self._reference(kind), name=name)

    def _named_tuple(self, value: Any, path: str) -> Any:
        kind: Any = type(value)
        if getattr(value, "__dict__", None):
            raise Unstorable("it has attributes of its own")
        items = self._items(value, path)
        return tag_value("namedtuple", items, cls=self._reference(kind), names=list(kind._fields))


_COLLECTIONS: Final = frozenset({deque, OrderedDict, defaultdict, Counter})
_CONVERT: Final = "Convert it before you put it into session_state."


def _is_exact(text: str) -> bool:
    """True if JSON gives the text back. False if two lone surrogates in it make one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return bool(json.loads(json.dumps(text)) == text)
    return True


def _holds_nan(key: Any) -> bool:
    """True for NaN, also inside a tuple or frozenset: only NaN differs from itself."""
    return any(map(_holds_nan, key)) if type(key) in (tuple, frozenset) else bool(key != key)


def tag_value(tag: str, value: Any, **more: Any) -> dict[str, Any]:
    return {TAG: tag, **more, VALUE: value}


def _refuse_unsupported(value: object, path: str) -> Any:
    raise StateError(f"{path}: {_article(type(value))} cannot be stored; {_STORABLE}", hint=_CONVERT)


def _article(kind: type) -> str:
    name = kind.__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def short(value: object) -> str:
    try:
        text = repr(value)
    except BaseException:  # the author's __repr__
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


# Reading


_NESTED: Final = frozenset({dict, list})
CONTAINERS: Final[dict[str, Callable[[Any], Any]]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
DICTS: Final[dict[str, Callable[[Any], Any]]] = {
    "dict": dict,
    "OrderedDict": OrderedDict,
    "Counter": lambda pairs: Counter(dict(pairs)),
}


def read_tree(value: Any, models: bool = True) -> Any:
    """Read the tree that a TreeEncoder wrote. Without `models`, models and dataclasses come back as dicts."""
    if isinstance(value, list):
        return [read_tree(item, models) if type(item) in _NESTED else item for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TAG)
    if tag is None:
        return {key: read_tree(item, models) if type(item) in _NESTED else item for key, item in value.items()}
    inner = value[VALUE]
    if tag in scalars.READERS:
        return scalars.READERS[tag](inner)
    if tag in CONTAINERS:
        return CONTAINERS[tag](read_tree(item, models) for item in inner)
    if tag in DICTS:
        return DICTS[tag]((read_tree(key, models), read_tree(item, models)) for key, item in inner)
    if tag in READERS:
        return READERS[tag](value, models)
    raise StateError(f"the stored state holds a {tag!r}, which this version of Repertoire does not know")


def _read_named(held: dict[str, Any] | None, models: bool) -> dict[str, Any]:
    return {name: read_tree(item, models) for name, item in (held or {}).items()}


def _read_dataclass(kept: dict[str, Any], models: bool) -> Any:
    held = _read_named(kept[VALUE], models)
    kind = instances.resolve_reference(kept["cls"]) if models else None
    more = _read_named(kept.get("more"), models)
    if kept.get("of") and (of := instances.resolve_reference(kept["of"])):
        more["__orig_class__"] = of
    value = instances.restore_dataclass(kind, held, more, kept.get("lacks", []))
    return held if value is None else value


def _read_model(kept: dict[str, Any], models: bool) -> Any:
    fields, extra = _read_named(kept[VALUE], models), kept.get("extra")
    parts = instances.Model(
        fields=fields,
        given=kept.get("given", list(fields)),
        extra=None if extra is None else _read_named(extra, models),
        private=None if kept.get("private") is None else _read_named(kept["private"], models),
        more=_read_named(kept.get("more"), models),
        lacks=kept.get("lacks", []),
    )
    model = instances.restore_model(instances.resolve_reference(kept["cls"]), parts) if models else None
    return {**fields, **(parts.extra or {})} if model is None else model


def _read_first_model(kept: dict[str, Any], models: bool) -> Any:
    """Read a model in the first versions' form: its JSON form, which only the class itself can read."""
    values = read_tree(kept[VALUE], models)
    model: Any = instances.find_class(kept["cls"]) if models else None
    if model is None or not instances.is_model(model):
        return values
    try:  # JSON mode, so that strict models accept their own text forms
        return model.model_validate_json(json.dumps(values), by_alias=False, by_name=True)
    except ValueError:  # the class has changed since
        return values


def _read_enum(kept: dict[str, Any], models: bool) -> Any:
    value = read_tree(kept[VALUE], models)
    return instances.find_member(instances.resolve_reference(kept["cls"]) if models else None, kept["name"], value)


def _read_named_tuple(kept: dict[str, Any], models: bool) -> Any:
    kind = instances.resolve_reference(kept["cls"]) if models else None
    return instances.restore_named_tuple(kind, kept["names"], read_tree(kept[VALUE], models))


def _read_default_dict(kept: dict[str, Any], models: bool) -> Any:
    makes = kept["makes"] and instances.resolve_reference(kept["makes"])
    return defaultdict(makes, ((read_tree(key, models), read_tree(item, models)) for key, item in kept[VALUE]))


READERS: Final[dict[str, Callable[[dict[str, Any], bool], Any]]] = {
    "dataclass": _read_dataclass,
    "pydantic": _read_model,
    "model": _read_first_model,
    "enum": _read_enum,
    "namedtuple": _read_named_tuple,
    "defaultdict": _read_default_dict,
    "deque": lambda kept, models: deque(read_tree(kept[VALUE], models), kept["most"]),
    "named": lambda kept, models: scalars.read_named(kept["cls"], kept[VALUE]),
}
"""Readers of tags whose value has parts. `exceptions` adds its own tags."""
