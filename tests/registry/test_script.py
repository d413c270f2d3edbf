"""Statements as a module with `run`: the module, executed, gives what the statements give."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

import pytest

from repertoire.errors import BadArguments, Refused
from repertoire.registry.script import as_module
from repertoire.text import line_in

MOST = 100_000


def result_of(source: str, **arguments: Any) -> Any:
    namespace: dict[str, Any] = {"__name__": "module"}
    exec(as_module(source, arguments, MOST), namespace)
    found = namespace["run"](**arguments)
    if inspect.isgenerator(found):
        return list(found)
    return asyncio.run(found) if inspect.iscoroutine(found) else found


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("1 + 1", 2),
        ("x = 1\nx", 1),
        ("x = 1", None),
        ("import json\nx = json.dumps(1)\nimport json\nx + json.dumps(2)", "12"),
        ("import math\ntry:\n    import nowhere as math\nexcept ImportError:\n    pass\nmath.floor(1.5)", 1),
        ("sum = sum([1, 2])\nmax = max(sum, 1)\nsum + max", 6),
        ("from datetime import datetime\ndatetime = datetime(2026, 1, 2)\ndatetime.day", 2),
        ("max: int = 4\nmax", 4),
        ("import json\nx = json.dumps(1)\ndel json\nx", "1"),
        ("x = 1; x", 1),
        ("import json; x = 1\njson.dumps(x)", "1"),
        ("(\n  1,\n  2)\n", (1, 2)),
        ("'é'; 'ü' + 'ö'", "üö"),
        ("x = '''a\n  b\n'''\nx", "a\n  b\n"),
        ("x = f'''a\n{1 + 1}\n'''\nx", "a\n2\n"),
        ("if True:\n\tx = 1\nx\n", 1),
        ("x = 1\r\nx\r\n", 1),
        ("def f():\n    return n\nn = 2\nf()", 2),
        ("def f():\n    n = 3\n    return n\nn = 2\nf() + n", 5),
        ("def count():\n    global t\n    t += 1\nt = 0\ncount()\nt", 1),
        ("class A:\n    size = n\n\nA.size", 7),
        ("def main():\n    out.append(1)\nout = []\nif __name__ == '__main__':\n    main()\nout", [1]),
        ("import asyncio\nasync def f():\n    return 4\nawait f()", 4),
        ("async def f(x):\n    return x\n[await f(x) for x in (1, 2)]", [1, 2]),
        ("for x in range(n):\n    if x == 3:\n        return x\n", 3),
        ("for x in range(2):\n    yield x\n", [0, 1]),
        ("run = 3\nrun", 3),
        ('"""Only a text."""', "Only a text."),
    ],
)  # fmt: skip
def test_the_last_expression_is_the_result(source: str, result: Any) -> None:
    assert result_of(source, n=7) == result


def test_what_comes_first_stays_in_the_module() -> None:
    source = '"""Add.\n\nMore."""\nfrom __future__ import annotations\nimport json\n\n\ndef f(x):\n    return json.dumps(x)\n\n# then\nf(n)\n'
    text = as_module(source, ["n"], MOST)
    assert text.splitlines()[:5] == source.splitlines()[:5]
    assert "\ndef f(x):" in text and "\ndef run(n):\n    # then\n    return f(n)" in text


def test_lines_keep_their_numbers_where_an_empty_line_can_go() -> None:
    source = "import json\n\n\nx = 1\njson.dumps(x) + y\n"
    text = as_module(source, [], MOST)
    assert text.split("\n")[4] == "    return json.dumps(x) + y" and line_in(source, text, 5) == 5
    assert line_in("x = 1\ny", as_module("x = 1\ny", [], MOST), 3) == 2


@pytest.mark.parametrize(
    "source", ["def run(a: int) -> int:\n    return a\n", "class A(Workflow):\n    def run(self):\n        return 1\n"]
)
def test_a_module_stays_as_it_is(source: str) -> None:
    assert as_module(source, ["any name"], MOST) == source


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import json\n", "nothing to run"),
        ("x = \n", "line 1"),
        ("async def run():\n    return 1\n\nawait run()\n", "called for you"),
        ("x" * (MOST + 1), "at most"),
        ("def f():\n    global n\nf()", "is an argument"),
    ],
)
def test_what_cannot_be_a_module_is_refused(source: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        as_module(source, ["n"], MOST)


@pytest.mark.parametrize("name", ["my-name", "class", "ctx", "tools", "", "1a", "a, b"])
def test_a_name_that_cannot_be_in_the_source_is_refused(name: str) -> None:
    with pytest.raises(BadArguments, match="cannot be a name"):
        as_module("1", [name], MOST)


def test_many_functions_that_need_each_other_are_read_in_a_moment() -> None:
    most = 3_000
    functions = [f"def f{n}(): return f{n + 1}()" for n in range(most)]
    source = "\n".join(["import json", *functions, f"def f{most}(): return x", "x = 1", "x"])
    begun = time.process_time()
    text = as_module(source, [], MOST * 10)
    assert time.process_time() - begun < 10
    assert text.startswith("import json\ndef run():\n    def f0():")
