"""Bringing a value to what is stored: the result is what is stored, and what was held of it stays in it."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from repertoire.values import codec
from repertoire.values.update_in_place import update_in_place
from support.codec_values import Fixed, Plain, price, scalars
from support.sameness import same

small = st.one_of(st.integers(0, 2), st.text("ab", max_size=2), scalars)
states = st.recursive(
    small,
    lambda values: st.one_of(
        st.lists(values, max_size=4), st.dictionaries(st.text("abc", max_size=1), values, max_size=3), st.tuples(values, values),
        st.sets(st.integers(0, 3)), st.builds(Plain, values, st.lists(values, max_size=2)), st.builds(Fixed, st.just("k"), st.tuples(values)),
        st.builds(lambda value: price(more=value), values),
    ),
    max_leaves=10,
)  # fmt: skip


@given(states, states)
def test_w1_the_result_is_what_is_stored(held: Any, stored: Any) -> None:
    text = codec.encode({"k": stored})
    was = copy.deepcopy(held)
    state = {"k": held}
    given = update_in_place(state, codec.decode(text))
    assert given is state and same(state["k"], codec.decode(text)["k"]), (was, stored)


def test_w1_each_object_of_a_list_stays_what_it_was() -> None:
    first, second = Plain(1), Plain(2)
    state: dict[str, Any] = {"k": [first, second], "same": first}
    update_in_place(
        state, codec.decode(codec.encode({"k": [Plain(0), Plain(1), Plain(2), Plain(3)], "same": Plain(7)}))
    )
    assert state["k"][1] is first and state["k"][2] is second and first.n == 1
    assert [one.n for one in state["k"]] == [0, 1, 2, 3] and state["same"].n == 7
    update_in_place(state, codec.decode(codec.encode({"k": [Plain(1), Plain(5)], "same": Plain(7)})))
    assert state["k"][0] is first and first.n == 1 and second.n == 2 and state["k"][1].n == 5


def test_w1_what_was_held_twice_becomes_two_where_it_was_stored_so() -> None:
    """promise: state-twice"""
    shared: list[int] = []
    state = {"a": shared, "b": shared}
    update_in_place(state, {"a": [1], "b": [2]})
    assert state == {"a": [1], "b": [2]} and state["a"] is shared
