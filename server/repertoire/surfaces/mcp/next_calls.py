"""Next calls: the call that goes on after an unfinished answer or a refusal, as `next` of each; used by call_results.py.

`next` is a tool with its arguments as a model writes them. `...` stands for what the model has to fill in or to repeat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ...errors import Refused, RepertoireError, UnknownWorkflow
from ...model.run import Run
from ...model.workflow_version import FIXED_TOOLS
from ...names import RUN_CODE
from ...registry.caller_view import close_names

WAIT_S: Final = 45
"""`wait_s` in a next call: as long as a call may take where nothing else is set."""
_AGAIN: Final = frozenset({"busy", "server_ends", "storage", "error", "not_recorded"})
"""Codes after which the same call is right, later."""


def written(tool: str, **arguments: Any) -> str:
    """A call as a model writes it."""
    shown = [f"{name}={_literal(value)}" for name, value in arguments.items()]
    return f"{tool}({', '.join(shown)})"


def _literal(value: Any) -> str:
    return "..." if value is ... else json.dumps(value, ensure_ascii=False)


def after_answer(answer: Mapping[str, Any]) -> str | None:
    """The next call after an envelope; None: the run has ended, and the answer is whole."""
    run_id, status = answer.get("run_id"), answer.get("status")
    questions: list[dict[str, Any]] = answer.get("questions", [])
    if status == "working":
        return written("get_run", run_id=run_id, wait_s=WAIT_S)
    if status == "input_required":
        which = {"question_id": questions[0]["id"]} if len(questions) > 1 else {}
        return written("answer_run", run_id=run_id, answer=..., **which)
    parts, part = answer.get("parts"), answer.get("part", 0)
    if parts and part < parts:
        last = f" and so on to part={parts}" if part + 1 < parts else ""
        return written("get_run", run_id=run_id, part=part + 1) + last
    return None


def after_version(answer: Mapping[str, Any]) -> str | None:
    """The next call after a version that was kept: it is published when it is ready."""
    if answer.get("status") != "draft":
        return None
    return written("publish_workflow", name=answer["name"], version=answer["version"])


def after_list(page: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """The next call after a page of workflows: the next page, or how one of the listed drafts or deleted ones is published."""
    if page["next_cursor"] is not None:
        return _with("list_workflows", given, cursor=page["next_cursor"])
    if page["workflows"] and given.get("status") in ("draft", "deleted"):
        first = page["workflows"][0]
        return written("publish_workflow", name=first["name"], version=first["version"])
    return None


def after_events(answer: Mapping[str, Any]) -> str | None:
    """The next call after a page of events that is not the last."""
    if not answer.get("more_events"):
        return None
    return written("get_run", run_id=answer["run_id"], after_event=answer["events"][-1]["n"], events="all")


def after_failure(run: Run) -> str | None:
    """The next call after a run that failed because it was called wrongly."""
    if run.error is not None and run.error.code == "invalid_arguments":
        if run.workflow == RUN_CODE:
            return written(RUN_CODE, source=..., arguments=...)
        return written("get_workflow", name=run.workflow)
    return None


def after_refusal(tool: str, arguments: Mapping[str, Any], error: RepertoireError, takes: Mapping[str, Any]) -> str:
    """The next call after a call that was refused. `takes`: the input schema of a fixed tool; empty for a workflow's own."""
    code = error.reason if isinstance(error, Refused) else error.code
    name = str(arguments.get("name", "")) if takes else tool
    if isinstance(error, UnknownWorkflow):
        return _after_unknown(name, error)
    if code == "unknown_run":
        return written("list_runs")
    if code == "unknown_session":
        return _with(tool, arguments, session_id="new")
    if tool == RUN_CODE and code in ("approval_required", "authoring_off"):
        return written("search_workflows", query=...)
    if code == "in_use" and isinstance(error, Refused):
        return _after_in_use(name, arguments, error.details)
    if code in ("from_a_file", "approval_required", "authoring_off"):
        return written("get_workflow", name=name)
    if code in ("examples_failed", "no_examples"):
        replace = {} if tool == "create_workflow" and not arguments.get("replace") else {"replace": True}
        return _other_examples(name, **replace)
    if code == "name_taken":
        return written("create_workflow", name=name, source=..., replace=True)
    if code in _AGAIN:
        return _with(tool, arguments)
    if not takes:
        return written("get_workflow", name=tool)
    if tool == "run_workflow" and name:
        return written("get_workflow", name=name)
    if tool == "create_workflow":
        if not name or code == "bad_name":
            return written(tool, name=..., source=...)
        return written(
            tool, name=name, source=..., **{one: arguments[one] for one in ("replace", "publish") if one in arguments}
        )
    run_id = arguments.get("run_id")
    if tool in ("get_run", "answer_run", "cancel_run") and isinstance(run_id, str) and len(run_id) <= 120:
        return written("get_run", run_id=run_id)
    return _signature(tool, takes)


def near_tools(name: str, error: UnknownWorkflow) -> str:
    """The fixed tools of a similar name, before the workflows that the error names."""
    hint, begin = error.hint or "", "Did you mean "
    fixed = close_names(name, FIXED_TOOLS)
    workflows = [hint.removeprefix(begin).removesuffix("?")] if hint.startswith(begin) else []
    return f"{begin}{' or '.join([*fixed, *workflows])}?" if fixed else hint


def _after_unknown(name: str, error: UnknownWorkflow) -> str:
    if error.deleted is not None:
        return written("publish_workflow", name=name, version=error.deleted)
    if error.draft is not None:
        match error.flaw:
            case None:
                return written("publish_workflow", name=name, version=error.draft)
            case "examples":
                return _other_examples(name)
            case "source":
                return written("create_workflow", name=name, source=...)
            case "approval":
                return written("get_workflow", name=name)
    if error.close:
        return written("get_workflow", name=error.close[0])
    return written("search_workflows", query=name.replace("_", " ")[:100] or ...)


def _other_examples(name: str, **more: Any) -> str:
    examples, source = (written("create_workflow", name=name, **{part: ...}, **more) for part in ("examples", "source"))
    return f"{examples} if an example is wrong, {source} if the source is"


def _after_in_use(name: str, arguments: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """First the callers are changed, then the version that was kept is published, or the workflow deleted."""
    caller = details["called_by"][0]
    version = details.get("version") or arguments.get("version")
    if version is None:
        return written("get_workflow", name=caller)
    changed = written("create_workflow", name=caller, source=..., replace=True)
    others = "" if len(details["called_by"]) == 1 else " and so for the others of called_by"
    return f"{changed}{others}, then {written('publish_workflow', name=name, version=version)}"


def _with(tool: str, arguments: Mapping[str, Any], **changed: Any) -> str:
    """The same call with some arguments changed; the others in short."""
    return written(tool, **{key: _in_short(value) for key, value in arguments.items()} | changed)


def _in_short(value: Any) -> Any:
    return value if isinstance(value, str | int | float) and len(str(value)) <= 120 else ...


def _signature(tool: str, takes: Mapping[str, Any]) -> str:
    """The tool with the names of its arguments; those that may be left out have a question mark."""
    required = takes.get("required", ())
    names = [name if name in required else f"{name}?" for name in takes.get("properties", ())]
    return f"{tool}({', '.join(names)})"
