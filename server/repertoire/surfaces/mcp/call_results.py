"""Call results: runs, values and errors as CallToolResults; used by call_tool.py, tasks.py and questions.py.

Each has the same JSON as text and as structured content, because clients show the model one or the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ...errors import Refused, RepertoireError
from ...model.run import Run
from ...service import Service
from .artifact_images import images_in
from .next_calls import after_answer, after_failure, after_refusal
from .tool_listings import Listing

ToolResult = dict[str, Any]
"""A CallToolResult in wire form: the SDK checks it in both forms, and need not dump it first."""

_NOT_AS_LISTED: Final = (
    "The run is completed, but result{place} does not fit the output schema that this tool lists, so the result is left out here. "
    "get_run(run_id) gives it. Do not run it again."
)
_ANSWERED_BY: Final = {
    (False, True): "Ask a person",
    (True, False): "Its agent asks your own model: write the reply yourself, as text or {content, tool_calls}",
    (
        True,
        True,
    ): "For a question of kind model write the reply yourself, as text or {content, tool_calls}, and ask a person the others",
}
"""How the questions are answered, by whether some are for the caller's model and some for people."""
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


def answer_with(payload: dict[str, Any], *, is_error: bool = False) -> ToolResult:
    text = json.dumps(payload, ensure_ascii=False)
    content = [{"type": "text", "text": text}]
    return {"resultType": "complete", "content": content, "structuredContent": payload, "isError": is_error}


def answer_in_text(text: str) -> ToolResult:
    """A page to read: no JSON, in which its lines would be hard to read."""
    return {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": False}


async def answer_of_run(
    service: Service, run: Run, listing: Listing | None = None, note: str | None = None
) -> ToolResult:
    """The result of a call whose run stands like this: the envelope, an error when the run has failed.

    `listing`: the called tool, when it is the workflow's own. Clients discard a result that does not fit its output schema.
    `note`: why the call is answered although the run goes on. The server ends then, so nothing is read from the store for it.
    """
    envelope = service.runs.envelope(run) if note else await service.runs.report(run)
    if (
        listing is not None
        and envelope["result"] is not None
        and (place := _misfit(listing, envelope["result"])) is not None
    ):
        envelope = {
            **service.runs.envelope(run, without_result=True),
            "message": _NOT_AS_LISTED.format(place=place[:200]),
        }
    envelope = with_next(envelope, after_failure(run))
    if note and run.status == "working":
        envelope = {**envelope, "message": f"{note} Ask get_run(run_id, wait_s) for its result."}
    answer = answer_with(envelope, is_error=run.is_final and run.status != "completed")
    return await showing_images(service, run.principal, answer)


async def showing_images(service: Service, principal: str, answer: ToolResult) -> ToolResult:
    """The answer with the images that its result names."""
    if (result := answer["structuredContent"].get("result")) is not None:
        answer["content"] += await images_in(service, principal, result)
    return answer


def _misfit(listing: Listing, result: Any) -> str | None:
    try:
        return listing.misfit(result)
    except RecursionError:
        return ""


def adding_next(answer: dict[str, Any], call: str | None) -> dict[str, Any]:
    return answer if call is None else {**answer, "next": call}


def with_next(envelope: dict[str, Any], call: str | None = None) -> dict[str, Any]:
    """Add the next call, and how to answer when a run waits for an answer: this client has no form for it."""
    envelope = adding_next(envelope, after_answer(envelope) or call)
    if envelope.get("status") == "input_required":
        questions = envelope.get("questions", ())
        how, call = "an answer", "answer_run(run_id, answer)"
        if len(questions) > 1:
            how, call = "answers", "answer_run(run_id, answer, question_id) for each question"
        to_model = sum(question.get("kind") == "model" for question in questions)
        first = _ANSWERED_BY[bool(to_model), to_model < len(questions) or not to_model]
        return {
            **envelope,
            "message": f"The run waits for {how}. {first}, then call {call}; that call also waits for the run and gives its result.",
        }
    if envelope.get("status") == "working" and "message" not in envelope:
        return {**envelope, "message": "The run goes on by itself."}
    return envelope


def refusal(
    name: str, error: RepertoireError, arguments: Mapping[str, Any] = _NONE, takes: Mapping[str, Any] = _NONE
) -> ToolResult:
    """The result of a call that did not become a run: an error alone, and the call to make instead. `takes`: a fixed tool's schema."""
    payload: dict[str, Any] = {"error": fault_of(error), **(error.details if isinstance(error, Refused) else {})}
    return answer_with({**payload, "next": after_refusal(name, arguments, error, takes)}, is_error=True)


def fault_of(error: RepertoireError) -> dict[str, Any]:
    """A refusal as callers see it."""
    fault: dict[str, Any] = {
        "code": error.code,
        "type": type(error).__name__,
        "message": error.message,
        "line": None,
        "hint": error.hint,
    }
    if isinstance(error, Refused):
        fault |= {"code": error.reason, "line": error.line, "column": error.column}
    return fault
