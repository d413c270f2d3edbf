"""Which keys of an untyped payload a source reads, and which of them every call needs."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from repertoire.signature.annotations import UNSAID
from repertoire.signature.payload_schema import Key, payload_keys

KEYS: list[tuple[str, list[Key]]] = [
    ('return ctx.payload["a"]', [Key("a", True)]),
    ('p = ctx.payload\n    return p["a"], p.get("b", 1.5)', [Key("a", True), Key("b", False, float, 1.5)]),
    ('p = dict(ctx.payload or {})\n    return p.pop("a"), p.pop("b", [])', [Key("a", True), Key("b", False, list, [])]),
    ('return ctx.payload.get("user-id"), ctx.payload["from"]', [Key("user-id", False, Any, None), Key("from", True)]),
    ('return ctx.payload.get("a", object())', [Key("a", False)]),
    ('return ctx.payload.get("a", 1), ctx.payload.get("a", "x")', [Key("a", False)]),
    ('return ctx.payload.get("a", 1), ctx.payload.get("a", 2)', [Key("a", False, int)]),
    ('if "a" in ctx.payload:\n        return ctx.payload["a"]', [Key("a", False)]),
    ('if x:\n        return 1\n    return ctx.payload["a"]', [Key("a", False)]),
    ('if ctx.payload["a"]:\n        return ctx.payload["b"]', [Key("a", True), Key("b", False)]),
    ('for x in ctx.payload["a"]:\n        ctx.payload["b"]', [Key("a", True), Key("b", False)]),
    ('return [ctx.payload["b"] for x in ctx.payload["a"]]', [Key("a", True), Key("b", False)]),
    ('return ctx.payload["a"] or ctx.payload["b"]', [Key("a", True), Key("b", False)]),
    ('try:\n        ctx.payload["a"]\n    except KeyError:\n        ...', [Key("a", False)]),
    ('try:\n        ctx.payload["a"]\n    except OSError:\n        ...', [Key("a", True)]),
    ('try:\n        ctx.payload["a"]\n    finally:\n        ctx.payload["b"]', [Key("a", True), Key("b", True)]),
    ('ctx.payload["a"] = 1', []),
    ('ctx = other()\n    return ctx.payload["a"]', []),
    ('with x as y:\n        return f"{ctx.payload[\'a\']}"', [Key("a", True)]),
    ("return helper(ctx)", [Key("h", True), Key("deep", True)]),
    ("return [helper(c=ctx) for _ in x]", [Key("h", False), Key("deep", False)]),
    ("return of_payload(1, ctx.payload)", [Key("p", True)]),
    ('def inner(c):\n        return c.payload["a"]\n    return inner(ctx)', [Key("a", True)]),
    ('def inner():\n        return ctx.payload["a"]\n    return 1', [Key("a", False)]),
    ('match ctx.payload["a"]:\n        case 1 if ctx.payload["b"]:\n            ...', [Key("a", True), Key("b", False)]),
    ("return loop(ctx)", [Key("l", True)]),
    ('def f():\n        return 1\n    return ctx.payload["a"]', [Key("a", True)]),
    ('return ctx.payload[name], ctx.payload.get(name), ctx.payload["a"]', [Key("a", True)]),
    ('other.payload["a"]', []),
]  # fmt: skip

HELPERS = """
def helper(c):
    return c.payload["h"], other_helper(c)

def other_helper(context):
    return context.payload["deep"]

def of_payload(n, p):
    return p["p"]

def loop(ctx):
    return ctx.payload["l"] or loop(ctx)
"""


@pytest.mark.parametrize(("body", "keys"), KEYS)
def test_which_keys_a_source_reads_and_needs(body: str, keys: list[Key]) -> None:
    tree = ast.parse(f"async def run(ctx):\n    {body}\n{HELPERS}")
    assert payload_keys(tree, "run", "ctx") == keys


def test_a_key_without_a_default_says_so() -> None:
    assert Key("a", True).default is UNSAID
