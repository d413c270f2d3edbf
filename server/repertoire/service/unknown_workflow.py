"""Unknown workflow: the error for a name that no published workflow has, with the reason or near names; used by Library.

The reasons: its file is broken, it was deleted, or it has only a draft.
"""

from __future__ import annotations

from ..errors import UnknownWorkflow
from ..model.example import Checked
from ..model.run import iso
from ..model.workflow_version import WorkflowVersion
from ..registry.caller_view import View
from ..store.publications import Publication


def unknown_workflow(name: str, view: View) -> UnknownWorkflow:
    for file in view.broken:
        if file.name == name and file.findings:
            finding = file.findings[0]
            line = "" if finding.line is None else f", line {finding.line}"
            return UnknownWorkflow(
                f"The workflow {name!r} cannot be run: {file.path}{line}: {finding.message}",
                finding.hint or "Correct that file.",
            )
    close = view.close_to(name)
    hint = f"Did you mean {' or '.join(close)}?" if close else "search_workflows and list_workflows show what there is."
    return UnknownWorkflow(f"There is no workflow {name[:100]!r}.", hint, close=close)


def deleted_workflow(name: str, line: Publication) -> UnknownWorkflow:
    return UnknownWorkflow(
        f"The workflow {name!r} was deleted by {line.client or line.principal or 'somebody'} at {iso(line.at)}.",
        f"Its version {line.hash[:12]} can be published again.",
        deleted=line.hash[:12],
    )


def only_a_draft(draft: WorkflowVersion, checked: Checked) -> UnknownWorkflow:
    """`checked`: how its examples went."""
    short, begin = draft.short, f"The workflow {draft.name!r} has only a draft, {draft.short}"
    errors = [one for one in draft.findings if one.severity == "error"]
    if not draft.is_loaded and not draft.is_trusted:
        hint = f"Ask a person for: repertoire approve {draft.name} {short}"
        return UnknownWorkflow(f"{begin}: a person has to approve it.", hint, draft=short, flaw="approval")
    correct = "Correct it, and create it again."
    if checked.problems:
        why = f"its examples failed: {checked.problems[0].message}"
        return UnknownWorkflow(f"{begin}: {why}", correct, draft=short, flaw="examples")
    if errors:
        return UnknownWorkflow(f"{begin}: it cannot work: {errors[0].message}", correct, draft=short, flaw="source")
    return UnknownWorkflow(f"{begin}: it was never published.", "Publish that draft first.", draft=short)
