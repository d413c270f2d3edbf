"""Bodies: makes the source of a workflow of the functions of attacks; used by `Server` and the tests of layers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

_LOAD: Final = """

def load(name):
    built = load.__globals__["__builtins__"]
    built = built if isinstance(built, dict) else vars(built)
    return built["__imp" + "ort__"](name, None, None, ["x"])


"""
_PRELUDE: Final = Path(__file__).with_name("inside.py").read_text()
_IMPORT: Final = re.compile(r"^import (\S+)$", re.MULTILINE)
_TYPED: Final = re.compile(r"^from (typing|collections\.abc|__future__) import .*$", re.MULTILINE)
_OTHERS: Final = (
    "asyncio",
    "atexit",
    "gc",
    "http.client",
    "multiprocessing",
    "re",
    "resource",
    "signal",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
)
"""Modules that bodies use besides those of the prelude, under the last part of their names. They are loaded where they are used."""


_TYPES: Final = """from __future__ import annotations
from collections.abc import Callable, Iterator
from typing import Any
"""


def source_of(codes: Sequence[Callable[..., object]], run: str, options: dict[str, Any] | None = None) -> str:
    """A module: the prelude, the functions, and `run`, whose text is given."""
    functions = "\n\n".join(_text_of(code) for code in codes)
    prelude = _TYPED.sub("", _PRELUDE)
    prelude = _IMPORT.sub(lambda found: f'{found[1]} = load("{found[1]}")', prelude)
    used = {name: name.rpartition(".")[2] for name in _OTHERS}
    others = "\n".join(f'{short} = load("{name}")' for name, short in used.items() if f"{short}." in functions)
    before = f"{_TYPES}\n__workflow__ = {options or {}!r}\n"
    head, _, rest = prelude.partition("MACHINE =")
    docstring, _, loads = head.rpartition('"""')
    return f'{docstring}"""\n{before}{_LOAD}{loads}{others}\n\nMACHINE ={rest}\n\n{functions}\n\n\n{run}'


def batch(codes: Sequence[Callable[..., object]], ids: Sequence[str]) -> str:
    """A workflow that tries all of them, one after the other, and returns the outcome of each by its id.

    It logs each id before it tries it: if the process dies, the last one is the cause.
    """
    table = ", ".join(f"{id!r}: {code.__name__}" for id, code in zip(ids, codes, strict=True))
    run = (
        "def run(t: dict[str, Any]) -> dict[str, str]:\n"
        '    """Try all of them."""\n'
        "    found = {}\n"
        "    folder = os.getcwd()\n"
        f"    for id, body in {{{table}}}.items():\n"
        "        log.info(id)\n"
        "        found[id] = outcome(body, t)\n"
        "        os.chdir(folder)\n"
        "    return found\n"
    )
    return source_of(codes, run, {"timeout_s": 60})


def one(code: Callable[..., object], *, raw: bool = False, timeout_s: float | None = None) -> str:
    """A workflow that tries this one. `raw`: it returns the very value."""
    called = f"{code.__name__}(t)" if raw else f"outcome({code.__name__}, t)"
    run = f'def run(t: dict[str, Any]) -> {"Any" if raw else "str"}:\n    """Try it."""\n    return {called}\n'
    return source_of([code], run, {} if timeout_s is None else {"timeout_s": timeout_s})


def _text_of(code: Callable[..., object]) -> str:
    """The function's text, without its decorators."""
    text = inspect.getsource(code)
    return text[re.search(r"^(async )?def ", text, re.MULTILINE).start() :]  # type: ignore[union-attr]  # each is a function
