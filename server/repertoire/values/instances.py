"""Instances: takes objects of an author's classes apart and restores them: dataclasses, pydantic models, enums, named tuples.

Restoring runs no constructor, validator or property, because the author's code might do more than restore. `reference` names a class,
and `resolve_reference` finds it again. Used by `trees`, `exceptions`, `update_in_place` and `former_hashes`.
"""

from __future__ import annotations

import operator
import sys
import types
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cached_property, reduce
from importlib import import_module
from typing import Any, Final, NamedTuple, get_args, get_origin

from .former_modules import current_module

_HEAP_TYPE: Final = 1 << 9
"""CPython's type flag of a class that is defined in Python, not in C."""

# Names of classes


def name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def find_class(name: str) -> Any:
    """The class of this name; None if it is gone or was defined inside a function."""
    module_name, _, path = name.partition(":")
    module_name = current_module(module_name)
    try:
        found: Any = sys.modules.get(module_name) or import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, type) else None


def reference(kind: Any) -> Any:
    """JSON by which `resolve_reference` finds a type: its name, or a list for a generic type or a union. None if it cannot be found."""
    if kind is types.NoneType:
        return "None"
    generic = getattr(kind, "__pydantic_generic_metadata__", None) or {}
    origin, arguments = (
        (generic["origin"], generic["args"]) if generic.get("origin") else (get_origin(kind), get_args(kind))
    )
    if origin is None:
        name = name_of(kind) if isinstance(kind, type) and "<locals>" not in kind.__qualname__ else None
        return name if name is not None and find_class(name) is kind else None
    parts = [reference(one) for one in arguments]
    of = "|" if origin is types.UnionType or str(origin) == "typing.Union" else reference(origin)
    return None if of is None or None in parts else [of, *parts]


def resolve_reference(kept: Any) -> Any:
    """The type that `reference` described; None if it is gone."""
    if isinstance(kept, str):
        return types.NoneType if kept == "None" else find_class(kept)
    of, *parts = kept
    arguments = [resolve_reference(one) for one in parts]
    if None in arguments:
        return None
    try:
        if of == "|":
            return reduce(operator.or_, arguments)
        found = resolve_reference(of)
        return None if found is None else found[tuple(arguments) if len(arguments) > 1 else arguments[0]]
    except Exception:  # the class has other parameters now; __class_getitem__ may be the author's
        return None


# Attributes of an object


def is_plain(kind: type) -> bool:
    """True if the objects hold their data in attributes only. False with a base in C other than object: a dict, an exception."""
    return all(one is object or one.__flags__ & _HEAP_TYPE for one in kind.__mro__)


def slots(kind: type) -> dict[str, Any]:
    """The class's slots by name, without the slots that pydantic uses itself."""
    return {
        name: member
        for one in reversed(kind.__mro__)
        for name, member in vars(one).items()
        if type(member) is types.MemberDescriptorType and not name.startswith("__pydantic_")
    }


def attributes(value: Any, of_slots: dict[str, Any]) -> dict[str, Any]:
    """All attributes that the object holds, read without properties and __getattribute__."""
    try:
        held = dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:  # the class has slots only
        held = {}
    for name, member in of_slots.items():
        try:
            held[name] = member.__get__(value)
        except AttributeError:  # the slot is empty
            continue
    return held


def is_cached_property(kind: type, name: str) -> bool:
    """True if the attribute is the value of a cached property. A value that cannot be stored is then computed again."""
    return any(isinstance(vars(one).get(name), cached_property) for one in kind.__mro__)


def put_attributes(value: Any, held: dict[str, Any]) -> None:
    """Set attributes without the class's code. Raises AttributeError if the class has no room for one."""
    of_slots = slots(type(value))
    for name in held.keys() & of_slots.keys():
        of_slots[name].__set__(value, held[name])
    if rest := {name: one for name, one in held.items() if name not in of_slots}:
        object.__getattribute__(value, "__dict__").update(rest)


def replace_attributes(value: Any, held: dict[str, Any]) -> None:
    """Set these attributes and delete all others."""
    of_slots = slots(type(value))
    for name in attributes(value, of_slots).keys() - held.keys():
        object.__delattr__(value, name) if name in of_slots else object.__getattribute__(value, "__dict__").pop(name)
    put_attributes(value, held)


# Dataclasses


def field_names(kind: Any) -> list[str]:
    return [one.name for one in fields(kind)]


def restore_dataclass(kind: Any, held: dict[str, Any], more: dict[str, Any], lacks: list[str]) -> Any:
    """The object; None if the class has lost a field or has a new field without a default."""
    if not (isinstance(kind, type) and is_dataclass(kind) and is_plain(kind)):
        return None
    names = field_names(kind)
    missing = [name for name in names if name not in held and name not in lacks]
    defaults = _defaults(kind, missing)
    if defaults is None or not held.keys() <= set(names):
        return None
    value = object.__new__(kind)
    try:
        put_attributes(value, {**held, **defaults, **more})
    except AttributeError:  # it has slots now
        return None
    return value


def _defaults(kind: Any, names: list[str]) -> dict[str, Any] | None:
    found = {}
    for one in fields(kind):
        if one.name in names:
            if one.default is not MISSING:
                found[one.name] = one.default
            elif one.default_factory is not MISSING:
                found[one.name] = one.default_factory()
            else:
                return None
    return found


# Pydantic models. States without models do not import pydantic.


class Model(NamedTuple):
    """The parts of a pydantic model. `given`: the fields that were set. `lacks`: fields without a value."""

    fields: dict[str, Any]
    given: list[str]
    extra: dict[str, Any] | None
    private: dict[str, Any] | None
    more: dict[str, Any]
    lacks: list[str]


def is_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def model_fields(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = kind.model_fields
    return found


def take_apart(value: Any) -> Model:
    """The parts of a pydantic model, for `restore_model`."""
    import pydantic

    kept = pydantic.BaseModel.__getstate__(value)
    kind, held = type(value), kept["__dict__"]
    known = model_fields(kind)
    given = kept["__pydantic_fields_set__"]
    return Model(
        {name: one for name, one in held.items() if name in known},
        [name for name in (*known, *sorted(given - known.keys())) if name in given],
        kept["__pydantic_extra__"],
        kept["__pydantic_private__"],
        {name: one for name, one in held.items() if name not in known},
        [name for name in known if name not in held],
    )


def restore_model(kind: Any, kept: Model) -> Any:
    """The model; None if its class has changed so that these fields no longer fit."""
    if kind is None or not is_model(kind):
        return None
    known = model_fields(kind)
    fields = {name: one for name, one in kept.fields.items() if name in known}
    gone = {name: one for name, one in kept.fields.items() if name not in known}
    how = kind.model_config.get("extra")
    if gone and how == "forbid":
        return None
    for name, field in known.items():
        if name not in fields and name not in kept.lacks:
            if field.is_required():
                return None
            fields[name] = _default(field, fields)
    value: Any = object.__new__(kind)
    put_model(
        value, kept._replace(fields=fields, extra={**(kept.extra or {}), **gone} if how == "allow" else kept.extra)
    )
    return value


def put_model(value: Any, kept: Model) -> None:
    """Set all parts of a model. Private attributes that `kept` lacks get their defaults."""
    import pydantic
    import pydantic_core

    kind: Any = type(value)
    private = kept.private
    if declared := kind.__private_attributes__:
        defaults = {name: one.get_default() for name, one in declared.items() if name not in (private or {})}
        defaults = {name: one for name, one in defaults.items() if one is not pydantic_core.PydanticUndefined}
        private = {**(private or {}), **defaults}
    pydantic.BaseModel.__setstate__(
        value,
        {
            "__dict__": {**kept.fields, **kept.more},
            "__pydantic_fields_set__": set(kept.given),
            "__pydantic_extra__": kept.extra,
            "__pydantic_private__": private,
        },
    )


def _default(field: Any, fields: dict[str, Any]) -> Any:
    if getattr(field, "default_factory_takes_validated_data", False):
        return field.get_default(call_default_factory=True, validated_data=fields)
    return field.get_default(call_default_factory=True)


# Enums and named tuples


def enum_name(value: Enum) -> str | None:
    """The member's name in its class. None for a combination of flags, or if that name gives another member."""
    name = value._name_
    return name if name is not None and type(value).__members__.get(name) is value else None


def find_member(kind: Any, name: str | None, value: Any) -> Any:
    """The enum member, by name or else by value. If the class has no such member any more, the value itself."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return value
    if name is not None and name in kind.__members__:
        return kind.__members__[name]
    try:
        return kind(value)
    except Exception:  # _missing_ may be the author's
        return value


def is_named_tuple(kind: type) -> bool:
    names = getattr(kind, "_fields", None)
    return issubclass(kind, tuple) and isinstance(names, tuple) and all(isinstance(one, str) for one in names)


def restore_named_tuple(kind: Any, names: list[str], items: list[Any]) -> Any:
    """The named tuple; a plain tuple if the class has other fields now."""
    if not (isinstance(kind, type) and is_named_tuple(kind)) or list(kind._fields) != names:  # type: ignore[attr-defined]  # a named tuple has it
        return tuple(items)
    return tuple.__new__(kind, items)
