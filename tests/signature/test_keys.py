"""Which keys of an untyped payload a source reads, and which of them every call needs."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from repertoire.signature.annotations import UNSAID
from repertoire.signature.payload_schema import PayloadKey, payload_keys

KEYS: list[tuple[str, list[PayloadKey]]] = [
    ('return ctx.payload["a"]', [PayloadKey("a", True)]),
    ('p = ctx.payload\n    return p["a"], p.get("b", 1.5)', [PayloadKey("a", True), PayloadKey("b", False, float, 1.5)]),
    ('p = dict(ctx.payload or {})\n    return p.pop("a"), p.pop("b", [])', [PayloadKey("a", True), PayloadKey("b", False, list, [])]),
    ('return ctx.payload.get("user-id"), ctx.payload["from"]', [PayloadKey("user-id", False, Any, None), PayloadKey("from", True)]),
    ('return ctx.payload.get("a", object())', [PayloadKey("a", False)]),
    ('return ctx.payload.get("a", 1), ctx.payload.get("a", "x")', [PayloadKey("a", False)]),
    ('return ctx.payload.get("a", 1), ctx.payload.get("a", 2)', [PayloadKey("a", False, int)]),
    ('if "a" in ctx.payload:\n        return ctx.payload["a"]', [PayloadKey("a", False)]),
    ('if x:\n        return 1\n    return ctx.payload["a"]', [PayloadKey("a", False)]),
    ('if ctx.payload["a"]:\n        return ctx.payload["b"]', [PayloadKey("a", True), PayloadKey("b", False)]),
    ('for x in ctx.payload["a"]:\n        ctx.payload["b"]', [PayloadKey("a", True), PayloadKey("b", False)]),
    ('return [ctx.payload["b"] for x in ctx.payload["a"]]', [PayloadKey("a", True), PayloadKey("b", False)]),
    ('return ctx.payload["a"] or ctx.payload["b"]', [PayloadKey("a", True), PayloadKey("b", False)]),
    ('try:\n        ctx.payload["a"]\n    except KeyError:\n        ...', [PayloadKey("a", False)]),
    ('try:\n        ctx.payload["a"]\n    except OSError:\n        ...', [PayloadKey("a", True)]),
    ('try:\n        ctx.payload["a"]\n    finally:\n        ctx.payload["b"]', [PayloadKey("a", True), PayloadKey("b", True)]),
    ('ctx.payload["a"] = 1', []),
    ('ctx = other()\n    return ctx.payload["a"]', []),
    ('with x as y:\n        return f"{ctx.payload[\'a\']}"', [PayloadKey("a", True)]),
    ("return helper(ctx)", [PayloadKey("h", True), PayloadKey("deep", True)]),
    ("return [helper(c=ctx) for _ in x]", [PayloadKey("h", False), PayloadKey("deep", False)]),
    ("return of_payload(1, ctx.payload)", [PayloadKey("p", True)]),
    ('def inner(c):\n        return c.payload["a"]\n    return inner(ctx)', [PayloadKey("a", True)]),
    ('def inner():\n        return ctx.payload["a"]\n    return 1', [PayloadKey("a", False)]),
    ('match ctx.payload["a"]:\n        case 1 if ctx.payload["b"]:\n            ...', [PayloadKey("a", True), PayloadKey("b", False)]),
    ("return loop(ctx)", [PayloadKey("l", True)]),
    ('def f():\n        return 1\n    return ctx.payload["a"]', [PayloadKey("a", True)]),
    ('return ctx.payload[name], ctx.payload.get(name), ctx.payload["a"]', [PayloadKey("a", True)]),
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
def test_which_keys_a_source_reads_and_needs(body: str, keys: list[PayloadKey]) -> None:
    tree = ast.parse(f"async def run(ctx):\n    {body}\n{HELPERS}")
    assert payload_keys(tree, "run", "ctx") == keys


def test_a_key_without_a_default_says_so() -> None:
    assert PayloadKey("a", True).default is UNSAID
