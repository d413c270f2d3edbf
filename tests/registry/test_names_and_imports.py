"""Findings on names, imports, packages and calls of ours: what to write instead, or nothing. Without a server."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import Any

import pytest

import repertoire
from repertoire.authoring import ambient, durable
from repertoire.authoring.call_forms import FORMS, misuse
from repertoire.model.workflow_version import Finding
from repertoire.registry.review import bad_imports, explain_names, review
from repertoire.registry.review.ruff import GLOBALS
from repertoire.registry.review.unknown_names import AMBIENT, EXPORTED
from repertoire.registry.source import unwrapped
from repertoire.signature.docstring import parameter_descriptions

KNOWN: dict[str, dict[str, Any]] = {
    "csv_text_to_rows": {"properties": {"text": {}, "header": {}}, "required": ["text"]},
    "add": {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
}


def explained(name: str, source: str = "def run(): pass\n") -> Finding:
    undefined = Finding("ruff:F821", "warning", f"Undefined name `{name}`", 1, 1, "See https://docs.astral.sh")
    (one,) = explain_names([undefined], ast.parse(source), KNOWN)
    assert one.rule == "ruff:F821" and one.hint is not None and "http" not in one.hint
    return one


def imported(source: str, *beside: str) -> list[Finding]:
    return bad_imports(ast.parse(source), source, KNOWN, lambda name: name in beside)


def test_g1_a_workflow_called_as_a_function_is_answered_with_its_call() -> None:
    one = explained("csv_text_to_rows")
    assert "is a workflow" in one.message and one.hint == "Call it: workflows.csv_text_to_rows(text=...)."
    assert explained("add").hint == "Call it: workflows.add(a=..., b=...)."


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CallError", "from repertoire import CallError"),
        ("json", "import json"),
        ("Path", "from pathlib import Path"),
        ("Literal", "from typing import Literal"),
        ("pydantic", "import pydantic"),
        ("sesion_state", "Is it `session_state`?"),
        ("csv_text_to_row", "Is it the workflow `csv_text_to_rows`? Call it: workflows.csv_text_to_rows(text=...)."),
        ("call_workflow", "Is it `workflows`?"),
        ("durable_step", "Is it `step`?"),
        ("totl", "Is it `total`?"),
        ("zzzz_unheard_of", "Without an import there are"),
    ],
)
def test_g1_an_undefined_name_says_what_to_write(name: str, hint: str) -> None:
    assert hint in str(explained(name, "def run():\n    total = 1\n").hint)


def test_g1_the_names_without_an_import_are_one_list() -> None:
    assert set(AMBIENT) <= set(GLOBALS) and set(AMBIENT) <= set(EXPORTED) <= set(repertoire.__all__)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("from workflows import csv_text_to_rows\n", "workflows.csv_text_to_rows(text=...)"),
        ("import workflows\n", "workflows.NAME(argument=...)"),
        ("from csv_text_to_rows import run\n", "call it: workflows.csv_text_to_rows(text=...)"),
        ("import csv_text_to_rows as rows\n", "call it: workflows.csv_text_to_rows(text=...)"),
        ("def run():\n    from add import run as plus\n", "call it: workflows.add(a=..., b=...)"),
        ("import tools\n", "use `tools` as it is"),
        ("from session_state import session_state\n", "use `session_state` as it is"),
        ("import step\n", "use `step` as it is"),
    ],
)
def test_g2_an_import_of_our_own_names_never_advises_a_package(source: str, hint: str) -> None:
    (one,) = imported(source)
    assert one.rule == "unknown_import" and hint in str(one.hint) and "pip" not in f"{one.message} {one.hint}"


def test_g2_a_module_beside_the_file_is_not_taken_for_a_workflow() -> None:
    assert imported("import csv_text_to_rows\n", "csv_text_to_rows") == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("call_workflow", "workflows"),
        ("run_workflow", "workflows"),
        ("durable_step", "step"),
        ("activity", "step"),
        ("ask_user", "ask"),
        ("state", "session_state"),
        ("wait", "sleep"),
        ("Workflows", "workflows"),
    ],
)
def test_g3_a_name_that_repertoire_lacks_is_answered_with_those_that_it_has(name: str, nearest: str) -> None:
    (one,) = imported(f"from repertoire import step, {name}\n")
    assert one.message == f"`repertoire` has no name `{name}`." and str(one.hint).startswith(f"Is it `{nearest}`?")
    assert all(known in str(one.hint) for known in EXPORTED)


def test_g3_a_module_that_repertoire_lacks_is_answered_too() -> None:
    (one,) = imported("from repertoire.workflows import invoke\n")
    assert one.message == "There is no module `repertoire.workflows`." and "Is it `workflows`?" in str(one.hint)
    assert imported("from repertoire import step, ask, CallError, __version__\nimport repertoire\n") == []


@pytest.mark.parametrize(
    "source",
    [
        "import no_such_package\n",
        "from no_such_package.part import x\n",
        "def run():\n    import no_such_package\n",
        "class A:\n    def run(self):\n        if self:\n            from no_such_package import x\n",
        "def run(x):\n    match x:\n        case 1:\n            import no_such_package\n",
        "try:\n    pass\nexcept ImportError:\n    import no_such_package\n",
        "async def run():\n    async with x:\n        import no_such_package as other\n",
    ],
)
def test_g17_a_package_that_is_missing_is_found_wherever_its_import_stands(source: str) -> None:
    (one,) = imported(source)
    assert one.rule == "missing_package" and one.message.startswith("`no_such_package` is not installed")
    hint = str(one.hint)
    assert f"who can install it: {sys.executable} -m pip install PACKAGE" in hint
    assert "the distribution that has no_such_package" in hint
    assert "Installed are" in hint and "pydantic" in hint


@pytest.mark.parametrize(
    "source",
    [
        "import json, os.path\nfrom collections import abc\nimport pydantic\n",
        "try:\n    import no_such_package\nexcept ImportError:\n    no_such_package = None\n",
        "try:\n    import no_such_package\nexcept (KeyError, ModuleNotFoundError):\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such_package\n",
        "from . import no_such_package\n",
        "from agno.workflow import Workflow\n",
        '"""# /// script"""\n',
        '# /// script\n# dependencies = ["pydantic>=2", "python-ulid"]\n# ///\n',
    ],
)
def test_g17_what_can_be_imported_or_may_fail_is_no_finding(source: str) -> None:
    assert imported(source) == []


def test_g17_a_package_under_another_name_and_a_misspelt_one_are_recognised() -> None:
    (near,) = imported("import pydantik\n")
    assert str(near.hint).startswith("Is it `pydantic`")
    (other,) = imported("import cv2\n")
    assert "pip install opencv-python" in str(other.hint)
    (package,) = imported("import python_ulid\n")
    assert package.hint == "That package is installed, and is imported as `ulid`."


def test_g17_the_dependencies_of_a_header_are_read_and_named() -> None:
    header = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#   "no-such-one>=2",\n#   "pydantic",\n# ]\n# ///\n'
    (one,) = imported("# Written by a model.\n" + header + "def run(): pass\n")
    assert (one.rule, one.line) == ("missing_package", 2)
    assert (
        "`no-such-one`" in one.message and "pydantic" not in one.message and "pip install no-such-one" in str(one.hint)
    )
    once = imported('# /// script\n# dependencies = ["cowsayer"]\n# ///\nimport cowsayer\n')
    assert [one.line for one in once] == [4], "said where it is imported, not twice"
    (bad,) = imported("# /// script\n# dependencies = [\n# ///\n")
    assert "is not TOML" in bad.message


def remarks(source: str, rule: str) -> list[Finding]:
    return [one for one in review(ast.parse(source), source) if one.rule == rule]


@pytest.mark.parametrize("call", ["input()", "input('Name?')", "getpass.getpass()"])
def test_g18_a_question_at_a_terminal_is_answered_with_ask(call: str) -> None:
    (one,) = remarks(f"import getpass\ndef run():\n    return {call}\n", "no_terminal")
    assert "ask(" in str(one.hint)
    assert remarks("def run(input):\n    return input()\n", "no_terminal") == []


@pytest.mark.parametrize(
    ("call", "strange"),
    [
        ("ask('Which?', choices=['a', 'b'])", "choices"),
        ("await ask('Which?', options=['a'])", "options"),
        ("sleep(minutes=5)", "minutes"),
        ("progress(percent=50)", "percent"),
        ("repertoire.ask('x', default=1)", "default"),
    ],
)
def test_g18_a_wrong_argument_of_a_function_of_ours_shows_its_form(call: str, strange: str) -> None:
    (one,) = remarks(f"import repertoire\nasync def run():\n    {call}\n", "unknown_argument")
    assert f"`{strange}`" in one.message and "It is called as " in str(one.hint)
    assert "ask" not in call or 'Literal["a", "b"]' in str(one.hint)


def test_g18_right_calls_and_functions_of_the_authors_own_are_no_finding() -> None:
    good = "ask('x', bool, expires_s=5); sleep(seconds=1); progress(1, total=2, message='x'); now(); ask(**options)"
    assert remarks(f"def run(options):\n    {good}\n", "unknown_argument") == []
    assert remarks("def ask(x, choices): ...\ndef run():\n    ask(1, choices=[])\n", "unknown_argument") == []
    assert remarks("from questionary import ask\ndef run():\n    ask(1, choices=[])\n", "unknown_argument") == []


def test_g18_the_forms_are_those_of_the_functions() -> None:
    functions: dict[str, Any] = {
        "ask": durable._ask,
        "sleep": durable._sleep,
        "now": durable._now,
        "progress": ambient.progress,
        "commit_state": ambient.commit_state,
    }
    for name, form in FORMS.items():
        signature = inspect.signature(functions[name])
        plain = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
        assert form == f"{name}{inspect.Signature(plain)}"


def test_g18_the_error_of_a_run_shows_the_form_too() -> None:
    told = misuse("_aask() got an unexpected keyword argument 'choices'")
    assert told is not None and told[0] == "ask() got an unexpected keyword argument 'choices'"
    assert "ask(question, schema=None, *, expires_s=None)" in told[1]
    assert misuse("task() got an unexpected keyword argument 'choices'") is None


PLAIN = "def run(n: int) -> int:\n    return n\n"


@pytest.mark.parametrize(
    "wrapped",
    [
        f"```python\n{PLAIN}```",
        f"```\n{PLAIN}```\n",
        f"Here is it:\n\n```py\n{PLAIN}```\nIt gives back n.",
        f"~~~python\n{PLAIN}~~~",
        f"```python\n{PLAIN}",
        "    ```python\n" + "".join(f"    {line}\n" for line in PLAIN.splitlines()) + "    ```",
        "".join(f"    {line}\n" for line in PLAIN.splitlines()),
    ],
)
def test_g18_a_fence_around_a_source_is_taken_off(wrapped: str) -> None:
    assert unwrapped(wrapped, 10_000) == PLAIN


def test_g18_a_source_that_parses_keeps_its_fences() -> None:
    source = f'"""Say how.\n\n```python\nx = 1\n```\n"""\n{PLAIN}'
    assert unwrapped(source, 10_000) == source
    assert unwrapped("def run(:\n", 10_000) == "def run(:\n"


@pytest.mark.parametrize(
    "section",
    [
        "Args\n    values: The numbers.\n    most: How many.",
        "Args:\n    values: The numbers.\n    most: How many.",
        "Arguments\n    values (list[int]): The numbers.\n    most (int, optional): How many.",
        "ARGS:\n- values: The numbers.\n- most: How many.",
        "**Args:**\n\n- `values`: The numbers.\n- `most`: How many.",
        "Parameters\n    values - The numbers.\n    most - How many.",
        "## Parameters\n* **values**: The numbers.\n* **most**: How\n  many.",
        "Parameters\n----------\nvalues : list\n    The numbers.\nmost : int\n    How many.",
    ],
)
def test_g18_args_are_read_in_each_form(section: str) -> None:
    doc = f"Do it.\n\n{section}\n\nIt gives a number: the result.\n"
    assert parameter_descriptions(doc) == {"values": "The numbers.", "most": "How many."}


def test_g18_no_section_is_no_description() -> None:
    assert parameter_descriptions("Do it.\n\nThe inputs: some of them.\nvalues: no section.\n") == {}
