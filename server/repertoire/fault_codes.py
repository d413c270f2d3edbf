"""Fault codes: a table of every `code` that an error of Repertoire has: when it happens, who can act, and what to do.

Worker, server and command line make errors with these codes (`Fault`, `Refused`, the classes in errors.py and values/refusals.py).
A code never changes once it is released. `docs/errors.md` holds the text of `as_markdown()`; a test compares both with the sources.
Not the numbers of JSON-RPC errors, and not the rules of findings, which docs/publishing.md explains.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Actor = Literal["caller", "author", "operator", "nobody"]
"""Caller: the agent or person who made the call. Author: who wrote the workflow. Operator: who runs the server."""


class FaultCode(NamedTuple):
    """One row of the table."""

    when: str
    actor: Actor
    """The one who can act first."""
    action: str


_CALLS: Final[dict[str, FaultCode]] = {
    "unknown_workflow": FaultCode("No workflow of that name is visible to the caller.", "caller", "Search, or correct the name."),
    "unknown_run": FaultCode("There is no run of that id, or it belongs to another user.", "caller", "List the runs, and correct the id."),
    "unknown_session": FaultCode("There is no session of that id, it has expired, or it is another user's.", "caller", 'Give "new".'),
    "invalid_arguments": FaultCode("The arguments do not fit the tool's schema. Nothing was run.", "caller", "Correct what the message names."),
    "unknown_artifact": FaultCode("There is no artifact of that name, or it is another user's.", "caller", "List them, and correct the name."),
    "busy": FaultCode("More runs wait for a worker than `max_queued` allows.", "caller", "Make the call again after the time in the hint."),
    "server_ends": FaultCode("The server ends before a call that changes something was finished.", "caller", "Look, then call again."),
    "error": FaultCode("Repertoire failed to answer this call.", "operator", "Read the server's log."),
}  # fmt: skip

_RUNS: Final[dict[str, FaultCode]] = {
    "exception": FaultCode("The body raised an exception.", "author", "Correct the line that the error names."),
    "call_failed": FaultCode("A call of the body failed, and the body did not catch its `CallError`.", "author", "Catch it, or mend the call."),
    "exit": FaultCode("The body called `sys.exit` or raised `KeyboardInterrupt`.", "author", "Return a value, or raise an exception."),
    "worker_exit": FaultCode("The body ended its own process (`os._exit`).", "author", "Return a value, or raise an exception."),
    "worker_lost": FaultCode(
        "The process of the run was killed or died of a signal, or the server died under the run too often.", "author",
        "Use less memory. If the server died, read its log; `repertoire rerun RUN` begins the run anew.",
    ),
    "bad_frame": FaultCode(
        "The process of the run wrote to its own connection to the server, or sent more than `max_frame_bytes`.", "author",
        "Do not write to sockets that the workflow has not opened itself.",
    ),
    "out_of_memory": FaultCode("The body used more memory than `worker_memory_mb`.", "author", "Stream the input instead of holding it."),
    "timeout": FaultCode("The run took longer than `timeout_s` or `run_timeout_s`.", "author", "Do less in one run, or declare `timeout_s`."),
    "cancelled": FaultCode("The run was cancelled.", "caller", "Run it again if it is still needed."),
    "failed": FaultCode("A run that the body called failed without a recorded reason.", "operator", "Read the server's log."),
    "expired": FaultCode("Nobody answered a question in time.", "author", "Ask again, or go on without an answer."),
    "over_budget": FaultCode("The run with all runs below it has used up its budget.", "author", "Do less, or declare a larger `budget`."),
    "deadlock": FaultCode("The run waits for a session state whose holder waits for this run.", "author", "Use another session."),
    "result_not_json": FaultCode("The result has no JSON form.", "author", "Convert it before `return`."),
    "result_mismatch": FaultCode("The result does not fit the return annotation.", "author", "Correct the value or the annotation."),
    "result_too_large": FaultCode("The result is longer than `max_result_bytes`.", "author", "Write large data to a file; return its path."),
    "too_many_items": FaultCode("A generator yielded more than `max_items` values.", "author", "Yield pages, or write to a file."),
    "record_too_large": FaultCode("The result of a step is longer than `max_record_bytes`.", "author", "Write it to a file; return its path."),
    "no_such_file": FaultCode("A workspace has no such file, or the text cannot be a path.", "author", "List the folder; correct the path."),
    "file_exists": FaultCode("A workspace has a file or folder of that path.", "author", "Use another path, or remove it first."),
    "not_a_file": FaultCode("A path in a workspace is a folder or a special file.", "author", "Name a regular file."),
    "not_a_folder": FaultCode("A part of a path in a workspace is not a folder.", "author", "Correct the path."),
    "outside_workspace": FaultCode("A path leads out of the run's workspace.", "author", "Use a path in it, without `..` and outside links."),
    "workspace_full": FaultCode(
        "A workspace or one file in it reached `max_workspace_bytes`, `max_workspace_files` or `max_workspace_file_bytes`.", "author",
        "Remove files, or work in parts.",
    ),
    "shell_refused": FaultCode("The run may not use the shell, or not with these arguments.", "author", "Do what the hint says."),
    "shell_timeout": FaultCode("A command took longer than its `timeout`, or was cancelled.", "author", "Give it less to do, or more time."),
    "artifact_too_large": FaultCode("An artifact is larger than `max_artifact_bytes`.", "author", "Save it in parts."),
    "artifacts_full": FaultCode(
        "There are `max_artifacts` artifacts, or `max_artifacts_bytes` of them.", "operator", "Delete some, or raise the setting.",
    ),
    "damaged_artifact": FaultCode("The file of an artifact is gone, or was changed.", "operator", "Save it again."),
    "state_not_serialisable": FaultCode("State, a step's result or an error cannot be stored.", "author", "Convert what the message names."),
    "state_too_large": FaultCode("A session's state is longer than `max_state_bytes`.", "author", "Store less, or an artifact's name."),
    "session_busy": FaultCode("Another run holds the class's session and did not give it up in time.", "caller", "Make the call again."),
    "session_conflict": FaultCode("Somebody else changed the class's stored state during the run.", "caller", "Make the call again."),
    "no_model": FaultCode(
        "An agent asks a model that cannot be asked: no key, a key that the provider refuses, or an unknown name.", "operator",
        "Set the key, or map the model in `model_aliases`; `repertoire doctor` shows which keys there are.",
    ),
    "model_failed": FaultCode(
        "The provider of a model gave no usable reply, although the request was repeated.", "author", "Catch it, or run again later.",
    ),
    "tool_failed": FaultCode("A tool that the body called says that it failed.", "author", "Read its text; mend the call, or catch it."),
    "tool_unavailable": FaultCode(
        "A tool's server does not start, has died or hangs, or lost the tool.", "operator", "Run `repertoire tools doctor`."
    ),
    "tool_timeout": FaultCode("A tool took longer than its time limit.", "author", "Ask it for less, or raise its limit."),
    "unknown_tool": FaultCode("No source of tools has a tool of that name.", "author", "Look for it with `search_tools`, or correct the name."),
    "tool_not_allowed": FaultCode(
        "The workflow may not use this tool: its source does not name it, or created code may not use it here.", "author",
        'Name it in the source or in `__workflow__ = {"tools": [...]}`; for created code the operator lists it in `untrusted_tools`.',
    ),
    "workflow_not_allowed": FaultCode(
        "A run may not call this workflow: one of the two is trusted, and the other is not.", "operator",
        "Approve it with `repertoire approve`; for created callers mark it `callable_by_untrusted`, or list it in `untrusted_workflows`.",
    ),
    "tool_refused": FaultCode("A person did not allow the call of a tool. Nothing was sent.", "author", "Go on without it."),
    "bad_tool_arguments": FaultCode("The arguments of a tool call do not fit the tool's schema. Nothing was sent.", "author", "Correct them."),
    "not_available": FaultCode("The body used something that this version does not have.", "author", "Use what the hint names."),
    "non_determinism": FaultCode(
        "A body that was run again did something else than its journal has.", "author", "Put what differs between two runs into a `step()`.",
    ),
    "not_recorded": FaultCode("A call of the run could not be stored.", "operator", "Mend the disk, then rerun."),
    "lost_claim": FaultCode("Another process runs it now. This one's writes are discarded.", "nobody", "Read the run."),
    "version_gone": FaultCode("The source of the run's version is no longer stored.", "caller", "Run the workflow's present version."),
    "internal": FaultCode("Repertoire failed to do this.", "operator", "Read the server's log."),
    "unknown_key": FaultCode("A worker was given a run without its code.", "operator", "Report it: this is a defect of Repertoire."),
}  # fmt: skip

_PUBLISHING: Final[dict[str, FaultCode]] = {
    "refused": FaultCode("The source cannot be published, or the daemon refused the connection.", "author", "Correct what the message names."),
    "syntax_error": FaultCode("The source cannot be parsed.", "author", "Correct that line."),
    "no_run": FaultCode("The source has no `run` and no workflow class.", "author", "Define `run(...)` at the top level."),
    "bad_signature": FaultCode("The signature of `run` has no JSON Schema.", "author", "Change the parameter the message names."),
    "bad_schema": FaultCode("The schema that a type gives is not JSON Schema.", "author", "Look at what the type changes in its schema."),
    "bad_options": FaultCode("`__workflow__` is not a literal dict of known options.", "author", "Correct the option the message names."),
    "bad_name": FaultCode("The name cannot be a workflow's name.", "author", "Choose another name."),
    "bad_tags": FaultCode("There are too many tags, or one is too long or not printable.", "author", "Correct the tags."),
    "bad_example": FaultCode("An example is not in the form that the message describes.", "author", "Correct the example."),
    "class_name": FaultCode("The source has several workflow classes, none of that name.", "author", "Use the name of one of them."),
    "name_taken": FaultCode("Another workflow has this name.", "author", "Choose another name, or use `replace`."),
    "in_use": FaultCode("Other workflows call this one and could not any more.", "author", "Change those first, or use `force`."),
    "from_a_file": FaultCode("The workflow comes from a file.", "operator", "Change or remove the file."),
    "source_too_large": FaultCode("The source is longer than `max_source_bytes`.", "author", "Split it, or import a package."),
    "bundle_too_large": FaultCode("The modules beside the source exceed `max_bundle_bytes`.", "author", "Make a package of them."),
    "not_utf8": FaultCode("The file is not UTF-8.", "author", "Save it as UTF-8."),
    "unreadable": FaultCode("The file cannot be read.", "operator", "Make it a regular, readable file."),
    "not_storable": FaultCode("A text or number of the version cannot be stored.", "author", "Correct what the message names."),
    "import_failed": FaultCode(
        "The module's top level raised, or it imports a module that is missing or that created code may not import.", "author",
        "Mend the import; a person can install the package, or list it in `packages`.",
    ),
    "import_timeout": FaultCode("Loading the module took longer than `inspect_timeout_s`.", "author", "Move work into `run()`."),
    "cannot_work": FaultCode("The source reads a name or calls a workflow that does not exist, or calls one wrongly.", "author", "Correct it."),
    "examples_failed": FaultCode("At least one example does not hold.", "author", "Correct the source or the example."),
    "no_examples": FaultCode("The server publishes only workflows with examples.", "author", "Give examples."),
    "no_mock": FaultCode("An example makes a call that is not done in an example.", "author", "Give the example a mock for it."),
    "mocked": FaultCode("A mock of an example gave its error.", "author", "Nothing, if the example expects it."),
    "approval_required": FaultCode(
        "The server publishes and runs only what a person has approved.", "operator", "Read it, and run the command in the hint.",
    ),
    "authoring_off": FaultCode("No client may create, publish, delete or run code of its own.", "operator", "Change the setting `authoring`."),
}  # fmt: skip

_SERVER: Final[dict[str, FaultCode]] = {
    "storage": FaultCode("The database cannot be read or written now.", "operator", "Make room, or end the program that holds the lock."),
    "damaged_store": FaultCode("The database file is damaged. It is never overwritten.", "operator", "Restore it, or use another home."),
    "newer_schema": FaultCode("A newer Repertoire wrote the database.", "operator", "Install that version."),
    "bad_settings": FaultCode("A flag, variable or configuration file cannot be used.", "operator", "Correct what the message names."),
    "invalid_request": FaultCode("The daemon cannot read a request of the command line.", "operator", "Use the same version on both sides."),
    "no_answer": FaultCode("The process that owns the home does not answer the command line.", "operator", "Wait for it, or end it."),
    "daemon_ended": FaultCode("The daemon ended before it answered the command line.", "operator", "Run the command again."),
}  # fmt: skip

SECTIONS: Final[dict[str, dict[str, FaultCode]]] = {
    "Calls": _CALLS,
    "Runs": _RUNS,
    "Sources and publishing": _PUBLISHING,
    "Server and command line": _SERVER,
}
FAULT_CODES: Final[dict[str, FaultCode]] = {code: row for rows in SECTIONS.values() for code, row in rows.items()}


def as_markdown() -> str:
    """The tables of docs/errors.md, one for each section."""
    parts: list[str] = []
    for title, rows in SECTIONS.items():
        parts += [f"## {title}", "", "| code | when | who can act | what to do |", "|---|---|---|---|"]
        parts += [f"| `{code}` | {row.when} | {row.actor} | {row.action} |" for code, row in rows.items()]
        parts.append("")
    return "\n".join(parts)
