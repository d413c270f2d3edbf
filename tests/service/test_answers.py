"""Answers to questions whose schema may be slow are checked beside the server, with a time limit."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from repertoire.errors import BadArguments
from repertoire.model.run import Question
from repertoire.service.answers import fitting_answer

pytestmark = pytest.mark.anyio


def question(schema: dict[str, Any]) -> Question:
    return Question("q", "r", "Well?", schema, 0.0)


async def test_a_pattern_that_takes_for_ever_holds_up_nobody_and_is_refused() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.05)
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        with pytest.raises(BadArguments, match="could not be checked"):
            await fitting_answer(question({"type": "string", "pattern": "^(a+)+$"}), "a" * 40 + "!")
        tasks.cancel_scope.cancel()
    assert turns > 5


async def test_other_answers_are_as_they_were() -> None:
    schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]+$"}}}
    assert await fitting_answer(question(schema), '{"code": "AB"}') == {"code": "AB"}
    with pytest.raises(BadArguments, match="does not fit") as refused:
        await fitting_answer(question(schema), {"code": "ab"})
    assert "pattern" in (refused.value.hint or "")
    assert await fitting_answer(question({"type": "integer"}), "3") == 3
