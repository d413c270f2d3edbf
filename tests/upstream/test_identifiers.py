from __future__ import annotations

import keyword

from hypothesis import given, settings
from hypothesis import strategies as st

from repertoire.upstream.identifiers import RESERVED_SOURCES, RESERVED_TOOLS, identifier, unique_identifiers


def test_names_become_identifiers() -> None:
    names = ["get-tiny image", "2fa", "class", "describe", "größe", "a.b/c", "", "🙂", "__init__", "ﬁle", "x" * 300]
    found = [identifier(name, RESERVED_TOOLS) for name in names]
    assert found[:10] == [
        "get_tiny_image", "n2fa", "class_", "describe_", "größe", "a_b_c", "unnamed", "unnamed", "init", "file",
    ]  # fmt: skip
    assert len(found[10]) == 100
    assert identifier("search", RESERVED_SOURCES) == "search_"


def test_a_name_that_is_an_identifier_keeps_it() -> None:
    assert unique_identifiers(["get-x", "get_x", "get x"]) == {"get_x": "get_x", "get x": "get_x_2", "get-x": "get_x_3"}
    assert unique_identifiers(["get-x", "get_x_2", "get_x"])["get-x"] == "get_x_3"


@settings(deadline=None)
@given(st.lists(st.text(), max_size=20))
def test_any_names_become_different_identifiers(names: list[str]) -> None:
    found = unique_identifiers(names, RESERVED_TOOLS)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(found)
    for name in found.values():
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert name not in RESERVED_TOOLS
        assert not name.startswith("_")
