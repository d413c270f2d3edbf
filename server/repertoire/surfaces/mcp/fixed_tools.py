"""Fixed tools: a table of the tools that every client has, and the envelope's schema; used by tools/list and tools/call.

`fixed_tools(limits)` fills in the numbers of this server. `envelope_schema` is the output schema of each tool that runs something.
Not the tools that workflows become: tool_listings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import mcp_types as types

from ...model.lifecycle import STATUSES
from ...model.workflow import FIXED_TOOLS
from ...settings import Limits


def _or_null(kind: str) -> dict[str, Any]:
    """Two branches and not a list of types: some hosts map schemas onto dialects with one type for each."""
    return {"anyOf": [{"type": kind}, {"type": "null"}]}


_NAME: Final = {"type": "string", "description": "The workflow's name."}
_RUN_ID: Final = {"type": "string", "description": "The run_id that a call returned."}
_ARGUMENTS: Final = {"type": "object", "description": "The workflow's arguments; its input_schema says which."}
WHOSE_STATE: Final = {
    "type": "string",
    "description": 'Whose state to use. Left out: this client\'s own; "new": a fresh one.',
}
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "object": {},
    "array": {"items": {}},
    "string": {},
    "number": {},
    "boolean": {},
    "null": {},
}
_ANY_JSON: Final = [{"type": kind, **more} for kind, more in _KINDS.items()]
"""Some hosts refuse a tool whose schema has an array without `items`."""
_ID: Final = {"type": ["string", "null"]}
_TIME: Final = "ISO 8601, for example 2026-11-21T08:00:00Z."
_ERROR: Final = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "type": _or_null("string"),
        "message": {"type": "string"},
        "line": _or_null("integer"),
        "hint": _or_null("string"),
    },
    "required": ["code", "message"],
}


_VERSION: Final = {
    "type": "string",
    "description": "A version of it, as `versions` of get_workflow lists them; its first digits will do.",
}
_FORCE: Final = {
    "type": "boolean",
    "default": False,
    "description": "Although other workflows call it and could not any more.",
}
_MOCK: Final = {
    "type": "object",
    "properties": {
        "call": {"type": "string", "description": "A workflow's name, or `ask`."},
        "arguments": {"type": "object"},
        "result": {"anyOf": _ANY_JSON},
        "error": {"type": "string"},
    },
    "required": ["call"],
}
_EXAMPLE: Final = {
    "type": "object",
    "properties": {
        "arguments": {"type": "object"},
        "expect": {"anyOf": _ANY_JSON, "description": "The result."},
        "expect_error": {"type": "string", "description": "Part of the error's type or message, where it has to fail."},
        "match": {
            "type": "string",
            "enum": ["exact", "subset", "schema", "approx"],
            "description": "subset: objects may have more keys. schema: expect is a JSON Schema. approx: numbers may differ by `tolerance`.",
        },
        "tolerance": {"type": "number"},
        "mocks": {
            "type": "array",
            "items": _MOCK,
            "description": "What calls out of the body give, instead of being made.",
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


def envelope_schema(result: dict[str, Any], *, whole: bool = True) -> dict[str, Any]:
    """The envelope with `result` as this schema says, or null; $defs move to the root, where references look for them.

    `whole` describes every part. Of a workflow's own tool only what is always there is described, because tools/list repeats it for
    each: what else the envelope may have is the same everywhere, and the schema allows it.
    """
    result = dict(result)
    definitions = result.pop("$defs", None)
    properties: dict[str, Any] = {
        "run_id": _or_null("string") if whole else _ID,
        "session_id": _or_null("string") if whole else _ID,
        "status": {"enum": list(STATUSES)} if whole else {"type": "string"},
        "result": {"anyOf": [result, {"type": "null"}]} if result else {"anyOf": _ANY_JSON},
    }
    if whole:
        extras = {
            "message": {"type": "string"},
            "result_preview": {"type": "string"},
            "parts": {"type": "integer"},
            "resumed": {"type": "integer"},
        }
        properties |= {"error": _ERROR, "questions": {"type": "array", "items": {"type": "object"}}, **extras}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": ["run_id", "session_id", "status", "result"],
    }
    return {**schema, "$defs": definitions} if definitions else schema


_FIXED: Final[dict[str, tuple[str, str, dict[str, Any], types.ToolAnnotations, dict[str, Any] | None]]] = {
    "search_workflows": (
        "Search workflows",
        "Find workflows by what they do. Look here before you write a new one. An empty answer means that nothing fits.",
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
        "All workflows in alphabetical order, a page at a time, and the files that could not be published and why.",
        _object(
            [],
            cursor={**_or_null("string"), "description": "next_cursor of the page before."},
            limit={"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "get_workflow": (
        "Get a workflow",
        ("One workflow: description, schemas, source, examples, findings, what it calls and what calls it, its versions and their history. "
        "`version` shows another text that it had, `diff` how it came from one."),
        _object(
            ["name"],
            name=_NAME,
            version={**_or_null("string"), "description": "Left out: the published one. A version's first digits will do."},
            diff={**_or_null("string"), "description": "A version to compare with."},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "create_workflow": (
        "Create a workflow",
        ("Publish Python as a workflow, usable at once with run_workflow and later as a tool of its own. The source is a module with "
        "`def run(...)` or `async def run(...)`, typed parameters, a return annotation and a docstring with an Args section. "
        "Inside it `progress(done, total, message)`, `log.info(...)` and the dict `session_state` are there without an import. "
        "Give examples: they are run first, in a session of their own, and it is published only if all hold; otherwise it stays a "
        "draft and the findings say what to correct. Workflows are immutable: to change one, create it again with replace=true, which "
        "makes a new version."),
        _object(
            ["name"],
            name={"type": "string", "description": "Lower-case letters, digits and underscores, at most 40, a letter first."},
            source=_LIMITED,
            description={**_or_null("string"), "description": "Left out: the first paragraph of the docstring."},
            replace={"type": "boolean", "default": False, "description": "Make a new version of one that was created before."},
            examples={
                "anyOf": [{"type": "array", "items": _EXAMPLE}, {"type": "null"}],
                "description": "What it gives for some arguments. Left out with replace: those of the version that is replaced.",
            },
            tags={**_STRINGS, "description": "Words to find it by."},
            publish={"type": "boolean", "default": True, "description": "false: check it and keep it as a draft."},
            from_run={
                **_or_null("string"),
                "description": "A run_id: its arguments and result become an example, and its source is taken where none is given.",
            },
            force=_FORCE,
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
        None,
    ),
    "delete_workflow": (
        "Delete a workflow",
        "Take a created workflow away. Its runs stay readable. `deleted` is false where there was none. Refused where other workflows call it.",
        _object(["name"], name=_NAME, force=_FORCE),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False),
        None,
    ),
    "run_workflow": (
        "Run a workflow",
        ("Run any workflow by name, a just created one too. A run that takes long is answered with status `working` and goes on: "
        "fetch it with get_run(run_id, wait_s). One that asks something is answered with `input_required` and its questions."),
        _object(
            ["name"], name=_NAME, arguments=_ARGUMENTS, session_id=_LIMITED, idempotency_key=_LIMITED,
        ),
        types.ToolAnnotations(read_only_hint=False),
        envelope_schema({}),
    ),
    "get_run": (
        "Get a run",
        ("A run's status, result and events. wait_s waits for its end; after_event leaves out events seen before; "
        "part fetches a piece of a long result as text."),
        _object(
            ["run_id"],
            run_id=_RUN_ID,
            wait_s=_LIMITED,
            after_event={"type": "integer", "minimum": 0, "default": 0},
            part={**_or_null("integer"), "minimum": 1},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        envelope_schema({}),
    ),
    "list_runs": (
        "List runs",
        "Runs, newest first: all of this user, or those that fit every filter given. `status` input_required: those that wait for an answer.",
        _object(
            [],
            workflow={**_or_null("string"), "description": "Only runs of this workflow."},
            session_id={**_or_null("string"), "description": "Only runs of this session."},
            status={"anyOf": [{"type": "string", "enum": list(STATUSES)}, {"type": "null"}]},
            since={**_or_null("string"), "description": f"Only runs created at or after this time: {_TIME}"},
            until={**_or_null("string"), "description": "Only runs created before this time."},
            limit={"type": "integer", "minimum": 1, "maximum": 500, "default": 20},
        ),
        types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        None,
    ),
    "cancel_run": (
        "Cancel a run",
        "Stop a run that is going on. One that has ended stays as it is.",
        _object(["run_id"], run_id=_RUN_ID),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False),
        envelope_schema({}),
    ),
    "answer_run": (
        "Answer a run's question",
        ("Give a run with status `input_required` the answer it waits for; it goes on at once. Ask a person unless you were told the answer. "
        "Its envelope has `questions`, each with the JSON Schema of its answer."),
        _object(
            ["run_id", "answer"],
            run_id=_RUN_ID,
            answer={"anyOf": _ANY_JSON, "description": "The answer itself, in the form that the question's schema says."},
            question_id={**_or_null("string"), "description": "Which question; left out where there is only one."},
        ),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
        envelope_schema({}),
    ),
    "publish_workflow": (
        "Publish a version",
        "Let a workflow's name run this version: a draft, whose examples are run first, or one that was published before, to go back to it.",
        _object(["name", "version"], name=_NAME, version=_VERSION, force=_FORCE),
        types.ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False),
        None,
    ),
}  # fmt: skip


def _source(limits: Limits) -> dict[str, Any]:
    text = f"The module's Python source, at most {limits.max_source_bytes / 1024:g} KiB."
    return {**_or_null("string"), "description": text}


def _session_id(limits: Limits) -> dict[str, Any]:
    text = (
        'Whose state to use: a session_id that an earlier call returned, or "new" for a fresh one. Left out: this client\'s own session. '
        f"A session unused for {limits.session_ttl_s / 86_400:g} days expires."
    )
    return {"type": "string", "description": text}


def _idempotency_key(limits: Limits) -> dict[str, Any]:
    within = f"{limits.idempotency_ttl_s / 3600:g} hours"
    text = f"Any text of your own: the same key within {within} gives back the same run instead of starting another."
    return {**_or_null("string"), "description": text}


def _wait_s(limits: Limits) -> dict[str, Any]:
    longest = max(_LEAST_WAIT_S, limits.inline_deadline_s)
    return {
        "type": "number",
        "minimum": 0,
        "maximum": int(longest) if longest == int(longest) else longest,
        "default": 0,
    }


_OF_LIMITS: Final[dict[tuple[str, str], Callable[[Limits], dict[str, Any]]]] = {
    ("create_workflow", "source"): _source,
    ("run_workflow", "session_id"): _session_id,
    ("run_workflow", "idempotency_key"): _idempotency_key,
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
