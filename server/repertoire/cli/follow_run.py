"""Follow a run: `RunFollower` shows a run's events and asks its questions at the terminal; used by runs.py.

It follows until the run has ended, or asks a question that nobody at this terminal answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import anyio
import typer

from ..errors import BadArguments, RepertoireError
from ..model.lifecycle import FINAL
from . import output
from .control_client import ControlError
from .home_client import HomeClient
from .program import Code
from .prompt import EndOfInput, Keyboard, someone_is_there
from .run_tree import MODEL_NOTE, questions

_WITHDRAWAL_S: Final = 5.0
"""How long Ctrl-C waits until the run is cancelled."""


class RunFollower:
    """`stream`: print each event as a line of JSON. Otherwise a bar on stderr shows progress."""

    def __init__(self, title: str, calls: HomeClient, *, stream: bool) -> None:
        self._title = title
        self._calls = calls
        self._stream = stream
        self._bar: output.RunProgress | None = None
        self._keyboard = Keyboard()
        self._last = 0
        self._run_id: str | None = None

    async def carry(self, verb: str, args: dict[str, Any]) -> dict[str, Any]:
        """Carry out this verb. Returns the envelope of the ended run, or of a run whose question nobody here answers."""
        answer = await self._watch(verb, args)
        while answer["status"] not in FINAL and someone_is_there():
            after = await self._ask(answer)
            if after is None:
                break
            answer = after
        return answer

    async def _watch(self, verb: str, args: dict[str, Any]) -> dict[str, Any]:
        with output.RunProgress(self._title) as self._bar:
            try:
                answer: dict[str, Any] = await self._calls.call(verb, args, self._on_event)
                return answer
            except anyio.get_cancelled_exc_class():  # Ctrl-C
                with anyio.move_on_after(_WITHDRAWAL_S, shield=True):
                    await self._withdraw()
                raise

    async def _withdraw(self) -> None:
        """Cancel the run. A command that is killed, or whose terminal is closed, does not come here: its run goes on."""
        if self._run_id is not None:
            with contextlib.suppress(ControlError):
                await self._calls.call("withdraw", {"run_id": self._run_id})

    async def _on_event(self, event: dict[str, Any]) -> None:
        if "n" not in event:
            self._run_id = event.get("run_id")
            return
        self._last = event["n"]
        if self._stream:
            output.print_line(event)
        elif self._bar is not None:
            self._bar.take(event)

    async def _ask(self, asking: dict[str, Any]) -> dict[str, Any] | None:
        """Ask the person here, and watch the run meanwhile: another person may answer first. None: nobody answers."""
        asked = {question["id"] for question in asking["questions"]}
        gave_up = False
        answer: dict[str, Any] | None = None

        async def at_the_keyboard() -> None:
            nonlocal gave_up
            try:
                for question in asking["questions"]:
                    await self._ask_one(asking["run_id"], question)
            except EndOfInput:
                gave_up = True
                tasks.cancel_scope.cancel()

        args = {"run_id": asking["run_id"], "after": self._last, "asked": sorted(asked)}
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(at_the_keyboard)
                answer = await self._calls.call("attend", args, self._on_event)
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():  # Ctrl-C: the question stays open
            tell_how_to_answer(asking)
            raise
        return None if gave_up else answer

    async def _ask_one(self, run_id: str, question: dict[str, Any]) -> None:
        if question.get("kind") == "model":
            output.err.print(MODEL_NOTE, markup=False)
        while True:
            value = await self._keyboard.answer(question["question"], question["schema"])
            try:
                await self._calls.call("answer", {"run_id": run_id, "answer": value, "question_id": question["id"]})
                return
            except (RepertoireError, ControlError) as error:
                output.error(error.message, error.hint)
                if "does not fit" not in error.message:  # answered elsewhere, or the run has ended: nothing left to ask
                    return


def print_end(answer: dict[str, Any], *, stream: bool, as_json: bool, usage: Sequence[str] | None = None) -> None:
    """`usage` says what the workflow takes, when the arguments did not fit.

    Print the result to stdout. For a run that is not completed, print why to stderr and exit with FAILED, USAGE or WAITS."""
    if stream:
        output.print_line(answer)
    elif as_json:
        output.print_json(answer)
    if answer["status"] == "completed":
        if not stream and not as_json:
            _print_result(answer)
        return
    if answer["status"] not in FINAL:
        tell_how_to_answer(answer)
        raise typer.Exit(Code.WAITS)
    error = answer.get("error") or {}
    where = f" (line {error['line']})" if error.get("line") else ""
    output.error(f"{error.get('type')}: {error.get('message')}{where}", error.get("hint"))
    for line in usage if usage is not None else (f"`repertoire show {answer['run_id']}` shows the run.",):
        output.err.print(f"  {line}")
    raise typer.Exit(Code.USAGE if error.get("code") == BadArguments.code else Code.FAILED)


def tell_how_to_answer(run: dict[str, Any]) -> None:
    output.err.print(f"{run['run_id']} waits; it goes on when it has its answer.", markup=False)
    for line in questions(run):
        output.err.print(line, markup=False)


def _print_result(answer: dict[str, Any]) -> None:
    if "result_preview" in answer:
        if answer["parts"] > 1:
            output.err.print(f"A long result, in {answer['parts']} parts; this is its beginning.", markup=False)
        output.print_text(answer["result_preview"])
    else:
        output.print_json(answer["result"])
