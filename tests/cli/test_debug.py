"""`repertoire debug`: a workflow in the foreground of a real terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.shells import Shell
from support.terminals import Terminal

TALK = '''"""Talk with the person at the terminal."""

import asyncio

from pydantic import BaseModel

from repertoire import ask, log, session_state, sleep, step, workflows


class Age(BaseModel):
    years: int


def double(n: int) -> int:
    return 2 * n


async def run(n: int) -> str:
    """Talk.

    Args:
        n: A number.
    """
    name = input("Your name? ")
    value = await step(double, n)
    breakpoint()
    log("counted", value=value)
    age = await ask("Your age?", Age)
    await sleep(86_400)
    session_state["name"] = name
    (child,) = await asyncio.gather(workflows.child(n=value))
    return f"{name} {age.years} {child}"
'''
CHILD = '"""Add one."""\n\n\ndef run(n: int) -> int:\n    return n + 1 if ask(f"Add to {n}?", bool) else n\n'
AGNO = '''from typing import TypedDict
from agno.workflow import RunResponse, Workflow


class Told(TypedDict):
    text: str


class Tell(Workflow):
    """Tell a topic."""

    def run(self, topic: str) -> Told:
        from agno.agent import Agent
        return {"text": f"{topic} {Agent.__name__}"}
'''
FAILS = '"""Fail."""\n\n\ndef run() -> None:\n    values = [1]\n    values[3]\n'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "home" / "workflows"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    for name, source in {"talk": TALK, "child": CHILD, "fails": FAILS, "tell": AGNO}.items():
        (folder / f"{name}.py").write_text(source)
    return Shell(folder.parent)


def test_n23_debug_runs_a_workflow_in_the_foreground_with_breakpoint_and_input(shell: Shell) -> None:
    terminal = Terminal(shell, "debug", "talk", "--payload", '{"n": 3}')
    terminal.until("Your name? ")
    terminal.type("Ada\n")
    terminal.until("talk.py")
    terminal.until("(Pdb) ")
    terminal.type("p value, session_state\n")
    terminal.until("(6, {})")
    terminal.type("c\n")
    terminal.until("counted value=6")
    terminal.until("Your age?\n> ")
    terminal.type("old\n")
    terminal.until("'old' is not a JSON object")
    terminal.type('{"years": "x"}\n')
    terminal.until("'x' is not of type 'integer'")
    terminal.type('{"years": 36}\n')
    terminal.until("sleep 86400 s: not waited for")
    terminal.until("Add to 6?\n[y/n] > ")
    terminal.type("y\n")
    terminal.until('"Ada 36 7"')
    assert terminal.end() == 0
    assert [run["workflow"] for run in shell.json("runs")] == ["child"], "the foreground records nothing"
    shell("stop", "--force")


def test_debug_loads_what_a_worker_loads(shell: Shell) -> None:
    done = shell("debug", "tell", "topic=tea")
    assert json.loads(done.stdout) == {"text": "tea Agent"}, done.stderr
    shell("stop", "--force")


def test_n23_debug_shows_an_error_with_its_line_and_opens_the_debugger_there(shell: Shell) -> None:
    done = shell("debug", "fails")
    assert done.returncode == 1 and "fails.py" in done.stderr and "values[3]" in done.stderr
    assert "error: IndexError: list index out of range (line 6)" in done.stderr
    assert "foreground.py" not in done.stderr, "frames of our own"
    terminal = Terminal(shell, "debug", "fails", "--pdb")
    terminal.until("(Pdb) ")
    terminal.type("p values\n")
    terminal.until("[1]")
    terminal.type("q\n")
    assert terminal.end() == 1
    done = shell("debug", "child", "--payload", '{"n": "many"}')
    assert done.returncode == 1 and "`n`: wants an integer" in done.stderr
    shell("stop", "--force")
