"""Values as trees of JSON's own types, and back: JSON's own are themselves, others are tagged. Used by `codec` and by what journals keep.

What has no parts is in `stored_kinds`, what has a class of its author's in `stored_classes`.
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
"""Marks a tagged value. A dict of the author's that holds this key is itself written tagged, as pairs."""

VALUE: Final = "value"

_LONG_INT_BITS: Final = 4096
"""Longer integers go as hexadecimal: Python refuses to read decimal ones beyond 4,300 digits."""

_STORABLE: Final = (
    "the state can hold None, bool, int, float, str, list, dict, tuple, set, bytes, dates and times, Decimal, UUID, paths, enums, "
    "named tuples, the dicts and the deque of collections, dataclasses and pydantic models"
)


class Encoder:
    """Values as trees of JSON's own types. `otherwise(value, path)` gives what is no type of ours. Of one text only.

    `is_record`: what was given once and is never gone on with; a class need not be found again, and secrets go `otherwise`.
    """

    def __init__(self, otherwise: Callable[[Any, str], Any] | None = None, *, is_record: bool = False) -> None:
        self._otherwise = otherwise or _unsupported
        self._is_record = is_record
        self._above: set[int] = set()
        self._references: dict[type, Any] = {}
        self._slots: dict[type, dict[str, Any]] = {}

    def write(self, value: Any, path: str) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return value if value.isascii() or _is_exact(value) else tagged("text", scalars.write_text(value))
        if kind is int:
            return value if value.bit_length() <= _LONG_INT_BITS else tagged("int", hex(value))
        if kind is float:
            return value if math.isfinite(value) else tagged("float", repr(value))
        try:
            if kind in scalars.WRITERS:
                tag, write = scalars.WRITERS[kind]
                return tagged(tag, write(value))
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
            return items if kind is list else tagged("tuple", items)
        if kind is set or kind is frozenset:
            items = [self.write(item, f"{path}{{{short(item)}}}") for item in value]
            return tagged(kind.__name__, sorted(items, key=json.dumps))  # a set has no order; its text must have one
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
        return tagged("dict", self._pairs(value, path))

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
            return tagged("deque", self._items(value, path), most=value.maxlen)
        if kind is not defaultdict:
            return tagged(kind.__name__, self._pairs(value, path))
        makes = None if value.default_factory is None else instances.reference(value.default_factory)
        if makes is None and value.default_factory is not None:
            raise Unstorable("its default_factory is no class that could be found again")
        return tagged("defaultdict", self._pairs(value, path), makes=makes)

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
            return tagged("named", named[1], cls=named[0])
        return self._otherwise(value, path)

    def _reference(self, kind: type) -> Any:
        """Of its class, by which it is found again."""
        if kind not in self._references:
            found = instances.reference(kind)
            if found is None and not self._is_record:
                raise Unstorable(
                    f"its class {kind.__qualname__} could not be found again under this name; define it at the top level of a file"
                )
            self._references[kind] = found or instances.name_of(kind)
        return self._references[kind]

    def _held(self, value: Any, path: str) -> dict[str, Any]:
        """Its attributes, without what typing leaves on an object of a generic class."""
        kind = type(value)
        if kind not in self._slots:
            self._slots[kind] = instances.slots(kind)
        return instances.attributes(value, self._slots[kind])

    def _named(self, held: dict[str, Any], path: str) -> dict[str, Any]:
        return {name: self.write(item, f"{path}.{name}") for name, item in held.items()}

    def _others(self, held: dict[str, Any], path: str, kind: type) -> dict[str, Any]:
        """Attributes that are no fields."""
        found = {}
        for name, item in held.items():
            try:
                found[name] = self.write(item, f"{path}.{name}")
            except StateError:
                if not instances.can_be_worked_out(kind, name):
                    raise
        return found

    def _dataclass(self, value: Any, path: str) -> Any:
        kind = type(value)
        held = self._held(value, path)
        more: dict[str, Any] = {}
        if (of := held.pop("__orig_class__", None)) is not None:
            more["of"] = instances.reference(of)
            if more["of"] is None and not self._is_record:
                raise Unstorable(f"{of} could not be found again")
        names = kind.__dataclass_fields__  # with pseudo-fields, of which no object has a value of its own
        fields = {name: held.pop(name) for name in names if name in held}
        if lacks := [one for one in instances.field_names(kind) if one not in fields]:
            more["lacks"] = lacks
        if held:
            more["more"] = self._others(held, path, kind)
        return tagged("dataclass", self._named(fields, path), cls=self._reference(kind), **more)

    def _model(self, value: Any, path: str) -> Any:
        kind = type(value)
        kept = instances.taken_apart(value)
        if instances.slots(kind):
            raise Unstorable("it has slots of its own")
        more: dict[str, Any] = {}
        if kept.given != list(kept.fields):
            more["given"] = kept.given
        for name, held in (("extra", kept.extra), ("private", kept.private)):
            if held is not None:
                more[name] = self._named(held, path)
        if kept.more:
            more["more"] = self._others(kept.more, path, kind)
        if kept.lacks:
            more["lacks"] = kept.lacks
        return tagged("pydantic", self._named(kept.fields, path), cls=self._reference(kind), **more)

    def _enum(self, value: Enum, path: str) -> Any:
        kind, name = type(value), instances.enum_name(value)
        try:
            inner = self.write(value._value_, f"{path}.value")
        except (StateError, Unstorable):
            inner = None
        if name is None and (inner is None or instances.made_member(kind, None, value._value_) != value):
            raise Unstorable("its class could not give it again")
        return tagged("enum", inner, cls=self._reference(kind), name=name)

    def _named_tuple(self, value: Any, path: str) -> Any:
        kind: Any = type(value)
        if getattr(value, "__dict__", None):
            raise Unstorable("it has attributes of its own")
        items = self._items(value, path)
        return tagged("namedtuple", items, cls=self._reference(kind), names=list(kind._fields))


_COLLECTIONS: Final = frozenset({deque, OrderedDict, defaultdict, Counter})
_CONVERT: Final = "Convert it before you put it into session_state."


def _is_exact(text: str) -> bool:
    """Whether JSON gives it back: not where it holds two surrogates that make one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return bool(json.loads(json.dumps(text)) == text)
    return True


def _holds_nan(key: Any) -> bool:
    return any(map(_holds_nan, key)) if type(key) in (tuple, frozenset) else bool(key != key)


def tagged(tag: str, value: Any, **more: Any) -> dict[str, Any]:
    return {TAG: tag, **more, VALUE: value}


def _unsupported(value: object, path: str) -> Any:
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
_CONTAINERS: Final[dict[str, Callable[[Any], Any]]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_DICTS: Final[dict[str, Callable[[Any], Any]]] = {
    "dict": dict, "OrderedDict": OrderedDict, "Counter": lambda pairs: Counter(dict(pairs)),
}  # fmt: skip


def read_tree(value: Any, models: bool = True) -> Any:
    """What an Encoder wrote."""
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
    if tag in _CONTAINERS:
        return _CONTAINERS[tag](read_tree(item, models) for item in inner)
    if tag in _DICTS:
        return _DICTS[tag]((read_tree(key, models), read_tree(item, models)) for key, item in inner)
    if tag in READERS:
        return READERS[tag](value, models)
    raise StateError(f"the stored state holds a {tag!r}, which this version of Repertoire does not know")


def _named(held: dict[str, Any] | None, models: bool) -> dict[str, Any]:
    return {name: read_tree(item, models) for name, item in (held or {}).items()}


def _read_dataclass(kept: dict[str, Any], models: bool) -> Any:
    held = _named(kept[VALUE], models)
    kind = instances.referred(kept["cls"]) if models else None
    more = _named(kept.get("more"), models)
    if kept.get("of") and (of := instances.referred(kept["of"])):
        more["__orig_class__"] = of
    made = instances.made_dataclass(kind, held, more, kept.get("lacks", []))
    return held if made is None else made


def _read_model(kept: dict[str, Any], models: bool) -> Any:
    fields, extra = _named(kept[VALUE], models), kept.get("extra")
    apart = instances.Model(
        fields, kept.get("given", list(fields)), None if extra is None else _named(extra, models),
        None if kept.get("private") is None else _named(kept["private"], models), _named(kept.get("more"), models),
        kept.get("lacks", []),
    )  # fmt: skip
    made = instances.made_model(instances.referred(kept["cls"]), apart) if models else None
    return {**fields, **(apart.extra or {})} if made is None else made


def _read_first_model(kept: dict[str, Any], models: bool) -> Any:
    """As the first versions wrote one: its JSON form, which only the class itself can read."""
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
    return instances.made_member(instances.referred(kept["cls"]) if models else None, kept["name"], value)


def _read_named_tuple(kept: dict[str, Any], models: bool) -> Any:
    kind = instances.referred(kept["cls"]) if models else None
    return instances.made_named_tuple(kind, kept["names"], read_tree(kept[VALUE], models))


def _read_default_dict(kept: dict[str, Any], models: bool) -> Any:
    makes = kept["makes"] and instances.referred(kept["makes"])
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
"""Of tags whose value has parts. Other modules add their own: what a record holds beside values."""
