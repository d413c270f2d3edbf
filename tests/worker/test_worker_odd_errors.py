"""Exceptions whose own code fails: the worker lives on and says their type, their line, and what can be read of them."""

from __future__ import annotations

from typing import Any

import pytest

from repertoire import wire
from support import workers
from support.workers import Worker

shared, worker = workers.shared, workers.worker

ODD = {
    "attribute": "class Odd(Exception):\n    def __getattribute__(self, name): raise RuntimeError(name)",
    "attribute of a runtime error": "class Odd(RuntimeError):\n    def __getattribute__(self, name): raise SystemExit(name)",
    "missing attribute": "class Odd(Exception):\n    def __getattr__(self, name): raise ValueError(name)",
    "text": "class Odd(Exception):\n    def __str__(self): raise KeyboardInterrupt",
    "no text": "class Odd(Exception):\n    def __str__(self): return 5",
    "representation": "class Odd(Exception):\n    def __repr__(self): raise SystemExit(3)\n    __str__ = __repr__",
    "recursion": "class Odd(Exception):\n    def __str__(self): return str(self)\n    def __getattr__(self, n): return getattr(self, n + '_')",
    "base": "class Odd(BaseException):\n    def __str__(self): raise Odd()\n    def __getattribute__(self, name): raise Odd()",
    "class": "class Odd(Exception):\n    __class__ = property(lambda self: 1 / 0)",
    "lying class": "class Odd(Exception):\n    __class__ = MemoryError",
    "setting": "class Odd(Exception):\n    def __setattr__(self, name, value): raise RuntimeError(name)",
    "cause": "class Odd(Exception):\n    __cause__ = property(lambda self: 1 / 0)\n    __notes__ = property(lambda self: 1 / 0)",
    "exit": "class Odd(SystemExit):\n    code = property(lambda self: 1 / 0)",
    "module": "class Odd(ModuleNotFoundError):\n    name = property(lambda self: 1 / 0)",
    "group": "class Odd(ExceptionGroup):\n    exceptions = 1\n    def __new__(cls, *a): return super().__new__(cls, 'g', [ValueError()])",
}  # fmt: skip
CLASS_STYLE = """
from repertoire import Workflow
class Flow(Workflow):
    def run(self):
        raise Odd("said")
def run() -> None:
    Flow().run()"""
BODIES = {
    "body": "def run() -> None:\n    raise Odd('said')",
    "async": "async def run() -> None:\n    raise Odd('said')",
    "generator": "def run():\n    yield 1\n    raise Odd('said')",
    "step": "def work(): raise Odd('said')\ndef run() -> None:\n    step(work)",
    "caught": "def work(): raise Odd('said')\ndef run() -> None:\n    try:\n        step(work)\n    except ValueError: pass",
    "class style": CLASS_STYLE,
    "cause": "def run() -> None:\n    try:\n        raise Odd('said')\n    except Odd as odd:\n        raise Odd('again') from odd",
    "top level": "def run() -> None: ...\nraise Odd('said')",
}


@pytest.mark.parametrize("where", BODIES)
def test_w22_an_exception_that_cannot_be_read_still_says_its_type(where: str, worker: Worker) -> None:
    for what, kind in ODD.items():
        task: dict[str, Any] = {"state": "{}"} if what == "text" else {}
        frame = worker.run(f"{kind}\n{BODIES[where]}", **task)
        assert isinstance(frame, wire.Failed), (what, frame)
        fault = frame.fault
        known = fault.type in ("MemoryError", "SystemExit", "ModuleNotFoundError")  # told as such by what they are
        assert known or "Odd" in fault.type + fault.message, (what, fault)
        assert fault.message, what
    assert worker.result("def run() -> int:\n    return 1") == 1
