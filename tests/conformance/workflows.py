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
_WORKFLOWS: Final = {
    "test_simple_text": _SIMPLE,
    "test_error_handling": _FAIL,
    "test_tool_with_progress": _PROGRESS,
    "test_logging_tool": _LOG,
}


async def publish(service: Service) -> None:
    for name, source in _WORKFLOWS.items():
        await service.create(Caller(roots=service.own_roots), name=name, source=source)


def change_tools(service: Service) -> ToolHandler:
    """A tool that changes the tool list for real: a new version of a workflow, so the news goes the product's own way."""

    async def call(*_: object) -> ToolAnswer:
        caller = Caller(roots=service.own_roots)
        await service.delete(caller, name="test_changing")
        await service.create(caller, name="test_changing", source=_SIMPLE)
        return text("The tool list has changed.")

    return call
