"""Fixed tools: a table of the tools that every client has, and the envelope's schema; used by tools/list and tools/call.

`fixed_tools(limits)` fills in the numbers of this server. `envelope_schema` is the output schema of each tool that runs something.
Not the tools that workflows become: tool_listings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import mcp_types as types

from ...limits import Limits
from ...model.lifecycle import STATUSES
from ...model.workflow_version import FIXED_TOOLS
from .guide import TOPICS


def _or_null(kind: str) -> dict[str, Any]:
    """Two branches and not a list of types: some hosts map schemas onto dialects with one type for each."""
    return {"anyOf": [{"type": kind}, {"type": "null"}]}


_NAME: Final = {"type": "string"}
_RUN_ID: Final = {"type": "string"}
_ARGUMENTS: Final = {"type": "object", "description": "As its input_schema says."}
WHOSE_STATE: Final = {
    "type": "string",
    "description": 'Whose state to use. Left out: this client\'s own; "new": a fresh one.',
}
_SIMPLE: Final = [{"type": kind} for kind in ("object", "string", "number", "boolean", "null")]
_ANY_RESULT: Final = [*_SIMPLE, {"type": "array", "items": {}}]
"""Some hosts refuse an array without `items`. Clients hold results to this, so it must allow all of JSON."""
_ANY_JSON: Final = [*_SIMPLE, {"type": "array", "items": {"anyOf": _SIMPLE}}]
"""For arguments: some hosts warn of `items` that says nothing. Deeper arrays are taken as well: nothing here is held to it."""
_TIME: Final = "ISO 8601."
_FORCE: Final = {
    "type": "boolean",
    "default": False,
    "description": "Even if it cannot work, or workflows that call it break.",
}
_EXAMPLE: Final = {
    "type": "object",
    "properties": {
        "arguments": {"type": "object"},
        "expect": {"anyOf": _ANY_JSON, "description": "The result."},
        "expect_error": {"type": "string", "description": "Part of the error, where it has to fail."},
        "match": {"type": "string", "enum": ["exact", "subset", "schema", "approx"]},
        "tolerance": {"type": "number"},
        "mocks": {
            "type": "array",
            "items": {"type": "object"},
            "description": 'Needed for each workflow call and ask: {"call": NAME or "ask", "arguments"?, "result" or "error"}',
        },
    },
}
_LIMITED: Final[dict[str, Any]] = {}
"""Stands for a schema that depends on the limits: `_OF_LIMITS` has it."""
_LEAST_WAIT_S: Final = 45
"""`wait_s` may be this long even where calls are answered sooner: the service shortens it."""
_STRINGS: Final = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_ENVELOPE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"status": {"type": "string"}},
}
"""The answer of a fixed tool that runs something. tools/list repeats it four times, so it says no more."""


def envelope_schema(result: dict[str, Any]) -> dict[str, Any]:
    """The envelope with `result` as this schema says, or null; $defs move to the root, where references look for them.

    Only what is always there is described, because tools/list repeats it for each workflow: what else the envelope may have is the same
    everywhere, and the schema allows it.

    Nothing is required: a refused call has an error alone, and some clients (the TypeScript SDK v1) hold errors to this schema too.
    """
    result = dict(result)
    definitions = result.pop("$defs", None)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "run_id": _or_null("string"),
            "session_id": _or_null("string"),
            "status": {"type": "string"},
            "result": {"anyOf": [result, {"type": "null"}] if result else _ANY_RESULT},
        },
    }
    return {**schema, "$defs": definitions} if definitions else schema


_CREATE: Final = """Publish Python as a workflow: run_workflow runs it at once; later it is a tool too.
The source is a module with `def run(...)` or `async def run(...)`: typed parameters, a return annotation, a docstring with Args and \
Raises. It imports what is installed.
Without an import there are (with `await` in async code):
step(function, *args): calls it at least once and records its result
ask(question, bool | Literal[...] | schema): asks a person, waits for days
sleep(seconds), now(): outlast a restart
workflows.NAME(arg=...): runs another one; never import it
tools.SERVER.NAME(arg=...): search_tools finds it
session_state: dict kept between runs; commit_state() stores it now; artifacts.save(name, data)
@cached: keeps a function's results
progress(done, total, message), log.info(text)
Rule: effects (files, requests, programs) go into a step. An interrupted run starts again from the top: recorded calls are not repeated, the \
step that was under way is.
If an example fails, it stays a draft. guide(topic) has the rest."""

_SEARCH: Final = "Find workflows by what they do. `matches` fit; if there are none, `nearest` probably does not."
_MAYBE_UNLISTED: Final = "There may be workflows that are not in the tool list: search before you write one."

_FIXED: Final[dict[str, tuple[str, str, dict[str, Any], types.ToolAnnotations, dict[str, Any] | None]]] = {
    "search_workflows": (
        "Search workflows",
        f"{_SEARCH} {_MAYBE_UNLISTED}",
        _object(
            ["query"],
            query={"type": "string", "description": "What you want done, in your own words."},
            limit={"type": "integer", "minimum": 1, "maximum": 100, "default": 5},
            tags={**_STRINGS, "description": "Only workflows with all of these tags."},
            include_source={"type": "boolean", "default": False},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "list_workflows": (
        "List workflows",
        "All workflows, a page at a time, and the files that could not be published and why.",
        _object(
            [],
            cursor={**_or_null("string"), "description": "next_cursor of the page before."},
            limit={"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
            created_by={**_or_null("string"), "description": '"me", or part of a client\'s name: who created or changed it.'},
            since={**_or_null("string"), "description": _TIME},
            tags=_STRINGS,
            status={"anyOf": [{"type": "string", "enum": ["published", "draft", "deleted"]}, {"type": "null"}]},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "get_workflow": (
        "Get a workflow",
        "One workflow: schemas, source, examples, findings, calls, callers, versions and history.",
        _object(
            ["name"],
            name=_NAME,
            version={**_or_null("string"), "description": "Left out: the published one."},
            diff={**_or_null("string"), "description": "A version to compare with."},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "create_workflow": (
        "Create a workflow",
        _CREATE,
        _object(
            ["name"],
            name={"type": "string", "description": "[a-z][a-z0-9_]*, at most 40."},
            source=_LIMITED,
            description={**_or_null("string"), "description": "Left out: the module's docstring, or else run's."},
            replace={"type": "boolean", "default": False, "description": "Needed where the name is published, not for a draft."},
            examples={
                "anyOf": [{"type": "array", "items": _EXAMPLE}, {"type": "null"}],
                "description": "They replace those it had, or are added with keep_examples; left out: those stay. Each is a real run, with "
                "its steps: none for what sends or deletes. Without a source: for its last version.",
            },
            keep_examples={"type": "boolean", "default": False},
            tags=_STRINGS,
            publish={"type": "boolean", "default": True, "description": "false: only check it, and keep a draft."},
            from_run={
                **_or_null("string"),
                "description": "A run_id, completed or failed: it becomes one more example, its calls the mocks. Without a source: the run's.",
            },
            force=_FORCE,
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
        None,
    ),
    "guide": (
        "Guide",
        ("Pages beyond the text of create_workflow: writing (types, options), surviving (it writes, sends, starts or waits), composing "
        "(it calls workflows), asking (people), examples (mocks), packages (imports), errors (when stuck)."),
        _object(["topic"], topic={"type": "string", "enum": list(TOPICS)}),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "delete_workflow": (
        "Delete a workflow",
        "Its runs stay readable, and publish_workflow brings it back. Refused where others call it.",
        _object(["name"], name=_NAME, force=_FORCE),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False),
        None,
    ),
    "run_workflow": (
        "Run a workflow",
        ("Run any workflow by name, a just created one too. With status `working` it goes on, with `input_required` it asks; `next` names "
        "the call to make then."),
        _object(
            ["name"], name=_NAME, arguments=_ARGUMENTS, session_id=_LIMITED, idempotency_key=_LIMITED, wait_s=_LIMITED,
        ),
        types.ToolAnnotations(read_only_hint=False),
        _ENVELOPE,
    ),
    "run_code": (
        "Run code once",
        ("Run Python once, with all that a workflow has, and publish nothing: to try something, or to combine workflows in one call. "
        "Statements, whose last expression is the result, or a module with run(...). create_workflow(name, from_run) keeps it."),
        _object(
            ["source"],
            source={"type": "string"},
            arguments={"type": "object", "description": "Names in the source, or run's parameters."},
            session_id=WHOSE_STATE,
            wait_s=_LIMITED,
        ),
        types.ToolAnnotations(read_only_hint=False),
        _ENVELOPE,
    ),
    "get_run": (
        "Get a run",
        "A run's status, progress, result and latest events; with part, a piece of a long result as text.",
        _object(
            ["run_id"],
            run_id=_RUN_ID,
            wait_s=_LIMITED,
            after_event={"type": "integer", "minimum": 0, "default": 0},
            part={**_or_null("integer"), "minimum": 1},
            events={
                "type": "string",
                "enum": ["none", "last", "all"],
                "description": "Left out: last; with after_event, all.",
            },
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        _ENVELOPE,
    ),
    "list_runs": (
        "List runs",
        "Runs of all conversations, newest first, that fit every filter. Status input_required: those that wait for an answer.",
        _object(
            [],
            workflow=_or_null("string"),
            session_id=_or_null("string"),
            status={"anyOf": [{"type": "string", "enum": list(STATUSES)}, {"type": "null"}]},
            since={**_or_null("string"), "description": f"Created at or after: {_TIME}"},
            until=_or_null("string"),
            limit={"type": "integer", "minimum": 1, "maximum": 500, "default": 20},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "cancel_run": (
        "Cancel a run",
        "Stop a run; the answer says how far it was.",
        _object(["run_id"], run_id=_RUN_ID),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False),
        _ENVELOPE,
    ),
    "answer_run": (
        "Answer a run's question",
        ("Answer a run with status `input_required`. Ask a person unless you were told the answer; one of kind `model` you write. "
        "`questions` have its JSON Schema."),
        _object(
            ["run_id", "answer"],
            run_id=_RUN_ID,
            answer={"anyOf": _ANY_JSON},
            question_id={**_or_null("string"), "description": "Needed where several are open."},
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
        _ENVELOPE,
    ),
    "search_tools": (
        "Search tools",
        "Find functions that a source calls as tools.SERVER.NAME(...).",
        _object(["query"], query={"type": "string"}, limit={"type": "integer", "default": 5}),
        types.ToolAnnotations(read_only_hint=True),
        None,
    ),
    "publish_workflow": (
        "Publish a version",
        "Let a name run a draft, whose examples are run first, or an earlier version.",
        _object(
            ["name"],
            name=_NAME,
            version={**_or_null("string"), "description": "Its first digits will do. Left out: the last draft, or the deleted version."},
            force=_FORCE,
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False),
        None,
    ),
}  # fmt: skip


def _source(limits: Limits) -> dict[str, Any]:
    text = (
        f"The module, at most {limits.max_source_bytes / 1024:g} KiB. A run may work for {limits.run_timeout_s:g} s; long sleeps and "
        "questions are not counted."
    )
    return {**_or_null("string"), "description": text}


def _session_id(limits: Limits) -> dict[str, Any]:
    text = (
        "Whose state to use, by an earlier answer's session_id. Left out: this client's own, the same in every conversation; "
        f'"new": a fresh one. Unused for {limits.session_ttl_s / 86_400:g} days, it expires.'
    )
    return {"type": "string", "description": text}


def _idempotency_key(limits: Limits) -> dict[str, Any]:
    within = f"{limits.idempotency_ttl_s / 3600:g} hours"
    text = f"Any text: the same key within {within} gives the same run."
    return {**_or_null("string"), "description": text}


def _wait_s(limits: Limits) -> dict[str, Any]:
    return {**_patience(limits), "default": 0, "description": "Seconds to wait for its end."}


def _wait_of_call(limits: Limits) -> dict[str, Any]:
    text = f"Seconds to wait for its end. Left out: {limits.inline_deadline_s:g}; 0: do not wait."
    return {**_patience(limits), "description": text}


def _patience(limits: Limits) -> dict[str, Any]:
    longest = max(_LEAST_WAIT_S, limits.inline_deadline_s)
    return {"type": "number", "minimum": 0, "maximum": int(longest) if longest == int(longest) else longest}


_OF_LIMITS: Final[dict[tuple[str, str], Callable[[Limits], dict[str, Any]]]] = {
    ("create_workflow", "source"): _source,
    ("run_workflow", "session_id"): _session_id,
    ("run_workflow", "idempotency_key"): _idempotency_key,
    ("run_workflow", "wait_s"): _wait_of_call,
    ("run_code", "wait_s"): _patience,
    ("get_run", "wait_s"): _wait_s,
}


def fixed_tools(limits: Limits) -> dict[str, types.Tool]:
    """The fixed tools by name, in the order in which they are listed."""
    return {name: _tool(name, limits) for name in FIXED_TOOLS}


def _tool(name: str, limits: Limits) -> types.Tool:
    title, description, schema, annotations, output = _FIXED[name]
    properties = {
        argument: _OF_LIMITS[name, argument](limits) if (name, argument) in _OF_LIMITS else known
        for argument, known in schema["properties"].items()
    }
    return types.Tool(
        name=name,
        title=title,
        description=description,
        input_schema={**schema, "properties": properties},
        annotations=annotations,
        output_schema=output,
    )


def search_text(unlisted: int | None) -> str:
    """The description of search_workflows, given how many workflows the tool list leaves out. None: that is not known yet."""
    if unlisted is None:
        return f"{_SEARCH} {_MAYBE_UNLISTED}"
    if unlisted == 0:
        return f"{_SEARCH} Not needed where you see the tool list: all workflows are in it."
    return f"{_SEARCH} {unlisted} workflows are not in the tool list: search before you write one."
