"""Needs of a version: what its source says that it uses outside of its own body. Without a server."""

from __future__ import annotations

from typing import Any

import pytest

from repertoire.model.needs import Needs
from repertoire.model.workflow_version import WorkflowVersion
from repertoire.registry.needs import needs_of
from repertoire.registry.source import analyse
from repertoire.registry.used_tools import used_tools
from repertoire.wire import Module


def needs(source: str, *modules: Module) -> Needs:
    found = analyse(source + "\n\ndef run(url='', n=0): ...\n", max_bytes=100_000)
    version = WorkflowVersion(
        hash="0" * 64, name="tried", origin="tool", source=source, description="", options=found.options, modules=modules,
        input_schema={}, output_schema={}, uses_state=found.uses_state, tools=used_tools(source, modules, found.options.tools),
    )  # fmt: skip
    return needs_of(version)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("import json\nx = 1\n", {}),
        ("import numpy as np\nfrom bs4 import BeautifulSoup\nfrom . import own\n", {"packages": ["bs4", "numpy"]}),
        ("import subprocess\nfrom http import client\n", {"packages": ["http.client", "subprocess"]}),
        ("import importlib\nimportlib.import_module(name)\n", {"packages": ["*"]}),
        ("x = workflows.double(n=1), workflows.invoke('add')", {"workflows": ["add", "double"]}),
        ("x = workflows.invoke(name)", {"workflows": ["*"]}),
        ("artifacts.save('a', 1)\nx = repertoire.artifacts.load('b')", {"artifacts": ["load", "save"]}),
        ("x = ask('Which?')", {"asks": True}),
        ("async def go(ctx):\n    await ctx.ask('Which?')", {"asks": True}),
        ("session_state['n'] = 1", {"state": True}),
        ("harness.shell('ls')", {"shell": True}),
        ("from repertoire import Agent\na = Agent()", {"models": ["default"]}),
        (
            "from agno.agent import Agent\nfrom agno.models.openai import OpenAIChat as O\na = Agent(model=O(id='gpt-4o'))",
            {"models": ["gpt-4o"]},
        ),
        ("from repertoire import Agent, Team\na = Team(members=[Agent(model='x:y')], model=chosen)", {"models": ["x:y", "*"]}),
        ("from repertoire import create_agent\na = create_agent(lambda ctx: {'model': 'groq:l'})", {"models": ["groq:l"]}),
        ("class Agent: ...\na = Agent(model='no')", {}),
        (
            "__workflow__ = {'needs': {'hosts': ['a.b'], 'packages': ['numpy'], 'models': ['m'], 'workflows': ['w']}}",
            {"packages": ["numpy"], "hosts": ["a.b"], "workflows": ["w"], "models": ["m"]},
        ),
    ],
)  # fmt: skip
def test_needs_are_read_from_the_source(source: str, shown: dict[str, Any]) -> None:
    assert needs(source).public() == shown


@pytest.mark.parametrize(
    ("call", "hosts"),
    [
        ("tools.fetch(url='https://api.github.com/repos')", ["api.github.com"]),
        ("tools.fetch(url='http://LOCAL.example:8080')", ["local.example:8080"]),
        ("tools.fetch(url=f'https://api.github.com/{n}')", ["api.github.com"]),
        ("tools.fetch(url='https://api.github.com/' + n + '/x')", ["api.github.com"]),
        ("tools.fetch.response(url=API + '/x', method='POST')", ["api.shop.example"]),
        ("tools.fetch(url=f'{API}/items/{n}')", ["api.shop.example"]),
        ("tools.fetch.with_options(retries=2)(url='https://a.example/x')", ["a.example"]),
        ("tools.curl.get(url='https://a.example')", ["a.example"]),
        ("[tools.fetch(url=one) for one in ('https://a.example', n)]", ["*"]),
        ("tools.fetch(url=f'https://{n}/x')", ["*"]),
        ("tools.fetch(url=f'https://api.github.com{n}')", ["*"]),
        ("tools.fetch(url=f'https://api.{n}.com/')", ["*"]),
        ("tools.fetch(url='https://api.github.com@evil.example/x')", ["evil.example"]),
        ("tools.fetch(url='https://api.github.com\\\\@evil.example/x')", ["*"]),
        ("tools.fetch(url=url)", ["*"]),
        ("tools.fetch(**given)", ["*"]),
        ("list(map(tools.fetch, url))", ["*"]),
        ("getattr(tools, 'fetch')(url='https://a.example')", ["*"]),
        ("tools['fetch'](url='https://a.example')", ["*"]),
        ("tools.fetch.with_options(retries=2)", ["*"]),
        ("tools.fetch(url=OTHER)", ["*"]),
    ],
)
def test_hosts_are_those_that_the_text_certainly_names(call: str, hosts: list[str]) -> None:
    names = (
        "API = 'https://api.shop.example'\nOTHER = 'https://a.example/'\nif API:\n    OTHER = 'https://b.example/'\n"
    )
    assert needs(f"{names}def go(n, url, given):\n    return {call}\n").public()["hosts"] == hosts


def test_a_declared_tool_that_fetches_reaches_unknown_hosts() -> None:
    assert needs("__workflow__ = {'tools': ['fetch']}").public() == {"tools": ["fetch"], "hosts": ["*"]}


def test_modules_of_a_version_count_and_are_no_packages() -> None:
    module = Module(
        "helper",
        "import yaml\nfrom repertoire import tools\ndef x(): return tools.fetch(url='https://a.example')\n",
    )
    assert needs("import helper\n", module).public() == {
        "packages": ["yaml"],
        "tools": ["fetch"],
        "hosts": ["a.example"],
    }


def test_a_source_of_any_kind_has_needs() -> None:
    assert needs("x = 1").sentences() == []
    said = needs(
        "import numpy\nask('x')\nworkflows.invoke(n)\ntools.fetch(url='https://a.example')\ntools.fetch(url=n)\n"
    ).sentences()
    assert said == [
        "packages: numpy",
        "tools: fetch",
        "hosts: a.example, and others that its text does not name",
        "workflows: some that its text does not name",
        "asks a person",
    ]
