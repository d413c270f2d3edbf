"""Fixtures that are workflows: published with create_workflow's verb and run by the engine, so that the product answers for them."""

from __future__ import annotations

from typing import Final

from repertoire.model.session import Caller
from repertoire.service import Service

from .fixture import ToolAnswer, ToolHandler, text

_SIMPLE: Final = '''"""Answer with a simple text."""

def run() -> str:
    return "This is a simple text response for testing."
'''
_FAIL: Final = '''"""Always fail."""

def run() -> None:
    raise RuntimeError("This tool intentionally returns an error for testing")
'''
_PROGRESS: Final = '''"""Tell of progress three times."""
import time

def run() -> str:
    for done in (0, 50, 100):
        progress(done, 100, f"Completed step {done} of 100")
        time.sleep(0.15)  # longer than the pause in which the product puts events together
    return "done"
'''
_LOG: Final = '''"""Log a few messages."""

def run() -> str:
    for word in ("one", "two", "three"):
        log.info(word)
    return "logged"
'''
_SLOW: Final = '''"""Compute for a while."""
import time

def run(seconds: float, label: str = "") -> str:
    time.sleep(seconds)
    return f"{label} took {seconds} s"
'''
_FAIL_LATER: Final = '''"""Fail after a second."""
import time

def run() -> None:
    time.sleep(1)
    raise RuntimeError("This job always fails")
'''
_CONFIRM: Final = '''"""Ask before something is deleted, but not at once: by then it is a task."""
import time

from repertoire import ask

def run(filename: str) -> str:
    time.sleep(1)
    schema = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}
    answer = ask(f"Delete {filename}?", schema)
    return f"{filename} was deleted" if answer["confirm"] else f"{filename} was kept"
'''
_TWO_AT_ONCE: Final = '''"""Ask two things at once."""
import asyncio

from repertoire import ask

async def run() -> list[str]:
    await asyncio.sleep(1)
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answers = await asyncio.gather(ask("The first name?", schema), ask("The second name?", schema))
    return [answer["name"] for answer in answers]
'''
_ASK_THEN_WORK: Final = '''"""Ask at once, then work for a while."""
import time

from repertoire import ask

def run() -> str:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = ask("What is your name?", schema)
    time.sleep(1)
    return f"Hello, {answer['name']}!"
'''
_WORKFLOWS: Final = {
    "test_simple_text": _SIMPLE,
    "test_error_handling": _FAIL,
    "test_tool_with_progress": _PROGRESS,
    "test_logging_tool": _LOG,
    "slow_compute": _SLOW,
    "failing_job": _FAIL_LATER,
    "protocol_error_job": _FAIL_LATER,
    "confirm_delete": _CONFIRM,
    "multi_input": _TWO_AT_ONCE,
    "test_tool_with_task": _ASK_THEN_WORK,
}


async def publish(service: Service) -> None:
    for name, source in _WORKFLOWS.items():
        await service.publishing.create(Caller(roots=service.settings.roots), name=name, source=source)


def change_tools(service: Service) -> ToolHandler:
    """A tool that changes the tool list for real: a new version of a workflow, so the news goes the product's own way."""

    async def call(*_: object) -> ToolAnswer:
        caller = Caller(roots=service.settings.roots)
        await service.publishing.delete(caller, name="test_changing")
        await service.publishing.create(caller, name="test_changing", source=_SIMPLE)
        return text("The tool list has changed.")

    return call
