"""Callers: whether calls of workflows fit the input schemas of those workflows, now and after a change; used by the service.

`unfit_calls` gives remarks on a new source. `change_problem` tells whether a new version breaks an existing call.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final, Literal

import msgspec

from ...model.workflow_version import Finding, name_of_file
from .argument_fit import fit
from .called_names import Reference, References
from .findings import MOST_FINDINGS, name_list, select_findings
from .given_values import Given
from .narrowing import Schema, kinds_text, narrower, takes

_MOST_NAMES: Final = 2_000
"""Names compared with one that does not exist, to suggest what was meant."""
_MOST_SHOWN: Final = 10
Severity = Literal["error", "warning"]


class Draft(msgspec.Struct, frozen=True):
    """A version that may be published next, with its input schema."""

    version: str
    schema: Schema


class Known(msgspec.Struct, frozen=True):
    """The workflows that a new source may call: `schemas` are input schemas by name or alias.

    `broken` are files by the name of a workflow that cannot be loaded. `elsewhere` are names that only other callers see. `drafts` are
    those that were kept after the published version, by name.
    """

    schemas: Mapping[str, Schema]
    broken: Mapping[str, str] = {}
    elsewhere: Collection[str] = ()
    drafts: Mapping[str, Draft] = {}

    def schema(self, name: str) -> Schema | None:
        return self.schemas.get(name, self.schemas.get(name_of_file(name)))


def unfit_calls(references: References, known: Known) -> list[Finding]:
    """Calls that cannot succeed. An error is one that a run certainly makes; the others are warnings."""
    found: list[Finding] = []
    lines: set[int] = set()
    for one in references.workflows:
        schema = known.schema(one.name)
        if schema is not None:
            new = _awaiting(one, list(_unfit(one, schema)), known.drafts.get(one.name))
        else:
            new = [] if one.name in references.own or one.line in lines else [_unknown(one, known)]
        found += new
        lines.update([one.line] if new else [])
        if len(lines) >= MOST_FINDINGS:
            break
    return select_findings(found)


class ChangeProblem(msgspec.Struct, frozen=True):
    """Why a call no longer fits, as a sentence. `is_certain`: False where the text does not tell which value is given."""

    text: str
    is_certain: bool = True


def change_problem(before: Schema, after: Schema, uses: Reference) -> ChangeProblem | None:
    """Why a call that fitted the input schema `before` no longer fits `after`. None if it fits, or did not fit before."""
    old, new = _properties(before), _properties(after)
    call = f"The call of `{uses.name}` in line {uses.line}"
    for keyword in uses.keywords:
        if keyword not in new and not _takes_others(after) and (keyword in old or _takes_others(before)):
            return ChangeProblem(f"{call} gives `{keyword}`, which is no longer a parameter.")
    for name in [] if uses.open else _required(after):
        if name not in uses.keywords and name not in _required(before):
            return ChangeProblem(f"{call} does not give `{name}`, which is now required.")
    problems = [_type_problem(keyword, before, after, uses) for keyword in uses.keywords if keyword in new]
    found = sorted((one for one in problems if one is not None), key=lambda one: not one.is_certain)
    return msgspec.structs.replace(found[0], text=f"{call} gives {found[0].text}") if found else None


def _type_problem(keyword: str, before: Schema, after: Schema, uses: Reference) -> ChangeProblem | None:
    """The call's own argument decides. Where the text does not tell what it is, the change of the type does."""
    old, new = _properties(before).get(keyword), _properties(after)[keyword]
    given = uses.given.get(keyword)
    now = fit(given, (new, after), is_optional=keyword not in _required(after))
    if now == "fits":
        return None
    if now == "refused" and given is not None:
        if old is not None and fit(given, (old, before), is_optional=keyword not in _required(before)) == "refused":
            return None
        return ChangeProblem(f"`{keyword}` {_shown(given)}, which it no longer takes: it takes {takes((new, after))}.")
    if old is None or not (why := narrower((old, before), (new, after))):
        return None
    return ChangeProblem(f"`{keyword}`, which {why}.", is_certain=False)


def _unknown(one: Reference, known: Known) -> Finding:
    name = one.name[:100]
    if (file := known.broken.get(one.name)) is not None:
        return Finding(
            "unknown_workflow",
            "warning",
            f"The workflow `{name}` cannot be run: its file {file} is broken.",
            one.line,
            hint="list_workflows says under `broken` what is wrong with it.",
        )
    severity: Severity = "error" if one.is_certain and one.name not in known.elsewhere else "warning"
    if (draft := known.drafts.get(one.name)) is not None:
        hint = f"It is a draft: publish_workflow({one.name!r}, {draft.version!r}) first."
        return Finding("unknown_workflow", severity, f"There is no workflow `{name}` yet.", one.line, hint=hint)
    near = (each for each in known.schemas if each[:1] in one.name[:3] and abs(len(each) - len(one.name)) <= 4)
    hint = _similar_names(one.name, near) or "Publish that workflow first, or look for another with search_workflows."
    return Finding("unknown_workflow", severity, f"There is no workflow `{name}`.", one.line, hint=hint)


def _awaiting(one: Reference, found: list[Finding], draft: Draft | None) -> list[Finding]:
    """The findings; if a draft of the callee takes the call, one that names it. Then the author changes the caller first, and the callee
    next: nothing stops that."""
    if not found or draft is None or not draft.schema or next(_unfit(one, draft.schema), None) is not None:
        return found
    hint = (
        f"The draft {draft.version} of `{one.name}` takes it: publish_workflow({one.name!r}, {draft.version!r}) next."
    )
    return [msgspec.structs.replace(found[0], severity="warning", hint=hint)]


def _unfit(one: Reference, schema: Schema) -> Iterator[Finding]:
    severity: Severity = "error" if one.is_certain else "warning"
    taken = list(_properties(schema))
    if one.is_positional:
        call = ", ".join(f"{name}=..." for name in taken[:_MOST_SHOWN])
        yield Finding(
            "positional_argument",
            severity,
            f"`{one.name}` is called with an argument that has no name: name the arguments.",
            one.line,
            hint=f"workflows.{one.name}({call})"
            if one.name.isidentifier()
            else f"workflows.invoke({one.name!r}, {call})",
        )
    strange = [] if _takes_others(schema) else [keyword for keyword in one.keywords if keyword not in taken]
    if strange:
        yield Finding(
            "unknown_argument",
            severity,
            f"`{one.name}` has no parameter {name_list(strange)}.",
            one.line,
            hint=f"{_similar_names(strange[0], iter(taken))} {_parameters_text(taken)}".strip(),
        )
    lacking = [] if one.open else [name for name in _required(schema) if name not in one.keywords]
    if lacking:
        given = [name for name in one.keywords if name in taken]
        call = ", ".join(f"{name}=..." for name in [*given, *lacking][:_MOST_SHOWN])
        yield Finding(
            "missing_argument",
            severity,
            f"`{one.name}` needs {name_list(lacking)}, which this call does not give.",
            one.line,
            hint=f"workflows.invoke({one.name!r}, {call})",
        )
    yield from _wrong_types(one, schema)


def _wrong_types(one: Reference, schema: Schema) -> Iterator[Finding]:
    """A warning only: a type of the callee may read more than its schema says."""
    for keyword, given in one.given.items():
        into = _properties(schema).get(keyword)
        is_optional = keyword not in _required(schema)
        if into is not None and fit(given, (into, schema), is_optional=is_optional) == "refused":
            yield Finding(
                "wrong_argument",
                "warning",
                f"`{keyword}` of `{one.name}` is given {_shown(given)}: it takes {takes((into, schema))}.",
                one.line,
                hint=f"Give it what it takes, or change `{one.name}` and then this call.",
            )
            return


def _parameters_text(taken: list[str]) -> str:
    return f"It takes {name_list(taken)}." if taken else "It takes no arguments."


def _shown(given: Given) -> str:
    """A literal as it is written, or else the type."""
    if given.value is not msgspec.UNSET:
        return repr(given.value)[:60]
    return kinds_text(given.kinds) + (" of these items" if given.items else "")


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
