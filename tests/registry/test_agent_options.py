"""The rule on agents: an option that is accepted and changes nothing is told when the workflow is published."""

from __future__ import annotations

import ast

import pytest

from repertoire.agents import options
from repertoire.registry.review.remarks import review


def told(source: str) -> list[tuple[int | None, str]]:
    found = review(ast.parse(source), source)
    return [(one.line, f"{one.message} {one.hint}") for one in found if one.rule == "option_without_effect"]


@pytest.mark.parametrize("package", ["agno.agent", "buddy", "phi.agent", "repertoire"])
def test_an_option_without_effect_is_told_with_what_to_do(package: str) -> None:
    source = (
        f"from {package} import Agent as A\n\na = A(model='x',\n      reasoning=True, memory=None, debug_mode=True)\n"
    )
    assert told(source) == [
        (
            4,
            "Agent(reasoning=...) is accepted and has no effect here. Use a model that reasons, or ask for the steps in instructions.",
        )
    ]


def test_other_classes_of_that_name_and_options_that_count_are_not_told() -> None:
    assert told("from pydantic_ai import Agent\na = Agent('x', memory=1)\n") == []
    assert told("from repertoire import Team\nt = Team(members=[], enable_agentic_context=False, mode='route')\n") == []
    (one,) = told("from repertoire import Team\nt = Team(members=[], enable_agentic_context=True)\n")
    assert one[1].startswith("Team(enable_agentic_context=...)")


def test_every_option_is_in_one_table() -> None:
    tables = [options.HONOURED, options.HARMLESS, options.WITHOUT_EFFECT.keys(), options.OF_TEAMS]
    tables += [options.HARMLESS_FOR_TEAMS, options.WITHOUT_EFFECT_FOR_TEAMS.keys()]
    assert sum(map(len, tables)) == len(options.names(of_team=True))
    assert not options.INSTEAD.keys() & options.names(of_team=True)
