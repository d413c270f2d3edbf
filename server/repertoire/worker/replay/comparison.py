"""Comparison: compares calls with their records, and keeps the first disagreement; used by Replay (replay, rule 3).

Arguments are compared by their hashes, which `values/argument_hashes.py` makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from ...values.refusals import NonDeterminism
from ...wire import Call, Record, Recorded

DETERMINISM: Final = (
    "What decides which calls are made must be the same each time. Arguments, results of calls, session_state, step(), now() are, and so "
    "are the modules time, random and uuid as this file imports them, and numpy's and torch's global generators. Put anything else into a "
    "step(): files, networks, the environment, generators without a seed, secrets, os.urandom, the order of a set of objects."
)


class Comparison:
    """The comparison of one run."""

    def __init__(self) -> None:
        self.former_hashes: dict[int, Callable[[], str]] = {}
        """By frame id: the hash that the first versions of Repertoire gave to the step. It is accepted too."""
        self.lost: NonDeterminism | None = None
        """The first disagreement with the records. From then on no call of the body is answered."""

    def check(self) -> None:
        """Raises NonDeterminism after a disagreement."""
        if self.lost is not None:
            raise self.lost

    def lose(self, why: str) -> NoReturn:
        """Raises NonDeterminism, here and from now on."""
        self.lost = NonDeterminism(why, hint=DETERMINISM)
        raise self.lost

    def compare(self, frame: Call | Record, record: Recorded) -> None:
        """Raises NonDeterminism when the call does not agree with the record."""
        former = self.former_hashes.pop(frame.id, None)
        if frame.op == record.op and (frame.hash == record.hash or (former and former() == record.hash)):
            return
        self.diverge(frame, record)

    def diverge(self, frame: Call | Record, record: Recorded) -> NoReturn:
        """Raises NonDeterminism: this record is not that of the call."""
        self.lose(f"call {frame.path} was recorded as {describe(record)}, and came as {describe(frame)}")


def describe(call: Call | Record | Recorded) -> str:
    return f"{call.op} {call.label or ''}".strip() + f" (call {call.path}, arguments {call.hash})"
