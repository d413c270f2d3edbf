"""Run tree: prints a run with its calls, their times, its questions and its error; used by `show` and follow_run.py."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from ..model.lifecycle import COMPLETED_OR_FAILED
from . import output
from .commands_for_tools import in_commands

_NAMES: Final = 11
"""Width of the names of facts."""
_ONE_LINE: Final = 68
_MOST_SHOWN: Final = 4_000
"""Characters of JSON on one line with its name, and of a value at most."""
_NO_WIDTH = 100_000
"""The width when stdout is not a terminal: no line is wrapped."""


def print_run(run: dict[str, Any]) -> None:
    """How it stands, what it was given and gave, whose it is, its error; then its calls, and what it waits for."""
    output.out.print(_heading(run))
    for name, text in _facts(run):
        output.out.print(f"{name:<{_NAMES}}{output.visible(text).replace(chr(10), chr(10) + ' ' * _NAMES)}")
    if run["calls"] or run.get("calls_left_out"):
        tree = Tree("calls")
        _add_calls(tree, run)
        if output.out.is_terminal:
            output.out.print(tree, soft_wrap=False)
        else:
            output.out.print(tree, soft_wrap=False, width=_NO_WIDTH)
    for line in _waits(run):
        output.out.print(line)
    if "source" in run:
        output.out.print("", run["source"], sep="\n", markup=False)


def _heading(run: dict[str, Any]) -> Text:
    label = Text(run["run_id"])
    label.append(f"  {run['status']}", style=output.STATUS_STYLES.get(run["status"], ""))
    if "duration_s" in run:
        label.append(f"  {output.duration(run['duration_s'])}")
    return label


def _facts(run: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "arguments", run["arguments_preview"] if run["arguments"] is None else _json(run["arguments"])
    if run["status"] == "completed":
        yield "result", run["result_preview"] if "result_preview" in run else _json(run["result"])
    elif "result_preview" in run:
        yield "result", f"{run['result_preview']} (so far)"
    if run.get("remark"):
        yield "remark", run["remark"]
    yield "session", " ".join(filter(None, (run["session"], run["session_id"])))
    yield "client", run["client"] or "unknown"
    yield "version", run["version"]
    yield "begun", f"{output.clock(run['created_at'])} ({output.when(run['created_at'])})"
    if usage := run.get("usage"):
        cost = f", ${usage['cost_usd']:.4f}" if "cost_usd" in usage else ""
        tokens = f"{usage['input_tokens']} tokens read, {usage['output_tokens']} written"
        yield "models", f"{usage['model_requests']} requests, {tokens}{cost}"
    if run.get("parent"):
        yield "called by", run["parent"]
    if run.get("rerun_of"):
        yield "rerun of", run["rerun_of"]
    if error := run.get("error"):
        line = f" ({run['file'] or 'line'}:{error['line']})" if error.get("line") else ""
        hint = f"\n{in_commands(error['hint'])}" if error.get("hint") else ""
        yield "error", f"{error['type']}: {error['message']}{line}{hint}"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > _ONE_LINE:
        text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…\n--json shows all of it"


def _add_calls(tree: Tree, run: dict[str, Any]) -> None:
    """Add the calls in the order in which they ended. Calls inside a step stand below it."""
    calls = run["calls"]
    steps = [call["path"] for call in calls if call["op"] == "step"]
    below: dict[str, list[dict[str, Any]]] = {}
    for call in calls:
        around = [path for path in steps if call["path"].startswith(path + ":")]
        below.setdefault(max(around, key=len, default=""), []).append(call)
    _add_level(tree, below, "")
    if run.get("calls_left_out"):
        tree.add(Text(f"... and {run['calls_left_out']} more"))


def _add_level(tree: Tree, below: dict[str, list[dict[str, Any]]], step: str) -> None:
    for call in below.get(step, ()):
        branch = tree.add(_call_label(call))
        if call["op"] == "step":
            _add_level(branch, below, call["path"])
        if "run" in call:
            _add_calls(branch, call["run"])


def _call_label(call: dict[str, Any]) -> Text:
    label = Text(f"{call['path']}  {call['op']}")
    if call["label"]:
        label.append(f" {' '.join(output.visible(call['label']).split())}")
    if call["ended_at"] is None:
        label.append("  open", style="cyan")
    else:
        label.append(f"  {output.duration(call['duration_s'])}")
    if call.get("cancelled"):
        label.append("  cancelled", style="yellow")
    if call.get("error"):
        failed = output.visible(f"failed: {call['error']['type']}: {call['error']['message']}")
        label.append(f"  {failed}", style="red")
    if call.get("covered"):
        label.append("  part of its step")
    if "run" in call:
        inner = call["run"]
        label.append(f"  {inner['run_id']}")
        if inner["status"] not in COMPLETED_OR_FAILED:  # the call itself says these
            label.append(f" {inner['status']}", style=output.STATUS_STYLES.get(inner["status"], ""))
    return label


def _waits(run: dict[str, Any]) -> Iterator[str]:
    if run.get("questions"):
        yield from questions(run)
    elif run.get("message"):
        yield in_commands(run["message"])


MODEL_NOTE: Final = (
    "  (With a provider's key in the environment, such as OPENAI_API_KEY, its model replies to agents instead.)"
)


def questions(run: dict[str, Any]) -> Iterator[str]:
    """Lines with a run's questions, and the commands that answer them."""
    several = len(run["questions"]) > 1
    for question in run["questions"]:
        yield f"asks: {question['question']}"
        if question.get("kind") == "model":
            yield MODEL_NOTE
        until = f", until {output.clock(question['expires_at'])}" if question["expires_at"] else ""
        yield f"  an answer that fits {json.dumps(question['schema'], ensure_ascii=False)}{until}"
        chosen = f" --question {question['id']}" if several else ""
        yield f"  repertoire answer {run['run_id']} {shlex.quote(_example(question['schema']))}{chosen}"


def _example(schema: dict[str, Any]) -> str:
    """An answer that fits the schema, as a person types it."""
    if "enum" in schema:
        first = schema["enum"][0]
        return first if isinstance(first, str) else json.dumps(first)
    match schema.get("type"):
        case "boolean":
            return "true"
        case "integer" | "number":
            return "1"
        case "array":
            return "[]"
        case "object":
            fields = schema.get("properties", {})
            required = schema.get("required", list(fields))
            return json.dumps({name: _value(fields.get(name, {})) for name in required})
        case _:
            return "TEXT"


def _value(schema: dict[str, Any]) -> Any:
    text = _example(schema)
    try:
        return json.loads(text)
    except ValueError:
        return text
