"""Answers: what a test gives for questions, workflows and tools; used by `Stage` in this process and by `crashes` in the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..values.records import CallError

_MISSING: Final = object()


class NoAnswer(AssertionError):
    """Raised when the body asks or calls something for which the test has given nothing."""


class Answers:
    """Answers by a part of the question, and mocks by the name of a workflow or tool."""

    def __init__(self) -> None:
        self._answers: list[tuple[str, list[Any]]] = []
        self._mocks: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def add_answers(self, question: str, answers: tuple[Any, ...]) -> None:
        self._answers.insert(0, (question, list(answers)))

    def add_mock(self, name: str, result: Any, error: str | Exception | None) -> None:
        def answer(arguments: dict[str, Any]) -> Any:
            if isinstance(error, Exception):
                raise error
            if error is not None:
                raise CallError(error, code="exception", type="CallError")
            return result(**arguments) if callable(result) else result

        self._mocks[name] = answer

    def copy(self) -> Answers:
        """The same answers, none of them used."""
        found = Answers()
        found._answers = [(question, list(answers)) for question, answers in self._answers]
        found._mocks = self._mocks
        return found

    def knows(self, name: str) -> bool:
        return name in self._mocks

    def perform(self, op: str, args: dict[str, Any]) -> Any:
        """The answer to a call. Raises NoAnswer, and the error that the test wants."""
        if op == "ask":
            return self._answer(args["question"], args["schema"])
        if op == "sleep":
            return None
        if op == "workflow":
            given = {name: value for name, value in args["arguments"].items() if name != "session_id"}
            return self.call(args["name"], given)
        if op == "tool":
            return self.call(f"tools.{args['tool']}", args["arguments"])
        return self.call(op, args)

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        mock = self._mocks.get(name)
        if mock is None:
            raise NoAnswer(f"the workflow calls {name}, and the test has no mock for it: stage.mock({name!r}, result)")
        return mock(arguments)

    def _answer(self, question: str, schema: dict[str, Any]) -> Any:
        for part, answers in self._answers:
            if part in question:
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, Exception):
                    raise answer
                return _checked(question, schema, answer)
        raise NoAnswer(f"the workflow asks {question!r}, and the test has no answer: stage.answer({question!r}, ...)")


def _checked(question: str, schema: dict[str, Any], answer: Any) -> Any:
    """The answer in its JSON form. Raises NoAnswer where a person could not have given it."""
    from pydantic_core import to_jsonable_python

    from ..engine.long_waits import check_answer
    from ..errors import BadArguments
    from ..model.run import Question

    try:
        return check_answer(Question("test", "test", question, schema, 0.0), to_jsonable_python(answer))
    except BadArguments as error:
        raise NoAnswer(f"{question!r}: {error.message} {error.hint}") from None
