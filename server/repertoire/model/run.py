"""Run: one execution of a workflow, its events and questions, and the envelope that every client gets; used everywhere."""

from __future__ import annotations

import datetime
import json
from typing import Any, Final, Literal

import msgspec

from ..names import new_question_id
from ..text import cut, well_formed
from ..values.big_integers import is_readable
from ..wire import Fault
from .lifecycle import FINAL, Status

LISTED_CHARS: Final = 120
"""Characters of a run's arguments in a list of runs."""
SHOWN_CHARS: Final = 4_000
"""Longer arguments, as JSON text, are cut in the answer for one run."""

_MODEL_REQUEST: Final = "x-model-request"
"""Keyword beside the schema of a model's question: the request itself."""
_MODEL_QUESTION: Final = "m_"
"""The ids of models' questions begin so. The server makes the ids, so no body can ask such a question by `ask`."""

_MANY_PARTS: Final = (
    "The result has {chars:,} characters, in {parts} parts. To count or filter it, call "
    'run_code(source, arguments={{"found": {{"$ref": "run:///{run_id}"}}}}): in the source, `found` is the whole result.'
)

EventType = Literal[
    "run_start",
    "log",
    "progress",
    "text",
    "stream_reset",
    "item",
    "call_start",
    "call_end",
    "ask",
    "state",
    "resumed",
    "run_end",
]


class RunEvent(msgspec.Struct, frozen=True):
    """Numbered from 1 within its run, never reused. `at` is seconds since the epoch."""

    n: int
    type: EventType
    at: float
    data: dict[str, Any]

    def public(self) -> dict[str, Any]:
        return {"n": self.n, "type": self.type, "at": iso(self.at), "data": self.data}


class Question(msgspec.Struct, frozen=True):
    """A question of a run to people, or to the caller's own model. `schema` is the JSON Schema of the answer; times are seconds since the
    epoch."""

    id: str
    run_id: str
    question: str
    schema: dict[str, Any]
    asked_at: float
    expires_at: float | None = None

    @classmethod
    def to_model(
        cls, run_id: str, question: str, schema: dict[str, Any], request: dict[str, Any], *times: float
    ) -> Question:
        """A question to the caller's own model. It carries the request that the text `question` shows."""
        return cls(new_question_id(_MODEL_QUESTION), run_id, question, {**schema, _MODEL_REQUEST: request}, *times)

    @property
    def request(self) -> dict[str, Any] | None:
        """The request to the caller's own model; None: the question is for people."""
        return self.schema[_MODEL_REQUEST] if self.id.startswith(_MODEL_QUESTION) else None

    def public(self) -> dict[str, Any]:
        kind, schema = {}, self.schema
        if self.request is not None:
            kind, schema = {"kind": "model"}, {key: value for key, value in schema.items() if key != _MODEL_REQUEST}
        return {
            "id": self.id,
            **kind,
            "question": self.question,
            "schema": schema,
            "asked_at": iso(self.asked_at),
            "expires_at": iso(self.expires_at),
        }


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one version. `arguments` and `result` are JSON texts; times are seconds since the epoch.

    `parent` is the run whose call `parent_path` this one is, `root` the run at the top of that tree (itself, at the top).
    """

    id: str
    workflow: str
    version: str
    session_id: str
    principal: str
    status: Status = "working"
    arguments: str = "{}"
    result: str | None = None
    error: Fault | None = None
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    waiting_for: str | None = None
    last_event: int = 0
    parent: str | None = None
    parent_path: str | None = None
    root: str | None = None
    depth: int = 0
    rerun_of: str | None = None
    roots: tuple[str, ...] = ()
    """The workflow folders of its caller, best first. Workflows that it calls by name are looked up there, also after a resume."""
    cwd: str | None = None
    """The caller's working folder. Trusted code runs in it."""
    client: str = ""
    """The own name of the client program that started it, or the run above it."""
    remark: str | None = None
    """What is different in the result because JSON cannot hold it."""
    is_example: bool = False
    """A run that checks an example: it is listed nowhere, and found only by its id."""
    questions: tuple[Question, ...] = ()
    claim: int = 1
    """The number of the current or last body. A write with an earlier number is refused."""
    resumed: int = 0
    """How often its body was begun again, because a worker or a server had ended under it."""

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_settled(self) -> bool:
        """Whether it has ended or waits for an answer: it does not go on by itself."""
        return self.status != "working"

    @property
    def top(self) -> str:
        return self.root or self.id

    def summary(self) -> dict[str, Any]:
        """A row of a list of runs."""
        shown = _as_shown(self.arguments)
        row: dict[str, Any] = {
            "run_id": self.id,
            "workflow": self.workflow,
            "version": self.version[:12],
            "session_id": self.session_id,
            "client": self.client,
            "status": self.status,
            "arguments_preview": cut(shown, LISTED_CHARS, "…"),
            "arguments_cut": len(shown) > LISTED_CHARS,
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "ended_at": iso(self.ended_at),
        }
        row |= self.duration()
        if self.error is not None:
            row["error"] = public_error(self.error)
        if self.parent is not None:
            row["parent"] = self.parent
        if self.waiting_for is not None and not self.is_final:
            row["message"] = f"waiting for {self.waiting_for}"
        return row

    def duration(self) -> dict[str, Any]:
        """`duration_s`: from its start to its end. Nothing of a run that has not begun, or not ended."""
        if self.started_at is None or self.ended_at is None:
            return {}
        return {"duration_s": round(self.ended_at - self.started_at, 6)}

    def origin(self) -> dict[str, Any]:
        """Where it came from: workflow, version, client and arguments. Long arguments are null, with a preview of their JSON text, and
        `arguments_cut` says if that is not all of it."""
        shown: dict[str, Any] = {"workflow": self.workflow, "version": self.version[:12], "client": self.client}
        if len(self.arguments) <= SHOWN_CHARS and is_readable(self.arguments):
            return {**shown, "arguments": json.loads(self.arguments)}
        text = _as_shown(self.arguments)
        preview = {"arguments_preview": cut(text, SHOWN_CHARS, "…"), "arguments_cut": len(text) > SHOWN_CHARS}
        return {**shown, "arguments": None, **preview}


def _as_shown(text: str) -> str:
    """JSON text for people: with its characters instead of their escapes, where it is short."""
    if len(text) > SHOWN_CHARS or not is_readable(text):
        return text
    return well_formed(json.dumps(json.loads(text), ensure_ascii=False))


def iso(at: float | None) -> str | None:
    """ISO 8601, UTC, milliseconds."""
    if at is None:
        return None
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def public_error(fault: Fault) -> dict[str, Any]:
    """A fault as callers see it, without the traceback, which is for the operator."""
    return {"code": fault.code, "type": fault.type, "message": fault.message, "line": fault.line, "hint": fault.hint}


def envelope(run: Run, inline_chars: int, *, without_result: bool = False) -> dict[str, Any]:
    """{run_id, session_id, status, result}, always all four. `error` when failed. A long result is null, with a preview and `parts`.

    `without_result`: give a short result in the same way.
    """
    answer: dict[str, Any] = {"run_id": run.id, "session_id": run.session_id, "status": run.status, "result": None}
    if run.status == "completed" and run.result is not None:
        if len(run.result) <= inline_chars and not without_result and is_readable(run.result):
            answer["result"] = json.loads(run.result)
        else:
            parts = -(-len(run.result) // inline_chars)
            answer["result_preview"] = run.result if parts == 1 else run.result[:2000]
            answer |= {"parts": parts, "result_chars": len(run.result)}
            if parts > 1:
                answer["message"] = _MANY_PARTS.format(chars=len(run.result), parts=parts, run_id=run.id)
    elif run.result is not None:  # the output of a cancelled run so far
        answer |= {
            "result_preview": run.result[:2000],
            "parts": -(-len(run.result) // inline_chars),
            "result_chars": len(run.result),
        }
    if run.resumed:
        answer["resumed"] = run.resumed
    if run.remark is not None:
        answer["remark"] = run.remark
    if run.error is not None:
        answer["error"] = public_error(run.error)
    if run.status == "input_required":
        answer["questions"] = [question.public() for question in run.questions]
        answer["message"] = "waiting for an answer"
    elif run.waiting_for is not None and not run.is_final:
        answer["message"] = f"waiting for {run.waiting_for}"
    return answer


def result_part(run: Run, part: int, inline_chars: int) -> str | None:
    """The `part`-th piece (from 1) of the result's JSON text; joined, the pieces are the text. None beyond the last."""
    if run.result is None or part < 1:
        return None
    piece = run.result[(part - 1) * inline_chars : part * inline_chars]
    return piece or None
