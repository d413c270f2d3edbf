"""Commands that start a run: run, exec and rerun. They follow the run to its end, unless it is detached."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ..errors import BadArguments
from ..model.session import COMMAND_LINE
from . import output
from .arguments import read_object, read_text, read_words
from .follow_run import RunFollower, print_end
from .home_client import HomeClient, carry_out
from .parameters import example, takes
from .program import Folders, Home, Json, Name, Payload, RunId, Section, Session, Words, command, settings_of

Stream = Annotated[bool, typer.Option("--stream", help="Print each event as a line of JSON, then the answer.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Print the run's id at once; it goes on in the daemon.")]


@command(
    Section.RUNS,
    "repertoire run add a=2 b=3",
    "repertoire run add --a 2 --b 3",
    "repertoire run report text=@notes.txt",
    """repertoire run add --payload '{"a": 2, "b": 3}'""",
    "repertoire run add @arguments.json       or - for standard input",
    "repertoire run crawl --detach            then: repertoire logs last --follow",
    ignore_unknown_options=True,
)
def run(
    name: Name,
    words: Words = None,
    payload: Payload = None,
    session: Session = COMMAND_LINE,
    stream: Stream = False,
    detach: Detach = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Run a workflow and print its result.

    With --json it prints the whole answer. At a terminal, the run's questions are asked here. `repertoire show NAME` says what a
    workflow takes.
    """
    arguments = {} if payload is None else read_object(payload, "--payload")

    async def work(calls: HomeClient) -> dict[str, Any]:
        given = arguments
        if words:
            given = given | read_words(words, (await calls.call("takes", {"name": name}))["input_schema"], name)
        args = {"name": name, "arguments": given}
        if detach:
            started: dict[str, Any] = await calls.call("start", args)
            return started
        answer = await RunFollower(name, calls, stream=stream).carry("run", args)
        if (answer.get("error") or {}).get("code") == BadArguments.code:
            answer["takes"] = await calls.call("takes", {"name": name})
        return answer

    answer = carry_out(settings_of(home, workflows), work, session, needs_daemon=True)
    if detach:
        _print_start(answer, as_json)
        return
    wanted = answer.pop("takes", None)
    print_end(answer, stream=stream, as_json=as_json, usage=_usage(name, wanted["input_schema"]) if wanted else None)


def _usage(name: str, schema: dict[str, Any]) -> list[str]:
    first, *rest = takes(schema)
    return [f"{name} {first}", *rest, f"For example: {example(name, schema)}"]


def _print_start(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(answer)
        return
    sys.stdout.write(answer["run_id"] + "\n")
    short = answer["run_id"].rpartition(":")[2]
    output.err.print(f"`repertoire logs {short} --follow` follows it, `repertoire show {short}` has its result.")


@command(
    Section.RUNS,
    "repertoire exec count.py",
    "repertoire exec count.py folder=/tmp most=3",
    """echo 'await workflows.add(a=a, b=1)' | repertoire exec - a=2""",
    name="exec",
    ignore_unknown_options=True,
)
def exec_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A Python file; - is standard input.")],
    words: Words = None,
    payload: Payload = None,
    session: Session = COMMAND_LINE,
    stream: Stream = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Run a file once as a workflow, without publishing it, and print its result.

    The file has statements, whose last expression is the result and in which the arguments are names; or it defines run(...).
    """
    arguments = ({} if payload is None else read_object(payload, "--payload")) | read_words(words or [], {}, file)
    args = {"source": read_text(file), "arguments": arguments}

    async def work(calls: HomeClient) -> dict[str, Any]:
        return await RunFollower(file, calls, stream=stream).carry("exec", args)

    answer = carry_out(settings_of(home, workflows), work, session, needs_daemon=True)
    print_end(answer, stream=stream, as_json=as_json)


@command(
    Section.RUNS,
    "repertoire rerun last",
    "repertoire rerun last --from 2           make call 2 and what ended after it again",
)
def rerun(
    run_id: RunId,
    before: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PATH", help="Make this call, and what ended after it, again: `show` has the paths."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="FILE", help="Run this text instead; - is standard input.")
    ] = None,
    stream: Stream = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Run again, with the arguments and records of an old run.

    The new run takes the answers that are recorded there, up to the call that --from names.
    """
    args = {"run_id": run_id, "before": before, "source": None if source is None else read_text(source)}

    async def work(calls: HomeClient) -> dict[str, Any]:
        return await RunFollower(f"rerun of {run_id}", calls, stream=stream).carry("rerun", args)

    answer = carry_out(settings_of(home, workflows), work, needs_daemon=True)
    print_end(answer, stream=stream, as_json=as_json)
