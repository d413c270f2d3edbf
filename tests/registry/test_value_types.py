"""Types that are read off values, and where they are written."""

from __future__ import annotations

from typing import Any

import pytest

from repertoire.registry.value_types import type_of, with_types


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "bool"), (1, "int"), (1.5, "float"), ("a", "str"), (None, None), ({"a": 1}, "dict"), ([], "list"),
        ([1, 2], "list[int]"), ([1, 2.5], "list[float]"), ([1, "a"], "list"), ([None], "list"), ([1, None], "list"),
        ([{"a": 1}], "list[dict]"), ([[1], [2]], "list[list]"), ([True, 1], "list"),
    ],
)  # fmt: skip
def test_a_type_is_read_off_a_value(value: Any, written: str | None) -> None:
    assert type_of(value) == written


def test_only_what_has_no_type_gets_one() -> None:
    source = "import json\n\ndef run(é, b: str, c=lambda x: [x], *, d=3, e):\n    return é\n"
    text, typed = with_types(source, {"é": 1, "b": 2, "d": 4, "e": None}, [1])
    assert typed == ["é", "d"]
    assert (
        text == "import json\n\ndef run(é: int, b: str, c=lambda x: [x], *, d: int=3, e) -> list[int]:\n    return é\n"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "async def run(\n    a,\n    b=1,\n):\n    return a",
            "async def run(\n    a: int,\n    b=1,\n) -> None:\n    return a",
        ),
        ("def run(a) -> str:\n    return 'a'", "def run(a: int) -> str:\n    return 'a'"),
        ("def run(a):\n    yield a", "def run(a: int):\n    yield a"),
        ("class A(Workflow):\n    def run(self, a): ...", "class A(Workflow):\n    def run(self, a): ..."),
    ],
)
def test_heads_of_any_form_are_read(source: str, text: str) -> None:
    assert with_types(source, {"a": 1}, None)[0] == text


def test_a_run_that_failed_says_nothing_of_the_result() -> None:
    assert with_types("def run():\n    pass\n", {}, ...) == ("def run():\n    pass\n", [])


def test_a_line_ends_only_where_python_ends_it() -> None:
    source = '"""a\u2028b\x0cc"""\ndef run(y):\n    return y\n'
    assert with_types(source, {"y": 1}, 1)[0] == source.replace("(y):", "(y: int) -> int:")
