"""Call results: runs, values and errors as CallToolResults; used by call_tool.py, tasks.py and questions.py.

Each has the same JSON as text and as structured content, because clients show the model one or the other.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ...errors import Refused, RepertoireError
from ...model.run import Run
from ...model.workflow import FIXED_TOOLS
from ...service import Service
from .tool_listings import Listing

ToolResult = dict[str, Any]
"""A CallToolResult in wire form: the SDK checks it in both forms, and need not dump it first."""

_NOT_AS_LISTED: Final = (
    "The run is completed, but result{place} does not fit the output schema that this tool lists, so the result is left out here. "
    "get_run(run_id) gives it. Do not run it again."
)
_RUNNING = frozenset({"run_workflow", "get_run", "cancel_run", "answer_run"})


def answer_with(payload: dict[str, Any], *, is_error: bool = False) -> ToolResult:
    text = json.dumps(payload, ensure_ascii=False)
    content = [{"type": "text", "text": text}]
    return {"resultType": "complete", "content": content, "structuredContent": payload, "isError": is_error}


def answer_in_text(text: str) -> ToolResult:
    """A page to read: no JSON, in which its lines would be hard to read."""
    return {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": False}


def answer_of_run(service: Service, run: Run, listing: Listing | None = None, note: str | None = None) -> ToolResult:
    """The result of a call whose run stands like this: the envelope, an error when the run has failed.

    `listing`: the called tool, when it is the workflow's own. Clients discard a result that does not fit its output schema.
    `note`: why the call is answered although the run goes on.
    """
    envelope = service.runs.envelope(run)
    if (
        listing is not None
        and envelope["result"] is not None
        and (place := _misfit(listing, envelope["result"])) is not None
    ):
        envelope = {
            **service.runs.envelope(run, without_result=True),
            "message": _NOT_AS_LISTED.format(place=place[:200]),
        }
    envelope = what_to_do(envelope)
    if note and run.status == "working":
        envelope = {**envelope, "message": f"{note} Ask get_run(run_id, wait_s) for its result."}
    return answer_with(envelope, is_error=run.is_final and run.status != "completed")


def _misfit(listing: Listing, result: Any) -> str | None:
    try:
        return listing.misfit(result)
    except RecursionError:
        return ""


def what_to_do(envelope: dict[str, Any]) -> dict[str, Any]:
    """Add how to answer, when a run waits for an answer: this client has no form for it."""
    if envelope.get("status") != "input_required":
        return envelope
    message = "The run waits for an answer. Ask a person, then call answer_run(run_id, answer)"
    if len(envelope.get("questions", ())) > 1:
        message = "The run waits for answers. Ask a person, then call answer_run(run_id, answer, question_id) for each question"
    return {**envelope, "message": f"{message}; it goes on by itself, and get_run(run_id, wait_s) fetches its result."}


def refusal(name: str, error: RepertoireError) -> ToolResult:
    """The result of a call that did not become a run. Workflow tools promise the envelope, so the error is in one."""
    fault: dict[str, Any] = {
        "code": error.code,
        "type": type(error).__name__,
        "message": error.message,
        "line": None,
        "hint": error.hint,
    }
    if isinstance(error, Refused):
        fault |= {"code": error.reason, "line": error.line, "column": error.column}
    payload: dict[str, Any] = {"error": fault, **(error.details if isinstance(error, Refused) else {})}
    if name in _RUNNING or name not in FIXED_TOOLS:
        payload = {"run_id": None, "session_id": None, "status": "failed", "result": None, "error": fault}
    return answer_with(payload, is_error=True)
