"""Files of PyFlue without `run`: handlers are workflows, other files are refused with what to add."""

from __future__ import annotations

import pytest

from repertoire.errors import Refused
from repertoire.registry.source import analyse


@pytest.mark.parametrize(
    "head",
    [
        "async def default(context):",
        "def default(ctx):",
        "async def agent(context: 'PyFlueContext'):",
        "def default(c: pyflue.FlueContext):",
    ],
)
def test_a_handler_is_a_workflow_with_state(head: str) -> None:
    read = analyse(f'import pyflue\n{head}\n    """Answer."""\n    return 1\n', max_bytes=1000)
    assert read.description == "Answer." and read.uses_state and read.classes == ()


@pytest.mark.parametrize(
    "source",
    [
        "def default(x):\n    return 1\n",
        "def default(ctx, x):\n    return 1\n",
        "@command\ndef default(ctx):\n    return 1\n",
    ],
)
def test_other_functions_of_that_name_are_none(source: str) -> None:
    with pytest.raises(Refused, match="There is no run"):
        analyse(source, max_bytes=1000)


@pytest.mark.parametrize(
    ("source", "says", "hint"),
    [
        (
            "from pyflue import create_agent\nhelper = create_agent({})\n",
            "defines the agent 'helper'",
            "ctx.init(helper)",
        ),
        (
            "import pyflue\nasync def main():\n    a = await pyflue.init(model='x')\n",
            "main() starts its agent",
            "Rename main() to run, and return the value",
        ),
        (
            "from pyflue import init\nasync def ask(text: str):\n    return await init()\n",
            "ask() starts",
            "to run, its parameters",
        ),
        ("from pyflue import PyFlueClient\n", "no run(ctx)", "async def run(ctx)"),
    ],
)
def test_a_file_of_pyflue_without_a_workflow_says_what_it_lacks(source: str, says: str, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        analyse(source, max_bytes=1000)
    assert says in caught.value.message and "PyFlue" in caught.value.message and hint in (caught.value.hint or "")


def test_an_agent_that_persists_uses_the_state() -> None:
    source = "from pyflue import create_agent\na = create_agent({{{0}}})\nasync def run(ctx):\n    return 1\n"
    assert analyse(source.format('"persist": True'), max_bytes=1000).uses_state
    assert not analyse(source.format('"name": "persist"'), max_bytes=1000).uses_state
