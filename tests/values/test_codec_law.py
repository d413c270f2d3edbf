"""The law of the codec: what is read is what was written, of the same types at every level, or writing is refused where it would not be."""

from __future__ import annotations

import fractions
import ipaddress
import json
import pathlib
import re
import threading
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    SecretStr,
)  # fmt: skip

from repertoire.values import codec
from repertoire.values.refusals import StateError
from repertoire.values.trees import TAG
from support.codec_values import (
    Below,
    Box,
    Cached,
    Careful,
    Checked,
    Fixed,
    Frozen,
    Level,
    Name,
    Numbers,
    Page,
    Pair,
    Place,
    Plain,
    Price,
    Right,
    Slotted,
    account,
    inside,
    price,
    scalars,
)
from support.sameness import same


@given(st.dictionaries(st.text(), st.recursive(scalars, inside, max_leaves=8), max_size=3))
def test_w4_w5_whatever_is_stored_comes_back_the_same(state: dict[str, Any]) -> None:
    """promise: exact, promise: restored"""
    text = codec.encode(state)
    back = codec.decode(text)
    assert same(back, state), (back, state)
    assert codec.encode(back) == text and same(codec.decode(codec.encode(back)), state)


def worn() -> Plain:
    plain = Plain(1)
    plain.double  # noqa: B018 - works it out
    plain.n = 5
    return plain


def without(value: Any, name: str) -> Any:
    object.__delattr__(value, name)
    return value


EXACT: list[Any] = [
    "\ud83d\ude00", "\ud83d", "😀", {"\ud83d\ude00": 1, "😀": 2}, -0.0, [True, 1, 1.0], 7**6000, "", {"": {}},
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2), "CEST")), datetime(2026, 1, 1, tzinfo=timezone(timedelta(0), "X")),
    UTC, ZoneInfo("Asia/Tokyo"), timezone(timedelta(seconds=1.5)), Decimal("-0E+3"), Decimal("sNaN12"),
    re.compile("a.", re.I), ipaddress.ip_interface("10.0.0.1/8"), fractions.Fraction(1, 3), pathlib.Path("/tmp/ä"),
    Slotted(1), without(Plain(1), "n"), Careful(), Box[int](3), Box[list[int] | None]([1]), Checked(3), worn(), Below(1, given=4),
    Page[int](rows=[1]), Page[Page[str]](rows=[Page[str](rows=["a"])]), Page[dict[str, int]](rows=[{}]), Numbers([1]), Cached(n=1),
    Frozen(when=datetime(2026, 1, 1, tzinfo=UTC)), {Frozen(when=datetime(2026, 1, 1)): 1}, {Fixed("a"), Fixed("b", (1,))},
    Frozen.model_validate_json('{"when": "2026-01-01T00:00:00+02:00"}'), Level.ODD, Right.READ | Right.WRITE, Name.A,
    price(), price(other=[1]), price().model_copy(update={"cents": "text"}), Price.model_construct(note="only"),
    defaultdict(None, a=1), defaultdict(OrderedDict), {Name.A: 1, "a b": 2}, [OrderedDict(b=1, a=2)], deque([1], 3),
    {TAG: "tuple", "value": [1]}, [{TAG: {TAG: 1}}],
]  # fmt: skip


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_w4_what_is_easily_lost_comes_back(value: Any) -> None:
    back = codec.decode(codec.encode({"k": value}))["k"]
    assert same(back, value), (back, value)


def test_w4_a_restored_model_was_never_validated() -> None:
    first = price()
    assert first.cents == 300
    for _ in range(3):
        first = codec.decode(codec.encode({"k": first}))["k"]
    assert first.cents == 300 and first.note == "n" and first._count == 1 and first.hidden == "h"
    assert first.model_fields_set == {"cents", "note"}


def test_w5_a_secret_is_stored_and_not_told_in_records() -> None:
    """promise: state-secret"""
    back = codec.decode(codec.encode({"k": account()}))["k"]
    assert back.secret.get_secret_value() == "open sesame" and back.data.get_secret_value() == b"\x00\xff"
    told = codec.write_value([account(), SecretStr("open sesame")])
    assert "sesame" not in told and codec.read_value(told)[1] == "SecretStr('**********')"


@dataclass
class DictToo(dict):  # type: ignore[type-arg]
    n: int = 0


class OwnDict(dict):  # type: ignore[type-arg]
    pass


class OwnList(list):  # type: ignore[type-arg]
    pass


class OwnInt(int):
    pass


class OwnText(str):
    pass


class OwnDate(datetime):
    pass


class Wide(Pair):
    """With room for attributes."""


class Here(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, when: datetime | None) -> str:
        return "here"


@dataclass
class Failing(Exception):
    n: int = 0


def local_class() -> Any:
    @dataclass
    class Local:
        n: int = 1

    return Local()


def local_model() -> Any:
    class Local(BaseModel):
        n: int = 1

    return Local()


def wide() -> Wide:
    made = Wide(1, 2)
    made.more = 3  # type: ignore[attr-defined]
    return made


def with_lock() -> Price:
    made = price()
    made._count = threading.Lock()  # type: ignore[assignment]
    return made


def ordered() -> Any:
    made: Any = OrderedDict(a=1)
    made.more = 3
    return made


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (DictToo, "k']: a DictToo cannot be stored"),
        (lambda: [DictToo(2)], "k'][0]: a DictToo cannot be stored"),
        (OwnDict, "k']: an OwnDict cannot"), (OwnList, "k']: an OwnList cannot"), (lambda: OwnInt(1), "an OwnInt cannot"),
        (lambda: {OwnText("a"): 1}, "the key of session_state['k']['a']: an OwnText cannot"), (lambda: OwnDate(2026, 1, 1), "an OwnDate"),
        (Failing, "k']: a Failing cannot"), (lambda: Plain(1, [object()]), "k'].items[0]: an object cannot"),
        (local_class, "k']: a Local cannot be stored: its class local_class.<locals>.Local could not be found again"),
        (local_model, "k']: a Local cannot be stored: its class local_model.<locals>.Local could not be found again"),
        (wide, "k']: a Wide cannot be stored: it has attributes of its own"), (ordered, "an OrderedDict cannot be stored: it has attr"),
        (with_lock, "k']._count: a lock cannot be stored"), (lambda: bytearray(b"a"), "k']: a bytearray cannot"), (lambda: Price, "k']: a"),
        (lambda: datetime(2026, 1, 1, tzinfo=Here()), "k']: a datetime cannot be stored: its time zone, a test_codec_law.Here"),
        (lambda: defaultdict(lambda: 1), "its default_factory is no class"), (lambda: Box[Literal["a"]]("a"), "could not be found again"),
        (lambda: re.compile(b"a"), "a Pattern cannot be stored: a pattern of bytes"),
    ],
)  # fmt: skip
def test_w4_w6_what_would_not_come_back_is_refused_when_it_is_stored(make: Any, words: str) -> None:
    with pytest.raises(StateError, match=re.escape(words)):
        codec.encode({"k": make()})


# What earlier versions stored


def test_what_earlier_versions_stored_is_still_read() -> None:
    name = f"{__name__}:"
    model = {TAG: "model", "cls": f"{name}Frozen", "value": {"when": "2026-01-01T00:00:00Z", "tags": ["a"]}}
    plain = {
        TAG: "dataclass",
        "cls": f"{name}Fixed",
        "value": {"key": "a", "inner": {TAG: "tuple", "value": [1]}},
    }
    moment = {TAG: "datetime", "value": ["2026-01-01T00:00:00+02:00", None, 0]}
    berlin = {TAG: "datetime", "value": ["2026-10-25T02:30:00", "Europe/Berlin", 1]}
    back = codec.decode(json.dumps({"m": model, "p": plain, "t": moment, "b": berlin}))
    assert back["m"] == Frozen(when=datetime(2026, 1, 1, tzinfo=UTC), tags=frozenset("a")) and back["p"] == Fixed(
        "a", (1,)
    )
    assert back["t"] == datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert back["b"] == datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")) and back["b"].fold == 1


def changed(value: Any, old: str, new: str) -> Any:
    return codec.decode(codec.encode({"k": value}).replace(old, new))["k"]


def test_of_a_class_that_has_changed_the_defaults_are_taken_or_it_is_a_dict() -> None:
    """promise: state-class"""
    assert changed(Frozen(when=datetime(2026, 1, 1), tags=frozenset("a")), '"tags":', '"gone":') == Frozen(
        when=datetime(2026, 1, 1)
    )
    assert changed(Numbers([1]), '"root":', '"gone":') == {"gone": [1]}
    assert changed(Fixed("a"), '"inner":', '"gone":') == {"key": "a", "gone": ()}
    assert changed(Level.LOW, ":Level", ":Gone") == 1 and changed(Name.A, '"name":"A"', '"name":"B"') is Name.A
    assert changed(Place(1, []), '"tags"', '"other"') == (1, [])
