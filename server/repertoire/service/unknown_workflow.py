"""Unknown workflow: the error for a name that no published workflow has, with the reason or near names; used by Library."""

from __future__ import annotations

from ..errors import UnknownWorkflow
from ..registry.caller_view import View


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
