"""Callers: whether calls of workflows fit the input schemas of those workflows, now and after a change; used by the service.

`unfit_calls` gives remarks on a new source. `change_problem` tells whether a new version breaks an existing call.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from ...model.workflow import Finding, name_of_file
from .called_names import Reference, References
from .findings import MOST_FINDINGS, name_list, select_findings
from .narrowing import Schema, narrower

_MOST_NAMES: Final = 2_000
"""Names compared with one that does not exist, to suggest what was meant."""
_MOST_SHOWN: Final = 10


def unfit_calls(
    references: References, known: Mapping[str, Schema], broken: Mapping[str, str] = MappingProxyType({})
) -> list[Finding]:
    """Calls that cannot succeed. `known` are input schemas by workflow name or alias. `broken` are files by workflow name, for workflows
    that cannot be loaded."""
    found: list[Finding] = []
    lines: set[int] = set()
    for one in references.workflows:
        schema = known.get(one.name, known.get(name_of_file(one.name)))
        if schema is not None:
            new = list(_unfit(one, schema))
        else:
            new = [] if one.name in references.own or one.line in lines else [_unknown(one, known, broken)]
        found += new
        lines.update([one.line] if new else [])
        if len(lines) >= MOST_FINDINGS:
            break
    return select_findings(found)


def change_problem(before: Schema, after: Schema, uses: Reference) -> str | None:
    """Why a call that fitted the input schema `before` no longer fits `after`, as a sentence. None if it fits, or if it cannot be told."""
    old, new = _properties(before), _properties(after)
    call = f"The call of `{uses.name}` in line {uses.line}"
    for keyword in uses.keywords:
        if keyword not in new and not _takes_others(after) and (keyword in old or _takes_others(before)):
            return f"{call} gives `{keyword}`, which is no longer a parameter."
    for name in [] if uses.open else _required(after):
        if name not in uses.keywords and name not in _required(before):
            return f"{call} does not give `{name}`, which is now required."
    for keyword in uses.keywords:
        if keyword in old and keyword in new and (why := narrower((old[keyword], before), (new[keyword], after))):
            return f"{call} gives `{keyword}`, which {why}."
    return None


def _unknown(one: Reference, known: Mapping[str, Schema], broken: Mapping[str, str]) -> Finding:
    if (file := broken.get(one.name)) is not None:
        return Finding(
            "unknown_workflow",
            "warning",
            f"The workflow `{one.name}` cannot be run: its file {file} is broken.",
            one.line,
            hint="list_workflows says under `broken` what is wrong with it.",
        )
    near = (name for name in known if name[:1] in one.name[:3] and abs(len(name) - len(one.name)) <= 4)
    hint = _similar_names(one.name, near) or "Publish that workflow first, or look for another with search_workflows."
    return Finding("unknown_workflow", "warning", f"There is no workflow `{one.name[:100]}`.", one.line, hint=hint)


def _unfit(one: Reference, schema: Schema) -> Iterator[Finding]:
    taken = list(_properties(schema))
    strange = [] if _takes_others(schema) else [keyword for keyword in one.keywords if keyword not in taken]
    if strange:
        takes = f"It takes {name_list(taken)}." if taken else "It takes no arguments."
        yield Finding(
            "unknown_argument",
            "warning",
            f"`{one.name}` has no parameter {name_list(strange)}.",
            one.line,
            hint=f"{_similar_names(strange[0], iter(taken))} {takes}".strip(),
        )
    lacking = [] if one.open else [name for name in _required(schema) if name not in one.keywords]
    if lacking:
        given = [name for name in one.keywords if name in taken]
        call = ", ".join(f"{name}=..." for name in [*given, *lacking][:_MOST_SHOWN])
        yield Finding(
            "missing_argument",
            "warning",
            f"`{one.name}` needs {name_list(lacking)}, which this call does not give.",
            one.line,
            hint=f"workflows.invoke({one.name!r}, {call})",
        )


def _similar_names(name: str, names: Iterator[str]) -> str:
    """`Is it this or that?`, or an empty string."""
    close = difflib.get_close_matches(name[:100], list(islice(names, _MOST_NAMES)), n=3, cutoff=0.6)
    return f"Is it {' or '.join(f'`{one}`' for one in close)}?" if close else ""


def _properties(schema: Schema) -> Schema:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _required(schema: Schema) -> tuple[str, ...]:
    return tuple(schema.get("required") or ())


def _takes_others(schema: Schema) -> bool:
    return schema.get("additionalProperties", True) is not False
