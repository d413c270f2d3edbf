"""The command debug: runs a workflow in this process, where `breakpoint()`, `input()` and a debugger have the terminal.

The body's doors are local ones: nothing is recorded, and steps are simply performed. `workflows.NAME(...)` runs that workflow by the home, as a
run of its own. `ask` asks here. The home's artifacts can be loaded; what the body saves is gone at the end.
"""

from __future__ import annotations

import asyncio
import bdb
import json
import os
import pdb
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

import msgspec
import typer

from ..authoring import ambient
from ..authoring.doors import EventType
from ..authoring.local_doors import LocalDoors
from ..authoring.local_workspace import LocalWorkspace
from ..engine.long_waits import check_answer
from ..errors import BadArguments, RepertoireError, UnknownArtifact
from ..model.run import Question
from ..providers import local
from ..settings import Settings
from ..values.records import CallError
from ..values.refusals import NotAvailable
from ..wire import Code as SourceCode
from . import output
from .arguments import read_object, read_words
from .control_client import ControlError
from .home_client import HomeClient, carry_out
from .program import Code, Folders, Home, Name, Payload, Section, Words, call_verb, command, settings_of
from .prompt import choices, read_answer


@command(Section.RUNS, "repertoire debug add a=2", ignore_unknown_options=True)
def debug(
    name: Name,
    words: Words = None,
    payload: Payload = None,
    post_mortem: Annotated[
        bool, typer.Option("--pdb", help="Open the debugger where an exception was raised.")
    ] = False,
    home: Home = None,
    workflows: Folders = None,
) -> None:
    """Run a workflow in the foreground, with breakpoint() and input().

    Nothing is recorded or saved, and its session state is empty.
    """
    from ..worker.foreground import Foreground  # what a worker imports is for this command only

    settings = settings_of(home, workflows)
    arguments = {} if payload is None else read_object(payload, "--payload")
    if words:
        arguments |= read_words(words, call_verb(home, workflows, "takes", name=name)["input_schema"], name)
    code = msgspec.json.decode(call_verb(home, workflows, "code", name=name), type=SourceCode)
    sys.path.insert(0, "")
    workspace = LocalWorkspace()
    doors = LocalDoors(partial(_perform, settings, workspace), _show, partial(_find_artifact, settings), workspace)
    body = Foreground(code, doors, time.sleep, f"workflow:{code.name}:debug", settings.prefer_installed)
    try:
        result = body.run(arguments, {}, dict(os.environ))
    except bdb.BdbQuit:
        raise typer.Exit(130) from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        fault = body.explain(error)
        output.err.print(fault.traceback or "", markup=False)
        where = f" (line {fault.line})" if fault.line else ""
        output.error(f"{fault.type}: {fault.message}{where}", fault.hint)
        if post_mortem:
            pdb.post_mortem(error.__traceback__)
        raise typer.Exit(Code.FAILED) from None
    output.print_json(result)


def _show(type: EventType, data: dict[str, Any]) -> None:
    ambient.write(type, data)


def _perform(settings: Settings, workspace: LocalWorkspace, op: str, args: dict[str, Any]) -> Any:
    """Carry out a call of the body."""
    if op == "ask":
        return _ask(args["question"], args["schema"])
    if op == "sleep":
        output.err.print(f"sleep {args['seconds']:g} s: not waited for", markup=False)
        return None
    if op == "workflow":
        return _in_home(settings, partial(_run_workflow, args["name"], args["arguments"]))
    if op == "tool":
        return json.loads(
            _in_home(
                settings, lambda calls: calls.call("tool_call", {"name": args["tool"], "arguments": args["arguments"]})
            )
        )
    if op == "model":
        asking = local.make(args, aliases=settings.model_aliases, default=settings.default_model)
        with ThreadPoolExecutor(1) as thread:  # the body's own thread may have a loop
            return thread.submit(asyncio.run, asking).result()
    if op == "shell":
        return workspace.perform(op, args)
    if op not in _VERBS:
        raise NotAvailable(f"{op}: not done in the foreground, because it changes what is published")
    verb, pick = _VERBS[op]
    return pick(_in_home(settings, lambda calls: calls.call(verb, args)))


_VERBS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "workflows.search": ("search", lambda answer: answer["matches"]),
    "workflows.list": ("list", lambda answer: answer["workflows"]),
    "workflows.get": ("show", lambda answer: answer),
    "tools.list": ("tools", lambda answer: answer["tools"]),
    "tools.search": ("tools", lambda answer: answer["tools"]),
}


def _find_artifact(settings: Settings, name: str) -> tuple[dict[str, Any], bytes] | None:
    try:
        found = _in_home(settings, lambda calls: calls.call("artifact_show", {"name": name}))
    except (RepertoireError, ControlError) as error:
        if error.code == UnknownArtifact.code:
            return None
        raise CallError(error.message, code=error.code, type="BadArguments", hint=error.hint) from None
    with open(found.pop("path"), "rb") as file:
        return found, file.read()


def _ask(question: str, schema: dict[str, Any]) -> Any:
    """Asks until the typed text can be a value for the schema. An object is typed as JSON."""
    while True:
        text = input(f"{question}\n{choices(schema)}> ")
        try:
            return check_answer(Question("debug", "debug", question, schema, 0.0), read_answer(text.strip(), schema))
        except ValueError as error:
            output.err.print(f"  {error}", markup=False)
        except BadArguments as refused:
            output.err.print(f"  {refused.message}", markup=False)


def _in_home(settings: Settings, work: Callable[[HomeClient], Any]) -> Any:
    """Do it in a thread: the body's own event loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(carry_out, settings, work).result()


async def _run_workflow(name: str, arguments: dict[str, Any], calls: HomeClient) -> Any:
    answer = await calls.call("run", {"name": name, "arguments": arguments, "session_id": "new"})
    while answer["status"] == "input_required":
        for question in answer["questions"]:
            given = {"answer": _ask(question["question"], question["schema"]), "question_id": question["id"]}
            await calls.call("answer", {"run_id": answer["run_id"], **given})
        asked = [question["id"] for question in answer["questions"]]
        answer = await calls.call("attend", {"run_id": answer["run_id"], "asked": asked})
    if answer["status"] != "completed":
        error: dict[str, str] = answer.get("error") or {"message": f"it is {answer['status']}", "code": "cancelled"}
        known = error["code"]
        raise CallError(error["message"], code=known, type=error.get("type", "CallError"))
    return answer.get("result")
