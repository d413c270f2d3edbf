"""Sources that are simple enough for pydantic-monty: which fit, and the small module that stands for them."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from repertoire.sandbox.interpreted import CALL, TooMuch, fits, stub_of

SIMPLE = '''\
"""Count words."""
import json

MOST = 3


def _words(text):
    return text.split()


def run(text: str, most: int = 3, kinds: list[Literal["a", "b"]] | None = None) -> dict[str, int]:
    """Count the words of a text."""
    return {"words": len(_words(text))}
'''


def test_the_stub_has_the_signature_and_nothing_of_the_code() -> None:
    stub = stub_of(SIMPLE)
    scope: dict[str, Any] = {CALL: lambda **given: given}
    exec(compile(stub, "words.py", "exec"), scope)
    run = scope["run"]
    assert run("a", most=5) == {"text": "a", "most": 5, "kinds": None}
    assert run.__doc__ == "Count the words of a text." and scope["__doc__"] == "Count words."
    assert (
        run.__code__.co_firstlineno
        == SIMPLE.splitlines().index(next(x for x in SIMPLE.splitlines() if "def run" in x)) + 1
    )
    assert "MOST" not in scope and "_words" not in scope and "json" not in scope


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        "def other(): ...",
        "async def run(): ...",
        "@print\ndef run(): ...",
        "def run(*many): ...",
        "def run(**many): ...",
        "def run(ctx): ...",
        "def run(tools): ...",
        "def run(x: 'print(1)'): ...",
        "def run(x: list['print(1)']): ...",
        "def run(x: Optional['print(1)']): ...",
        "def run(x: print(1)): ...",
        "def run(x: int if print(1) else str): ...",
        "def run(x: Literal[print(1)]): ...",
        "def run(x: a.b): ...",
        "def run(x=print(1)): ...",
        "def run(x=[print(1)]): ...",
        "def run(*, x=print(1)): ...",
        "def run() -> print(1): ...",
        "def run(__x): ...",
        "def run(): ...\ndef run(): ...",
        "if 1:\n    def run(): ...",
        "class A(B): ...\ndef run(): ...",
        "def run():\n    yield 1",
        "def run(:",
        "def run(x=" + "-" * 5000 + "1): ...",
    ],
)
def test_what_does_not_fit_is_never_compiled(source: str) -> None:
    assert not fits(source)
    with pytest.raises((TooMuch, SyntaxError, RecursionError, MemoryError)):
        stub_of(source)


def test_a_stub_has_no_other_expression_than_its_call() -> None:
    """Whatever fits gives the same few kinds of nodes to Python."""
    calls = [node for node in ast.walk(stub_of(SIMPLE)) if isinstance(node, ast.Call)]
    assert [ast.unparse(call.func) for call in calls] == [CALL]
