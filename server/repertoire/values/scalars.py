"""Scalars: writes values without parts as JSON and reads them back exactly, each under a tag: moments, numbers, paths, addresses, secrets.

Only these types, no subclasses: a value that came back as a similar type would be a silent change of the author's data. Used by `trees`.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

Write = Callable[[Any], Any]
Read = Callable[[Any], Any]


class Unstorable(Exception):
    """Raised when a value has no exact JSON form. The message is the end of a sentence."""


# Times. A named zone is stored by its name, because an offset alone loses daylight saving.


def _write_moment(value: datetime | time) -> Any:
    zone = value.tzinfo
    if zone is None or (type(zone) is timezone and _says_its_offset(zone)):
        return [value.isoformat(), None, value.fold]
    kept = _write_zone(zone)
    return [value.replace(tzinfo=None).isoformat(), kept, value.fold]


def _says_its_offset(zone: timezone) -> bool:
    """True if `isoformat` tells all of the zone: it leaves out the name that a zone may have."""
    return len(zone.__getinitargs__()) == 1  # type: ignore[attr-defined]  # pickle's protocol, not in the stubs


def _write_zone(zone: tzinfo) -> Any:
    """The key of a ZoneInfo; for a fixed offset its kind, microseconds and name."""
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key
    offset = zone.utcoffset(None)
    if type(zone) is timezone and offset is not None:
        return [
            "timezone",
            offset // timedelta(microseconds=1),
            zone.tzname(None) if not _says_its_offset(zone) else None,
        ]
    if _is_pydantic_zone(zone) and offset is not None:
        return ["pydantic", offset // timedelta(microseconds=1), None]
    kind = type(zone)
    raise Unstorable(
        f"its time zone, a {kind.__module__}.{kind.__qualname__}, could not be made again; use zoneinfo.ZoneInfo"
    )


def _is_pydantic_zone(zone: tzinfo) -> bool:
    """True for the zone type that pydantic gives to moments that it reads from text."""
    core = sys.modules.get("pydantic_core")
    return core is not None and type(zone) is getattr(core, "TzInfo", None)


def _read_zone(kept: Any) -> tzinfo | None:
    if not kept:
        return None
    if isinstance(kept, str):
        return ZoneInfo(kept)
    kind, microseconds, name = kept
    offset = timedelta(microseconds=microseconds)
    if kind == "pydantic":
        from pydantic_core import TzInfo

        return TzInfo(offset.total_seconds())
    return timezone(offset) if name is None else timezone(offset, name)


def _read_datetime(value: Any) -> datetime:
    text, zone, fold = value
    moment = datetime.fromisoformat(text).replace(fold=fold)
    return moment.replace(tzinfo=_read_zone(zone)) if zone else moment


def _read_time(value: Any) -> time:
    text, zone, fold = value
    moment = time.fromisoformat(text).replace(fold=fold)
    return moment.replace(tzinfo=_read_zone(zone)) if zone else moment


WRITERS: Final[dict[type, tuple[str, Write]]] = {
    datetime: ("datetime", _write_moment),
    date: ("date", date.isoformat),
    time: ("time", _write_moment),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    timezone: ("zone", _write_zone),
    ZoneInfo: ("zone", _write_zone),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
}

READERS: Final[dict[str, Read]] = {
    "int": lambda value: int(value, 16),
    "float": float,
    "text": lambda value: bytes.fromhex(value).decode("utf-8", "surrogatepass"),
    "datetime": _read_datetime,
    "date": date.fromisoformat,
    "time": _read_time,
    "timedelta": lambda value: timedelta(*value),
    "zone": _read_zone,
    "bytes": base64.b64decode,
    "decimal": Decimal,
    "uuid": UUID,
}
"""Readers of tags whose value holds no other tagged value."""


def write_text(text: str) -> str:
    """The hex form of a text with lone surrogates. JSON would join two of them to one character."""
    return text.encode("utf-8", "surrogatepass").hex()


# Types of modules that we import only if a state holds such a value. `module:name` is stored with the value.


def _pattern(value: Any) -> Any:
    if type(value.pattern) is not str:
        raise Unstorable("a pattern of bytes cannot be stored; store its text")
    return [value.pattern, value.flags]


def _url(value: Any) -> str:
    text = str(value)
    if type(value)(text) != value:
        raise Unstorable("it could not be made again from its text")
    return text


_SECRETS: Final = frozenset({"SecretStr", "SecretBytes"})
_TEXT: Final[tuple[Write, Callable[[Any, Any], Any]]] = (str, lambda kind, value: kind(value))
_NAMED: Final[dict[str, tuple[Write, Callable[[Any, Any], Any]]]] = {
    "PosixPath": _TEXT, "PurePosixPath": _TEXT, "WindowsPath": _TEXT, "PureWindowsPath": _TEXT,
    "IPv4Address": _TEXT, "IPv6Address": _TEXT, "IPv4Network": _TEXT, "IPv6Network": _TEXT,
    "IPv4Interface": _TEXT, "IPv6Interface": _TEXT, "Fraction": _TEXT,
    "Pattern": (_pattern, lambda kind, value: sys.modules["re"].compile(*value)),
    "SecretStr": (lambda value: write_text(value.get_secret_value()), lambda kind, value: kind(READERS["text"](value))),
    "SecretBytes": (lambda value: value.get_secret_value().hex(), lambda kind, value: kind(bytes.fromhex(value))),
    "ByteSize": (int, lambda kind, value: kind(value)),
}  # fmt: skip
_MODULES: Final = {
    "pathlib": "pathlib", "pathlib._local": "pathlib", "ipaddress": "ipaddress", "fractions": "fractions", "re": "re",
    "pydantic.types": "pydantic", "pydantic.networks": "pydantic",
}  # fmt: skip
"""A type's `__module__`, and the module that exports it."""


def is_secret(kind: type) -> bool:
    return kind.__module__ == "pydantic.types" and kind.__name__ in _SECRETS


def write_named(value: Any) -> tuple[str, Any] | None:
    """`module:name` and the value's form; None for any other type. Raises Unstorable."""
    kind = type(value)
    home = _MODULES.get(kind.__module__)
    if home is None or getattr(sys.modules.get(home), kind.__name__, None) is not kind:
        return None
    if kind.__module__ == "pydantic.networks":
        return (f"{home}:{kind.__name__}", _url(value)) if hasattr(value, "unicode_string") else None
    known = _NAMED.get(kind.__name__)
    return None if known is None else (f"{home}:{kind.__name__}", known[0](value))


def read_named(name: str, value: Any) -> Any:
    """Read a value that `write_named` wrote."""
    from importlib import import_module

    module, _, kind = name.partition(":")
    if module not in _MODULES.values():
        raise ValueError(f"{name} is not one of the types that are stored by name")
    found = getattr(import_module(module), kind)
    return (_NAMED.get(kind) or _TEXT)[1](found, value)
