"""Plans: random trees of what a run shall do, as JSON; and what must have happened when such a run has ended."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from .workflows import ASYNC_ONES, CREATED, FILES, STATEFUL

Plan = dict[str, Any]

_DEEPEST: Final = 3
"""Runs above each other."""
_LONG_S: Final = (5.2, 6.5)
"""A sleep beyond five seconds parks its run."""


def draw(chance: random.Random, name: str, without: frozenset[str]) -> Plan:
    """A plan for a run of `plan["workflow"]`; every name in it begins with `name`, so nothing of two plans is called the same."""
    return _run(chance, name, 1, without)


def answer_to(question: str) -> str:
    return f"{question} answered"


def result_of(plan: Plan) -> list[str]:
    """What a run of this plan gives."""
    return sorted(_given(plan))


def steps_of(plan: Plan) -> set[str]:
    """The steps of the run itself, not of those below it."""
    return {one["name"] for one in _own(plan) if one["do"] in ("step", "broken")}


def runs_of(plan: Plan) -> Iterator[Plan]:
    """The run and all below it."""
    yield plan
    for one in _own(plan):
        if one["do"] == "run":
            yield from runs_of(one)


def logs_of(plan: Plan) -> list[str]:
    return sorted(one["name"] for one in _own(plan) if one["do"] == "log")


def fails(plan: Plan) -> bool:
    """Whether the body itself raises."""
    return bool(plan.get("fails"))


def parks(plan: Plan) -> bool:
    """Whether the run may be parked, which commits the state that it has then."""
    return any(one["do"] in ("sleep", "ask", "run") for one in _own(plan))


def _own(plan: Plan) -> Iterator[Plan]:
    for one in plan["of"]:
        yield one
        if one["do"] != "run" and "of" in one:
            yield from _own(one)


def _given(plan: Plan) -> Iterator[str]:
    for one in plan["of"]:
        match one["do"]:
            case "step" | "broken":
                yield one["name"]
            case "ask":
                yield answer_to(one["name"])
            case "make":
                yield f"{one['name']} 2"
            case "rest" | "sleep" | "log":
                pass
            case _:
                yield from _given(one)


def _run(chance: random.Random, name: str, depth: int, without: frozenset[str]) -> Plan:
    names = [*FILES, *CREATED]
    if depth > 1:
        names.remove("commit")  # a child that fails would fail its parent
    workflow = chance.choice(names)
    plan: Plan = {"do": "run", "name": name, "workflow": workflow}
    if workflow in STATEFUL:  # its turn is waited for by others: short
        kinds = {"step": 6, "rest": 1, "log": 1, "sleep": 0.4, "ask": 0.4}
        plan["of"] = [_leaf(chance, f"{name}.0", {"step": 1}), *_several(chance, name, kinds, depth, without, 3)]
    else:
        plan["of"] = _several(chance, name, _kinds(workflow, depth), depth, without, 4)
    if depth == 1 and workflow != "count" and chance.random() < 0.08:
        plan["fails"] = True
    return plan


def _kinds(workflow: str, depth: int) -> dict[str, float]:
    kinds = {
        "step": 6,
        "broken": 0.7,
        "rest": 1,
        "log": 1,
        "sleep": 0.5,
        "ask": 0.5,
        "make": 0.4,
        "threads": 1,
        "seq": 1,
    }
    if workflow in ASYNC_ONES:
        kinds |= {"gather": 1.5, "group": 1, "completed": 1}
    return kinds | ({"run": 2.0} if depth < _DEEPEST else {})


def _several(
    chance: random.Random, name: str, kinds: dict[str, float], depth: int, without: frozenset[str], most: int
) -> list[Plan]:
    kinds = {kind: weight for kind, weight in kinds.items() if kind not in without}
    return [_node(chance, f"{name}.{n}", kinds, depth, without) for n in range(1, chance.randint(1, most) + 1)]


def _node(chance: random.Random, name: str, kinds: dict[str, float], depth: int, without: frozenset[str]) -> Plan:
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    if kind == "run":
        return _run(chance, name, depth + 1, without)
    if kind in ("gather", "group", "completed", "threads", "seq"):
        inner = {one: weight for one, weight in kinds.items() if one not in ("threads", kind)}
        if kind == "threads":  # what runs in a thread is the plain walk
            inner = {one: weight for one, weight in inner.items() if one not in ("gather", "group", "completed")}
        return {"do": kind, "name": name, "of": _several(chance, name, inner, depth, without, 3)}
    return _leaf(chance, name, {kind: 1})


def _leaf(chance: random.Random, name: str, kinds: dict[str, float]) -> Plan:
    (kind,) = kinds
    leaf: Plan = {"do": kind, "name": name}
    if kind in ("step", "broken"):
        leaf["s"] = round(chance.random() ** 2 * 0.4, 3)
    elif kind == "rest":
        leaf["s"] = round(chance.random() * 0.3, 3)
    elif kind == "sleep":
        leaf["s"] = round(chance.uniform(*_LONG_S) if chance.random() < 0.3 else chance.uniform(0.05, 1.5), 3)
    elif kind == "make":
        leaf["name"] = "made_" + name.replace(".", "_")
    return leaf
