"""The codec of states: whatever may be in one comes back from its text, and what may not is named."""

from __future__ import annotations

import collections
import enum
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from repertoire.values import codec
from repertoire.values.refusals import StateError
from repertoire.values.trees import TAG


class Stored(BaseModel):
    when: datetime
    tags: set[str] = Field(default_factory=set, alias="labels")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.decimals(allow_nan=False),
    st.uuids(), st.dates(), st.times(), st.timedeltas(), st.datetimes(), st.datetimes(timezones=st.just(UTC)),
)  # fmt: skip
hashables = st.one_of(scalars, st.tuples(scalars, scalars), st.frozensets(st.integers()))
states = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.sets(hashables, max_size=4), st.dictionaries(hashables, inner, max_size=4),
        st.dictionaries(st.sampled_from([TAG, "value", "cls"]), inner),
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(), states, max_size=4))
def test_a_state_comes_back_as_it_was(state: dict[str, Any]) -> None:
    text = codec.encode(state)
    back = codec.decode(text)
    assert back == state and _types(back) == _types(state)
    assert codec.encode(back) == text


def _types(value: Any) -> Any:
    """The shape in types, so that 1, 1.0 and True differ; of sets only the members' types."""
    if isinstance(value, dict):
        return [(_types(key), _types(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [_types(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), collections.Counter(str(_types(item)) for item in value)
    return type(value)


def test_special_floats_long_integers_and_named_zones_come_back() -> None:
    berlin = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    state = {
        "inf": -math.inf,
        "nan": math.nan,
        "long": 7**20_000,
        "zone": berlin,
        "fixed": datetime.now(timezone(timedelta(hours=2))),
    }
    back = codec.decode(codec.encode(state))
    assert math.isnan(back.pop("nan")) and math.isnan(state.pop("nan"))  # type: ignore[arg-type]
    assert back == state
    assert back["zone"].tzinfo == berlin.tzinfo and back["zone"].fold == 1
    json.loads(codec.encode(state), parse_constant=pytest.fail)


def test_models_come_back_as_models_and_as_dicts_when_their_class_is_gone() -> None:
    model = Stored(when=datetime(2026, 1, 1, tzinfo=UTC), labels={"a"})
    text = codec.encode({"m": [model]})
    assert codec.decode(text) == {"m": [model]}
    gone = codec.decode(text.replace(":Stored", ":Gone"))
    assert gone["m"][0] == {"when": model.when, "tags": {"a"}}


class Kind(enum.IntEnum):
    A = 1


class Tally(collections.Counter[str]):
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"b": [0, 1, object()]}, "session_state['a']['b'][2]: an object cannot be stored"),
        (type(Kind.A), "session_state['a']: an EnumType cannot be stored"),
        (Tally("a"), "session_state['a']: a Tally cannot be stored"),
        ({(1, 2): print}, "session_state['a'][(1, 2)]: a builtin_function_or_method cannot be stored"),
    ],
)
def test_what_cannot_be_stored_is_named_by_its_place(value: Any, path: str) -> None:
    with pytest.raises(StateError) as caught:
        codec.encode({"a": value})
    assert caught.value.message.startswith(path)


def test_a_state_that_contains_itself_or_is_too_deep_is_refused() -> None:
    around: dict[str, Any] = {}
    around["again"] = around
    with pytest.raises(StateError, match=r"\['again'\]: it contains itself"):
        codec.encode(around)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(StateError, match="too deeply"):
        codec.encode({"deep": deep})
