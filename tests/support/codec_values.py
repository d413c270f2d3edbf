"""Codec values: classes of many kinds, and hypothesis strategies for them; used by tests of the codec and of stored states."""

from __future__ import annotations

import collections
import enum
import functools
import pathlib
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AnyUrl,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    PrivateAttr,
    RootModel,
    SecretBytes,
    SecretStr,
    field_serializer,
    field_validator,
    model_validator,
)  # fmt: skip
from pydantic.dataclasses import dataclass as checked_dataclass

from repertoire.values.trees import TAG

T = TypeVar("T")


class Level(enum.Enum):
    LOW = 1
    HIGH = "high"
    ODD = object()


class Name(enum.StrEnum):
    A = "a"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Place(NamedTuple):
    x: int
    tags: list[str]


Pair = collections.namedtuple("Pair", "left right")


@dataclass
class Plain:
    n: int
    items: list[Any] = field(default_factory=list)
    given: InitVar[int] = 0

    def __post_init__(self, given: int) -> None:
        self.seen = given + 1

    @functools.cached_property
    def double(self) -> int:
        return self.n * 2


@dataclass(frozen=True, slots=True)
class Fixed:
    key: str
    inner: tuple[Any, ...] = ()


@dataclass
class Below(Plain):
    kind: Level = Level.LOW


@dataclass(slots=True)
class Slotted:
    n: int
    m: int = field(init=False)


@dataclass
class Careful:
    """A class whose attributes have effects when they are set."""

    _raised: int = 0

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value + 1)

    @property
    def raised(self) -> int:
        return self._raised


@dataclass
class Box(Generic[T]):
    content: T


@checked_dataclass
class Checked:
    n: int

    @field_validator("n")
    @classmethod
    def more(cls, value: int) -> int:
        return value * 100


class Price(BaseModel):
    """A model whose validator changes its input each time."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    cents: int = Field(validation_alias=AliasChoices("euros", "price"), serialization_alias="price")
    note: str | None = None
    hidden: str = Field("h", exclude=True)
    level: Level = Level.LOW
    _count: int = PrivateAttr(default=0)

    @field_validator("cents")
    @classmethod
    def as_cents(cls, value: int) -> int:
        return value * 100

    @model_validator(mode="after")
    def counted(self) -> Price:
        self._count += 1
        return self

    @field_serializer("note")
    def shouted(self, value: str | None) -> str | None:
        return value and value.upper()


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)
    when: datetime
    tags: frozenset[str] = frozenset()


class Page(BaseModel, Generic[T]):
    rows: list[T]
    next: Page[T] | None = None


class Numbers(RootModel[list[int]]):
    pass


class Cached(BaseModel):
    n: int

    @functools.cached_property
    def double(self) -> int:
        return self.n * 2


class Account(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    secret: SecretStr
    data: SecretBytes = SecretBytes(b"\x00\xff")
    url: AnyUrl = AnyUrl("https://a.example/b?c=d")
    site: HttpUrl = HttpUrl("http://b.example")
    size: ByteSize = ByteSize(1000)
    of: Any = None


def price(**more: Any) -> Price:
    return Price(**{"euros": 3, "note": "n", **more})


def account(of: Any = None) -> Account:
    return Account(secret=SecretStr("open sesame"), of=of)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=())), st.binary(),
    st.decimals(), st.uuids(), st.dates(), st.times(), st.timedeltas(), st.datetimes(timezones=st.just(UTC)),
    st.sampled_from([*Level][:2]), st.sampled_from([*Name, Right.READ | Right.WRITE, Right(0)]),
    st.builds(pathlib.PurePosixPath, st.text(st.characters(codec="ascii", exclude_characters="\x00"))),
    st.ip_addresses(), st.fractions(), st.builds(SecretStr, st.text(st.characters(exclude_categories=()))),
)  # fmt: skip
keys = st.one_of(
    st.text(st.characters(exclude_categories=())), st.integers(), st.booleans(), st.sampled_from([*Name]), st.just(TAG)
)  # fmt: skip


def inside(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(values, max_size=3), st.tuples(values, values), st.dictionaries(keys, values, max_size=3),
        st.dictionaries(keys, values, max_size=3).map(OrderedDict), st.dictionaries(keys, st.integers(), max_size=3).map(Counter),
        st.builds(lambda held: defaultdict(list, held), st.dictionaries(keys, values, max_size=3)),
        st.builds(deque, st.lists(values, max_size=3), st.sampled_from([None, 2, 9])),
        st.builds(Plain, st.integers(), st.lists(values, max_size=2), st.integers()), st.builds(Below, values, values),
        st.builds(Fixed, st.text(), st.tuples(values)), st.builds(Box, values), st.builds(Place, values, values),
        st.builds(Pair, values, values), st.builds(lambda value: price(more=value), values),
        st.builds(lambda value: Page[Any](rows=[value], next=Page[Any](rows=[])), values),
        st.builds(lambda value: Price.model_construct(cents=value), values), st.builds(account, values),
    )  # fmt: skip
