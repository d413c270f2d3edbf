"""Schemas, examples, mocks and sources that attack whoever reads, checks or compares them in the server's own process."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from .attack import FAILED, Table
from .server import Server

SCHEMAS: Final = Table("schemas")
outside = SCHEMAS.outside
_ANSWERED: Final = ("completed .*", "published .*", "refused .*", *FAILED, "cancelled .*")
"""There is an answer. The bystander's calls show that the server was not held up."""
_SLOW: Final = "(a+)+$"
_LONG: Final = "a" * 45 + "!"


def _create(server: Server, source: str, **more: Any) -> str:
    answer = server.tool("create_workflow", name="attack_schema", source=source, replace=True, **more)
    return server.outcome(answer)


def _ask(server: Server, schema: str, answer: object) -> str:
    asked = server.tool("run_code", source=f"await ask('Well?', {schema})")
    if asked.get("status") == "input_required":
        given = server.tool("answer_run", run_id=asked["run_id"], answer=answer)
        return server.outcome(server.finished(given if given.get("run_id") else asked))
    return server.outcome(asked)


_ECHO: Final = 'def run(x: str = "") -> str:\n    """Give it back."""\n    return x\n'


@outside("asks with a pattern that takes for ever, and has it answered", _ANSWERED)
def pattern_of_question(server: Server) -> str:
    return _ask(server, f'{{"type": "string", "pattern": "{_SLOW}"}}', _LONG)


@outside("asks with a pattern for keys that takes for ever", _ANSWERED)
def pattern_of_keys(server: Server) -> str:
    return _ask(server, f'{{"type": "object", "patternProperties": {{"{_SLOW}": {{}}}}}}', {_LONG: 1})


@outside("asks with a schema that refers to itself", _ANSWERED)
def recursive_question(server: Server) -> str:
    return _ask(server, '{"$ref": "#"}', 1)


@outside("asks with a schema that branches without an end", _ANSWERED)
def branching_question(server: Server) -> str:
    parts = ", ".join(
        f'"d{n}": {{"anyOf": [{{"$ref": "#/$defs/d{n + 1}"}}, {{"$ref": "#/$defs/d{n + 1}"}}]}}' for n in range(26)
    )
    return _ask(server, f'{{"$ref": "#/$defs/d0", "$defs": {{{parts}, "d26": {{"type": "integer"}}}}}}', "x")


@outside("asks with a schema at an address of this machine", _ANSWERED)
def remote_question(server: Server) -> str:
    port = server.canaries.targets()["tcp"]
    return _ask(server, f'{{"$ref": "http://127.0.0.1:{port}/schema.json"}}', 1)


@outside("asks with a schema in a file", _ANSWERED)
def file_question(server: Server) -> str:
    return _ask(server, f'{{"$ref": "file://{server.canaries.secret}"}}', 1)


@outside("asks with a multiple of next to nothing, and unique items", _ANSWERED)
def numbers_of_question(server: Server) -> str:
    first = _ask(server, '{"type": "number", "multipleOf": 5e-324}', 1e308)
    return (
        first
        if first.startswith("protocol")
        else _ask(server, '{"type": "array", "uniqueItems": True}', [[n] for n in range(3000)])
    )


@outside("takes a text by a pattern that takes for ever", _ANSWERED)
def pattern_of_parameter(server: Server) -> str:
    source = (
        "from typing import Annotated\n\nfrom pydantic import Field\n\n\n"
        f'def run(x: Annotated[str, Field(pattern="{_SLOW}")] = "a") -> str:\n    """Take it."""\n    return x\n'
    )
    made = _create(server, source)
    if not made.startswith("published"):
        return made
    return server.outcome(server.tool("attack_schema", x=_LONG))


@outside("gives a result by a pattern that takes for ever", _ANSWERED)
def pattern_of_result(server: Server) -> str:
    source = (
        "from typing import Annotated\n\nfrom pydantic import Field\n\n\n"
        f'def run() -> Annotated[str, Field(json_schema_extra={{"pattern": "{_SLOW}"}})]:\n    """Give it."""\n    return "{_LONG}"\n'
    )
    made = _create(server, source)
    return server.outcome(server.tool("attack_schema")) if made.startswith("published") else made


@outside("makes a schema of its own that is no schema", _ANSWERED)
def forged_schema(server: Server) -> str:
    source = (
        "from typing import Any\n\nfrom pydantic import BaseModel\n\n\nclass Model(BaseModel):\n    x: int = 0\n\n    @classmethod\n"
        "    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:\n        deep: Any = {}\n"
        "        for _ in range(3000):\n            deep = {'properties': {'x': deep}}\n"
        "        return {'$ref': 'http://127.0.0.1:1/x', 'allOf': [deep], 'title': 7, 'properties': 'none', 'required': {}}\n\n\n"
        'def run(m: Model | None = None) -> Model | None:\n    """Take it."""\n    return m\n'
    )
    return _create(server, source)


@outside("has a schema of ten megabytes", _ANSWERED)
def large_schema(server: Server) -> str:
    source = (
        "from typing import Annotated\n\nfrom pydantic import Field\n\nTEXT = 'x' * 10_000_000\n\n\n"
        'def run(x: Annotated[str, Field(description=TEXT, examples=[TEXT])] = "") -> str:\n    """Take it."""\n    return x\n'
    )
    return _create(server, source)


@outside("has ten thousand parameters", _ANSWERED, costly=True)
def many_parameters(server: Server) -> str:
    names = ", ".join(f"p{n}=0" for n in range(10_000))
    return _create(server, f'def run({names}) -> int:\n    """Take them."""\n    return p1\n')


@outside("gives an example whose schema takes for ever", _ANSWERED, costly=True)
def pattern_of_example(server: Server) -> str:
    example = {"arguments": {"x": _LONG}, "match": "schema", "expect": {"type": "string", "pattern": _SLOW}}
    return _create(server, _ECHO, examples=[example])


@outside("gives an example whose schema is at an address, and one that refers to itself", _ANSWERED)
def references_of_example(server: Server) -> str:
    port = server.canaries.targets()["tcp"]
    schemas = [{"$ref": f"http://127.0.0.1:{port}/x"}, {"$ref": "#"}, {"$ref": f"file://{server.canaries.secret}"}]
    return _create(server, _ECHO, examples=[{"arguments": {}, "match": "schema", "expect": one} for one in schemas])


@outside("gives an example that never ends", _ANSWERED, costly=True)
def endless_example(server: Server) -> str:
    source = 'def run() -> int:\n    """Go on."""\n    while True:\n        pass\n'
    return _create(server, source, examples=[{"arguments": {}, "expect": 1}])


@outside("gives ten thousand mocks, and mocks that are deep", _ANSWERED)
def many_mocks(server: Server) -> str:
    deep: Any = 1
    for _ in range(90):
        deep = [deep]
    mocks = [{"call": "workflows.echo", "arguments": {"number": n}, "result": n} for n in range(10_000)]
    mocks += [{"call": "ask", "result": deep}, {"call": "\x1b[2J\u202e", "error": "x" * 100_000}]
    return _create(server, _ECHO, examples=[{"arguments": {}, "expect": "", "mocks": mocks}])


@outside("mocks a call of its own to reach the real one", _ANSWERED)
def mocks_of_others(server: Server) -> str:
    source = 'from repertoire import tools\n\n\ndef run() -> str:\n    """Fetch."""\n    return tools.fetch(url="http://127.0.0.1/")["text"]\n'
    mocks = [{"call": "tools.*", "result": {}}, {"call": "", "result": 1}, {"call": "step", "result": 1}]
    return _create(server, source, examples=[{"arguments": {}, "expect": "", "mocks": mocks}])


@outside("declares options that are none", ("refused .*",))
def options(server: Server) -> str:
    found = []
    for text in (
        '{"timeout_s": 1e999}',
        '{"timeout_s": -1}',
        '{"budget": {"calls": 10**30}}',
        '{"tags": [[]]}',
        "run",
        '{"tools": ["a;b"]}',
    ):
        outcome = _create(server, f"__workflow__ = {text}\n{_ECHO}")
        if not outcome.startswith("refused"):
            found.append(f"{text}: {outcome}")
    return "; ".join(found) or "refused all"


@outside("sends a source that is nested so deeply that a parser could fall over", ("refused .*",))
def deep_source(server: Server) -> str:
    found = []
    for name, text in {
        "parentheses": "(" * 50_000 + ")" * 50_000, "signs": "-" * 100_000 + "1", "attributes": "x" + ".x" * 50_000,
        "calls": "f" + "()" * 50_000, "lists": "[" * 90 + "1" + "]" * 90 + "[0]" * 50_000, "words": "not " * 50_000 + "1",
        "powers": "1" + "**1" * 40_000, "lambdas": "lambda: " * 20_000 + "1", "ifs": "1 if 1 else " * 15_000 + "1",
    }.items():  # fmt: skip
        outcome = _create(server, f'def run() -> int:\n    """Be deep."""\n    return {text}\n')
        if not outcome.startswith(("refused", "published")):
            found.append(f"{name}: {outcome}")
    return "; ".join(found) or "refused or read all"


@outside("sends sources that are no text", ("refused .*",))
def odd_source(server: Server) -> str:
    found = []
    for text in (
        "\0", "\ud800", "# -*- coding: utf-7 -*-\n+AGkAbQBwAG8AcgB0-", "def run(): return " + "9" * 200_000, "\x0c" * 1000, "\u202e" * 1000,
        "def run():\n" + "    if 1:\n" * 200 + "pass", "from __future__ import braces", "def run(): return f'{" + "{" * 5000, "return 1", "",
    ):  # fmt: skip
        outcome = _create(server, text)
        if not outcome.startswith("refused"):
            found.append(f"{text[:40]!r}: {outcome}")
    return "; ".join(found) or "refused all"


@outside("gives arguments a hundred thousand deep, and numbers that are none", ("refused .*", "completed .*", *FAILED))
def deep_arguments(server: Server) -> str:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    with contextlib.suppress(AssertionError):  # the line is refused before its id is read
        server.tool("run_workflow", name="echo", arguments={"number": deep})
    return server.outcome(server.tool("run_workflow", name="echo", arguments={"number": 10**4000}))


@outside("does all its work when it is loaded, at creation", _ANSWERED, costly=True)
def busy_module(server: Server) -> str:
    return _create(server, f"while True:\n    pass\n\n\n{_ECHO}")


@outside("ends the process that loads it", ("refused .*",))
def exiting_module(server: Server) -> str:
    return _create(server, f"import os\n\nos._exit(0)\n\n\n{_ECHO}")


@outside("reads a secret when it is loaded, and tells it in its schema", _ANSWERED)
def telling_module(server: Server) -> str:
    source = (
        "from typing import Annotated\n\nfrom pydantic import Field\n\ntry:\n"
        f"    TEXT = open({str(server.canaries.secret)!r}).read()\nexcept OSError:\n    TEXT = 'nothing'\n\n\n"
        'def run(x: Annotated[str, Field(description=TEXT)] = "") -> str:\n    """Take it."""\n    return x\n'
    )
    outcome = _create(server, source)
    server.tool("get_workflow", name="attack_schema")
    return outcome
