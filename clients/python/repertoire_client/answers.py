"""The server's answers as frozen values, made where JSON comes in. Keys that a newer server adds are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Answer = TypeVar("Answer", bound=DataclassInstance)

Event = dict[str, Any]
"""{n, type, at, data}: `n` counts from 1 within a run; `type` is run_start, progress, log, item, run_end and the like."""


@dataclass(frozen=True)
class RunError:
    """Why a run failed. `line` is a line of the workflow's source."""

    code: str
    message: str
    type: str | None = None
    line: int | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Question:
    """What a run asks. `schema` is a JSON Schema of the answer; times are ISO 8601."""

    id: str
    question: str
    schema: dict[str, Any]
    asked_at: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True)
class ListedRun:
    """A run in a list. `parent` is the run that called it; `message` says what it waits for. `arguments_cut`: the preview is not all."""

    run_id: str
    workflow: str
    version: str
    session_id: str | None
    status: str
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    duration_s: float | None = None
    parent: str | None = None
    message: str | None = None
    client: str = ""
    arguments_preview: str | None = None
    arguments_cut: bool = False


@dataclass(frozen=True)
class Run:
    """A run as the server answered. `status` is working, input_required, completed, failed or cancelled.

    `next` is the tool call that goes on, as a model writes it. `remark` says what JSON could not hold of the result. `workflow`, `version`,
    `client` and `arguments` are filled by `runs.get` only. `progress` is the last that a working run told: done, total, message.

    `runs.get` leaves the result of more than 40,000 characters out: it is null, with `result_preview`, its `result_chars` and `parts`;
    `workflows.run` and `runs.result` fetch the parts. `events` is filled by `runs.get` only. With `input_required`, `questions` are what
    it asks: `runs.answer` answers.
    """

    run_id: str
    session_id: str | None
    status: str
    result: Any = None
    error: RunError | None = None
    message: str | None = None
    result_preview: str | None = None
    parts: int | None = None
    result_chars: int | None = None
    resumed: int = 0
    events: tuple[Event, ...] = ()
    more_events: bool = False
    questions: tuple[Question, ...] = ()
    next: str | None = None
    remark: str | None = None
    progress: dict[str, Any] | None = None
    workflow: str | None = None
    version: str | None = None
    client: str | None = None
    arguments: dict[str, Any] | None = None
    arguments_preview: str | None = None

    @property
    def is_final(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Match:
    """A workflow that a search found; a higher score fits better."""

    name: str
    description: str
    score: float
    input_schema: dict[str, Any]
    version: str
    why: dict[str, Any] | None = None
    source: str | None = None


@dataclass(frozen=True)
class Nearest:
    """A workflow that probably does not fit, though none fits better."""

    name: str
    description: str


class Matches(tuple[Match, ...]):
    """The matches of a search, best first. If there are none, `nearest` names up to three workflows that probably do not fit. `note`
    says what is doubtful, such as workflows that are not indexed yet.
    """

    nearest: tuple[Nearest, ...]
    ranking: str
    note: str | None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Matches:
        """From the tool's answer."""
        matches = cls(made(Match, one) for one in answer["matches"])
        matches.nearest = tuple(made(Nearest, one) for one in answer.get("nearest", ()))
        matches.ranking = answer["ranking"]
        matches.note = answer.get("note")
        return matches


@dataclass(frozen=True)
class Listed:
    """A workflow in a list. `created_by` and `created_at` are of one that a client created; `changed_by` and `changed_at` where a later
    version is published. A deleted one has `deleted_by` and `deleted_at` instead."""

    name: str
    description: str
    version: str
    origin: str
    trust: str | None = None
    approved: dict[str, Any] | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    status: str = "published"
    created_by: str | None = None
    created_at: str | None = None
    changed_by: str | None = None
    changed_at: str | None = None
    deleted_by: str | None = None
    deleted_at: str | None = None


@dataclass(frozen=True)
class Workflow:
    """Everything about one workflow. `file` is None for one that was created through a tool; `versions` are all that the name ever had,
    newest first. `trust` is operator, approved or untrusted; `approved` tells who approved it: {by, way, at}.
    """

    name: str
    description: str
    version: str
    origin: str
    source: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    trust: str | None = None
    approved: dict[str, Any] | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    options: dict[str, Any] | None = None
    file: str | None = None
    findings: tuple[dict[str, Any], ...] = ()
    versions: tuple[dict[str, Any], ...] = ()
    status: str = "published"
    examples: tuple[dict[str, Any], ...] = ()
    checked: dict[str, Any] | None = None
    calls: dict[str, Any] | None = None
    called_by: tuple[str, ...] = ()
    history: tuple[dict[str, Any], ...] = ()
    diff: str | None = None


@dataclass(frozen=True)
class Created:
    """A workflow that was just published, or kept as a draft. `findings` are remarks; what is wrong raises instead. `examples` says how
    many hold: {passed, failed}, or {not_run}. `isolation` names the layers of the sandbox around its runs.
    `callers_checked` are workflows that call it and still can, where it takes other arguments than before."""

    name: str
    version: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    findings: tuple[dict[str, Any], ...] = ()
    status: str = "published"
    examples: dict[str, int] | None = None
    isolation: str | None = None
    callers_checked: tuple[str, ...] = ()


def made(kind: type[Answer], data: Mapping[str, Any]) -> Answer:
    """One of the above from an object of the answer."""
    known = {field.name for field in fields(kind)}
    return kind(**{key: _frozen(value) for key, value in data.items() if key in known})


def made_run(data: Mapping[str, Any]) -> Run:
    """A run; its result is the workflow's own and stays as it came."""
    known = {field.name: data[field.name] for field in fields(Run) if field.name in data}
    error = data.get("error")
    asked = tuple(made(Question, question) for question in data.get("questions") or ())
    events = tuple(data.get("events") or ())
    ours = {"error": made(RunError, error) if error else None, "events": events, "questions": asked}
    return Run(**known | ours)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
