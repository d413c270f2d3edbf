"""Answers: checks an answer against the schema of its question, which is somebody else's; used by `Runs`.

A schema that may be slow is used in a subprocess with a time limit, so that no question holds up the server.
"""

from __future__ import annotations

from typing import Any

from ..engine.long_waits import check_answer
from ..errors import BadArguments
from ..model.run import Question
from ..registry.subprocess_check import CHECK_S, TooLong, may_be_slow, run_in_subprocess


async def fitting_answer(question: Question, answer: Any) -> Any:
    """The answer in the form that the schema wants. Raises BadArguments."""
    if not may_be_slow(question.schema):
        return check_answer(question, answer)
    try:
        found, refusal = await run_in_subprocess(_check, question, answer)
    except TooLong:
        raise BadArguments(
            f"The answer could not be checked within {CHECK_S} s: the schema of the question is too slow for it.",
            "Give a shorter answer.",
        ) from None
    if refusal is not None:
        raise BadArguments(*refusal)
    return found


def _check(question: Question, answer: Any) -> tuple[Any, tuple[str, str | None] | None]:
    """The answer, or the message and the hint of its refusal: an exception does not come through to another process whole."""
    try:
        return check_answer(question, answer), None
    except BadArguments as error:
        return None, (error.message, error.hint)
