"""A workflow that uses every name in both ways; pyright and mypy check it strictly, and a worker runs it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, assert_type

from pydantic import BaseModel

from repertoire import artifacts, ask, cached, commit_state, log, now, progress, session_state, sleep, step, workflows


class Order(BaseModel):
    amount: int
    due: datetime | None = None


@dataclass
class Item:
    name: str


class Line(TypedDict):
    n: int


def load(name: str, most: int = 3) -> Order:
    return Order(amount=most + len(name))


async def aload(name: str) -> Order:
    return Order(amount=len(name))


def write(name: str) -> None:
    session_state["written"] = name


def count() -> int:
    return 3


@step
def stepped(name: str, most: int = 1) -> str:
    return name * most


@step(retries=2, timeout=5.0)
def retried(name: str) -> str:
    return name


@step
async def astepped(name: str) -> list[str]:
    return [name]


@step(timeout=5.0)
async def aretried(name: str) -> list[str]:
    return [name]


@step
def bare() -> str:
    return "bare"


@cached
def known(name: str) -> int:
    return len(name)


@cached(expires_s=60)
def known_for_a_while(name: str) -> int:
    return len(name)


def first_letter(name: str) -> str:
    return name[:1]


@cached(ttl=60, key=first_letter, shared=True)
def known_to_all(name: str) -> int:
    return len(name)


class Shop:
    @step
    def price(self, name: str) -> int:
        return len(name)


def plain() -> dict[str, Any]:
    """Every name without await."""
    started: datetime = now()
    sleep(0.01)
    agreed: bool = ask("Agreed?", bool)
    name = ask("Name?")
    assert_type(name.upper(), str)
    many: int = ask("How many?", int)
    names = ask("Names?", list[str])
    for one in names:
        assert_type(one, str)
    order: Order = ask("Which order?", Order)
    line: Line = ask("Which line?", Line)
    which: Literal["a", "b"] = ask("Which?", Literal["a", "b"])
    raw = ask("Anything?", {"type": "object"})
    assert_type(step(load, name), Order)
    assert_type(step(load, name, most=2), Order)
    assert_type(step(load, name, retries=2), Order)
    assert_type(step(load, name, timeout=2.0), Order)
    three: int = step(count)
    parsed: dict[str, int] = step(json.loads, '{"a": 1}')
    step(write, name)
    assert_type(stepped(name, 2), str)
    assert_type(retried(name), str)
    assert_type(bare(), str)
    assert_type(known(name), int)
    assert_type(known_for_a_while(name), int)
    price: int = Shop().price(name)
    log("text", name=name)
    log.info("text")
    progress(1, 2)
    session_state["count"] = session_state.get("count", 0) + 1
    saved = artifacts.save("typed.txt", "text", "A text.", {"by": "test"}, mime_type="text/plain")
    hash: str = saved["sha256"]
    there: bool = artifacts.exists("typed.txt")
    row: dict[str, Any] | None = artifacts.get("typed.txt")
    listed: list[dict[str, Any]] = artifacts.list("typed")
    text: str = artifacts.load("typed.txt")
    deleted: bool = artifacts.delete("typed.txt")
    assert there and deleted and row and row["sha256"] == hash and len(listed) == 1
    found = workflows.search("text")
    return {
        "kept": text,
        "values": [
            started.isoformat(),
            agreed,
            name,
            many,
            names,
            order.amount,
            line["n"],
            which,
            raw,
            three,
            parsed,
            price,
        ],
        "found": found,
    }


async def awaited() -> dict[str, Any]:
    """Every name with await."""
    started = await now()
    assert_type(started, datetime)
    await sleep(0.01)
    agreed = await ask("Agreed?", bool)
    assert_type(agreed, bool)
    name = await ask("Name?")
    assert_type(name, str)
    many = await ask("How many?", int)
    assert_type(many, int)
    names = await ask("Names?", list[str])
    assert_type(names, list[str])
    order = await ask("Which order?", Order)
    assert_type(order, Order)
    line = await ask("Which line?", Line)
    assert_type(line, Line)
    which: Literal["a", "b"] = await ask("Which?", Literal["a", "b"])
    raw = await ask("Anything?", {"type": "object"})
    loaded = await step(aload, name)
    assert_type(loaded, Order)
    assert_type(await step(aload, name, retries=2), Order)
    assert_type(await step(aload, name, timeout=2.0), Order)
    assert_type(step(load, name), Order)
    three = await step(count)
    assert_type(three, int)
    await step(write, name)
    await step.aio(load, name)
    assert_type(await astepped(name), list[str])
    assert_type(await aretried(name), list[str])
    both = await asyncio.gather(astepped(name), step(aload, name))
    assert_type(both, tuple[list[str], Order])
    await log("text", name=name)
    await log.info("text")
    await progress(1, 2)
    await commit_state()
    saved = await artifacts.save("typed.txt", "text")
    assert_type(saved, dict[str, Any])
    assert_type(await artifacts.exists("typed.txt"), bool)
    assert_type(await artifacts.get("typed.txt"), dict[str, Any] | None)
    assert_type(await artifacts.list("typed"), list[dict[str, Any]])
    text: str = await artifacts.load("typed.txt")
    assert_type(await artifacts.delete("typed.txt"), bool)
    found = await workflows.search("text")
    return {
        "kept": text,
        "values": [started.isoformat(), agreed, name, many, names, order.amount, line["n"], which, raw, three],
        "found": found,
    }


def run(how: Literal["plain", "awaited"] = "plain") -> dict[str, Any]:
    return plain() if how == "plain" else asyncio.run(awaited())
