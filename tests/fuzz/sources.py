"""Sources as a hostile author may write them: real ones, changed at random, and units that repeat; and the check that they are only refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from repertoire.errors import RepertoireError
from repertoire.registry.review import (
    Known,
    References,
    bad_imports,
    calls_to_mock,
    explain_names,
    reads_undefined,
    references,
    review,
    unfit_calls,
)
from repertoire.registry.script import as_module
from repertoire.registry.source import analyse_tree, parse, unwrapped
from repertoire.registry.used_tools import used_tools

ROOT: Final = Path(__file__).parents[2]
MOST_BYTES: Final = 256 * 1024
_RUN: Final = "\ndef run(a: int = 1): return a\n"
REPEATED: Final = (
    "-", "not ", "(", "[", "{", "x.", "f(", "lambda:", "1 if a else ", "a=", "@a\n", "[0]", "()", "*a,", "+1", "|int",
    "'a' ", "f'{a}'", "\\\n", "def f(): pass\n", "async def f(): await g()\n", "class A(B): x=1\n", "import a.b\n",
    "from . import a\n", "try: pass\nexcept: pass\n", "elif a: pass\n", " for a in b", "with a as b: pass\n",
    "step(f, 1)\n", "workflows.invoke('a', b=1)\n", "tools.a.b(x=1)\n", "```\n", "~~~\n", "\x0c", "\x00", "\ufeff",
    "\u202e", "\ud800", "global a\n", "if 1:\n ", "match a:\n case 1: pass\n", "a: int\n", "'''", '"', "#", "`", "9",
    "{a:", "await ", "yield ", "return 1\n", "run = 1\n", "__workflow__ = {}\n", "session_state['a'] = 1\n",
    "ask('a', b)\n", "class A(Workflow):\n def run(self): pass\n",
)  # fmt: skip
"""Each is repeated many times, before, after and within an expression."""
_HEADS: Final = (
    "", "x = ", "def run():\n ", "def run(a: ", "__workflow__ = ", "__workflow__ = {'tags': ", "class A:\n ", "if ",
    "@", "async def default(context: ",
)  # fmt: skip


def repeated(unit: str, times: int, head: str) -> str:
    return f"{head}{unit * times}{_RUN}"


def real_sources() -> list[str]:
    return [path.read_text() for path in sorted((ROOT / "workflows").glob("*.py"))]


def hostile_source(chance: random.Random, real: list[str]) -> str:
    """A real source of which pieces were cut, repeated, moved or replaced, or a unit that repeats."""
    if chance.random() < 0.3:
        return repeated(chance.choice(REPEATED), chance.choice((1, 3, 90, 250, 2_000)), chance.choice(_HEADS))
    text = chance.choice(real)
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(text) + 1)
        end = min(start + chance.randint(1, 200), len(text))
        piece = chance.choice(
            (text[start:end] * chance.randint(0, 3), chance.choice(REPEATED) * chance.choice((1, 2, 50)), "")
        )
        text = text[:start] + piece + text[end:]
    return text


def check(source: str) -> bool:
    """Read it as a source that a client has sent. False: it was refused. Any other exception is a defect: remarks must not fail either."""
    try:
        source = unwrapped(source, MOST_BYTES)
        as_module(source, ["a"], MOST_BYTES)
    except RepertoireError:
        pass
    try:
        tree = parse(source, MOST_BYTES)
        known = Known({}, {}, [])
        review(tree, source)
        reads_undefined(tree)
        used_tools(source, (), ())
        unfit_calls(references(tree) or References(), known)
        explain_names([], tree, {})
        bad_imports(tree, source, {}, lambda name: False)
        calls_to_mock(tree)
        analyse_tree(tree)
    except RepertoireError as error:
        assert error.message and len(error.message) < 2_000
        return False
    return True
