"""Answers and refusals of create, publish and add: the JSON that a caller reads about a version; used by `Publishing` and `OwnFiles`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import anyio.to_thread
import msgspec

from ..errors import Refused
from ..model.example import Checked, Example
from ..model.needs import Needs
from ..model.workflow_version import Finding, WorkflowVersion
from ..registry.needs import needs_of
from ..registry.review import RULES_OF_IMPORTS
from ..registry.used_tools import permits

TAKES_TURNS: Final = Finding(
    "state_takes_turns",
    "info",
    "It keeps state, so runs of one session go one after another.",
    hint='Runs with session_id "new" go at once, each with a fresh state.',
)
ADD_EXAMPLES: Final = 'Create it again with examples=[{"arguments": {...}, "expect": ...}], or with from_run=RUN_ID after a run that went well.'

_MOST_ERRORS: Final = 3


async def version_answer(
    version: WorkflowVersion,
    checked: Checked,
    more: Sequence[Finding],
    *,
    status: str,
    isolation: str,
    needs: Needs | None = None,
) -> dict[str, Any]:
    """`more`: findings besides those of the version and its examples. `isolation`: of its runs. `needs`: of the version, if known."""
    turns = [TAKES_TURNS] if version.uses_state else []
    needs = await anyio.to_thread.run_sync(needs_of, version) if needs is None else needs
    return {
        "name": version.name,
        "version": version.short,
        "status": status,
        "description": version.description,
        "input_schema": version.input_schema,
        "output_schema": version.output_schema,
        "isolation": isolation,
        "needs": needs.public(),
        **({"tools": list(version.tools)} if version.tools else {}),
        "examples": checked.summary(),
        "findings": public_findings([*version.findings, *checked.problems, *more, *turns]),
    }


def public_findings(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [finding.public() for finding in findings]


def no_examples(published: bool) -> Finding:
    begin = "Published without an example" if published else "It has no example"
    return Finding("no_examples", "info", f"{begin}: nothing has shown that it does what it says.", hint=ADD_EXAMPLES)


def from_failed_run(name: str, example: Example) -> Finding:
    """The text of a failed run is kept as a draft: a workflow that fails is seldom what is wanted."""
    error = example.expect_error if isinstance(example.expect_error, str) else ""
    return Finding(
        "from_failed_run",
        "warning",
        f"That run failed ({error[:200].rstrip('.')}), so its text is kept as a draft, with an example that expects this error.",
        hint=f"Correct it: create_workflow({name!r}, source=..., examples=[...]). If the error is right: publish_workflow({name!r}).",
    )


def types_from_values(names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    message = f"The types of {', '.join(names)} were read off the values of that run."
    return [
        Finding(
            "types_from_values",
            "info",
            message,
            hint="If others are meant, create it again with replace=true and a source.",
        )
    ]


def tools_not_allowed(version: WorkflowVersion, listed: Collection[str]) -> list[Finding]:
    """Tools that a created workflow calls and may not: each such call will fail. `listed`: the setting `untrusted_tools`."""
    here = ", ".join(listed) or "none"
    return [
        Finding(
            "tool_not_allowed",
            "warning",
            f"tools.{one} is not among the tools that created workflows may use here: {here}.",
            hint="The operator can list it in the setting untrusted_tools.",
        )
        for one in version.tools or ()
        if not permits(listed, one)
    ]


def examples_failed(version: WorkflowVersion, checked: Checked, consequence: str) -> Refused:
    """`consequence`: a sentence that says what is kept or written of the version."""
    failed, first = len(checked.problems), checked.problems[0]
    return Refused(
        f"{failed} of {len(checked.examples)} examples do not hold: {first.message} {consequence}",
        first.hint,
        code="examples_failed",
        line=first.line,
        details={"findings": public_findings([*checked.problems[1:], *version.findings])},  # the first is the message
    )


def import_errors(version: WorkflowVersion) -> list[Finding]:
    """Those on imports that code may not have which no person has approved. `force` does not help here."""
    return [one for one in stopping(version.findings) if one.rule in RULES_OF_IMPORTS]


def free_to_import(version: WorkflowVersion) -> WorkflowVersion:
    """The version as it is for a person who approves it: then it may import all that is installed."""
    return msgspec.structs.replace(version, findings=tuple(_as_of_a_person(one) for one in version.findings))


def _as_of_a_person(one: Finding) -> Finding:
    if one.rule not in RULES_OF_IMPORTS:
        return one
    hint = (
        f"Only code that a person has approved may import it. {one.hint}"
        if one.rule == "import_not_allowed"
        else one.hint
    )
    return msgspec.structs.replace(one, severity="warning", hint=hint)


def imports_refused(version: WorkflowVersion, checked: Checked | None = None, status: str = "") -> Refused:
    """The refusal of a version for its imports. `checked`: it is kept, and its examples are these."""
    first, *_ = import_errors(version)
    kept = {} if checked is None else {"status": status, "version": version.short, "examples": checked.summary()}
    return Refused(
        first.message,
        first.hint,
        code="import_failed",
        line=first.line,
        column=first.column,
        file=first.file,
        details={**kept, "findings": public_findings(version.findings)},
    )


def stopping(findings: Sequence[Finding]) -> list[Finding]:
    """Those that stop publishing."""
    return [one for one in findings if one.severity == "error"]


def as_warnings(findings: Sequence[Finding]) -> list[Finding]:
    """The same, for a version that is published all the same."""
    return [msgspec.structs.replace(one, severity="warning") if one.severity == "error" else one for one in findings]


def cannot_work(version: WorkflowVersion, findings: Sequence[Finding], consequence: str) -> Refused:
    """`findings` are all of the version; their errors say why. `consequence`: a sentence that says what is kept or written of it."""
    errors = stopping(findings)
    said = " ".join(
        one.message if one.message.endswith((".", "?", "!")) else f"{one.message}." for one in errors[:_MOST_ERRORS]
    )
    first = errors[0]
    line = "" if first.line is None else f"Line {first.line}: "
    return Refused(
        f"It cannot work. {line}{said} {consequence}",
        f"{first.hint or 'Correct the source and create it again.'} With force=true it is published all the same.",
        code="cannot_work",
        line=first.line,
        details={"findings": public_findings([*errors, *(one for one in findings if one not in errors)])},
    )


def approval_required(version: WorkflowVersion, checked: Checked, why: str = "") -> Refused:
    """`why`: a sentence that says why it cannot run without."""
    return Refused(
        f"This server publishes only what a person has approved, and {version.short} waits for that. {why}".rstrip(),
        f"Ask a person for: repertoire approve {version.name} {version.short}",
        code="approval_required",
        details={
            "status": "draft",
            "version": version.short,
            "examples": checked.summary(),
            "findings": public_findings(version.findings),
        },
    )
