"""Rules for docstrings: search and callers know a workflow only by its docstring; used by `remarks`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Final

from ...model.workflow_version import Finding
from ...signature.docstring import parameter_descriptions
from ..class_finder import last_name
from .entry_points import EntryPoint
from .findings import finding, name_list
from .tree import Function, written

_MOST_CHARS: Final = 10_000
"""Characters of a docstring that are read."""
_MOST_SHOWN: Final = 8
_MORE_WORDS: Final = 5
"""A description with twice the words of another, and at least so many more, says more."""
_VAGUE: Final = re.compile(r"(dict|Dict|list|List|tuple|Any|object)(\[.*\b(Any|object|dict|Dict)\b.*)?")


def documentation(entry: EntryPoint, inside: list[ast.AST], tree: ast.Module) -> Iterator[Finding]:
    function, kind = entry.function, entry.of_class
    own, module = _docstring(function), _docstring(tree)
    if not (module or (entry.description if kind else own)):
        where = f"class {kind.name}" if kind else f"`{function.name}`"
        arguments = "" if kind else _section("\n\nArgs", [one.arg for one in entry.parameters], "What it is.")
        yield finding(
            kind or function,
            "no_docstring",
            "There is no docstring. It is the description, unless one was given, and its Args describe the parameters.",
            f'Begin {where} with """What it does, in one sentence.{arguments}"""',
        )
        return
    if not kind and module and _says_more(own, module):
        yield finding(
            function,
            "fuller_docstring",
            f"The module's docstring is the description. That of `{function.name}` says more, and search does not read it.",
            "Say all of it in the module's docstring, or leave that one out.",
        )
    doc = own or module
    described = parameter_descriptions(doc)
    undescribed = [one.arg for one in entry.parameters if one.arg not in described and not _describes_itself(one)]
    if undescribed:
        yield finding(
            function,
            "undescribed_parameter",
            f"The docstring says nothing of {name_list(undescribed)}.",
            _section("Args", undescribed, "What it is, and what else it may be."),
        )
    result = "" if kind else written(function.returns)
    plain = re.sub(r"\s|typing\.|\|None|^Optional\[|^['\"]|['\"]$", "", result)
    if _VAGUE.fullmatch(plain) and not _has_section(doc, "Returns|Yields"):
        yield finding(
            function,
            "undescribed_result",
            f"`{result}` does not say what is in the result, nor does the docstring.",
            "Returns:\n    A dict with `name` and `count`.\nOr return a dataclass: its fields become the output schema.",
        )
    causes = {last_name(one.exc) for one in inside if isinstance(one, ast.Raise) and one.exc is not None}
    raised = sorted(name for name in causes if name[:1].isupper())
    if raised and not _has_section(doc, "Raises"):
        yield finding(
            function,
            "undescribed_error",
            f"The docstring does not say when {name_list(raised)} is raised.",
            _section("Raises", raised, "When, and what to do then."),
        )


def _docstring(node: Function | ast.Module) -> str:
    text = ast.get_docstring(node, clean=False) or ""
    return inspect.cleandoc(text[:_MOST_CHARS].lstrip("\n")).strip()


def _says_more(doc: str, other: str) -> bool:
    """Whether the first paragraph says more than the other's."""
    count, others = (len(text.split("\n\n")[0].split()) for text in (doc, other))
    return count >= max(2 * others, others + _MORE_WORDS)


def _section(title: str, names: list[str], text: str) -> str:
    return f"{title}:" + "".join(f"\n    {name}: {text}" for name in names[:_MOST_SHOWN]) if names else ""


def _has_section(doc: str, titles: str) -> bool:
    """`Returns:`, `Returns` on a line of its own, `**Returns:**`, `:returns:`, `:return:`."""
    fields = "|".join(f"{title.lower()}?" for title in titles.split("|"))
    return (
        re.search(rf"^[ \t]*[#*_]*[ \t]*(?:{titles})[*_]*[ \t]*(?::|$)|:(?:{fields})\b", doc, re.M | re.I) is not None
    )


def _describes_itself(parameter: ast.arg) -> bool:
    """`Annotated[str, Field(description=...)]`."""
    return isinstance(parameter.annotation, ast.Subscript) and last_name(parameter.annotation) == "Annotated"
