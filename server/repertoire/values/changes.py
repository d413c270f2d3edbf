"""State changes of a step: compares `session_state` before and after, and applies the difference again on replay. Used by the worker.

The journal keeps the change with the step's result, because replay does not run the step. Theory of operation:

1. A change is a tree. It holds the changed keys of a dict, the items appended to a list, or else the whole new value.
2. Code that ran beside the step may have changed the same value. Its list items stay. Two changes of an integer are added up.
   Any other conflict raises NonDeterminism.
"""

from __future__ import annotations

import json
import marshal
import threading
import zlib
from collections import Counter
from typing import Any, Final

from . import codec
from .refusals import NonDeterminism, StateError
from .trees import TAG, TreeEncoder, read_tree
from .update_in_place import update_in_place

_PLAIN_MARSHAL: Final = 2
_SCALARS: Final = str | int | float | None

Before = bytes | str | None


def before(state: dict[str, Any]) -> Before:
    """A snapshot of the state, for a later comparison. None if the state cannot be stored now."""
    try:
        return codec.mark(state) or codec.encode(state)
    except (StateError, RuntimeError):  # RuntimeError: another thread is changing it
        return None


def change(was: Before, now: Before, *, beside: bool) -> Any:
    """The difference of two snapshots as a tree; None if there is none. `beside`: other code may have run at the same time."""
    if was is None or now is None or now == was:
        return None
    return _change(_tree(was), _tree(now), beside)


def _tree(kept: bytes | str) -> Any:
    return json.loads(kept) if isinstance(kept, str) else TreeEncoder().write(codec.of_mark(kept), "session_state")


def _change(was: Any, now: Any, beside: bool) -> Any:
    if _is_same(was, now):
        return None
    if type(was) is type(now) is dict and TAG not in was and TAG not in now:
        gone = [key for key in was if key not in now]
        new = {key: _change(was[key], item, beside) if key in was else ["value", item] for key, item in now.items()}
        if list(now) == [key for key in was if key in now] + [key for key in now if key not in was]:
            return ["dict", {key: one for key, one in new.items() if one is not None}, gone]
    if type(was) is type(now) is list and was and _is_same(was, now[: len(was)]):
        return ["list", list(map(_digest, was)) if beside else len(was), now[len(was) :]]
    return ["value", now, was] if isinstance(was, _SCALARS) and isinstance(now, _SCALARS) else ["value", now]


def _is_same(one: Any, other: Any) -> bool:
    return marshal.dumps(one, _PLAIN_MARSHAL) == marshal.dumps(other, _PLAIN_MARSHAL)


def make_again(state: dict[str, Any], tree: Any) -> None:
    """Apply a recorded change to the state, in place. Values that already equal the recorded ones stay."""
    _apply(state, tree)


def _apply(held: Any, tree: Any) -> Any:
    kind, *rest = tree
    if kind == "value":
        return update_in_place(held, read_tree(rest[0])) if len(rest) == 1 else _apply_scalar(held, *rest)
    if kind == "list":
        held.extend(_missing_items(held, *rest))
        return held
    new, gone = rest
    for key in gone:
        held.pop(key, None)
    for key, one in new.items():
        held[key] = _apply(held.get(key), one)
    return held


def _apply_scalar(held: Any, now: Any, was: Any) -> Any:
    if _is_same(held, was) or _is_same(held, now):
        return now
    if type(held) is type(was) is type(now) is int:
        return held + now - was
    raise NonDeterminism(
        f"a step changed a value in session_state from {was!r} to {now!r}, but it is {held!r} now",
        hint="Code that runs beside a step must not change the same value: change it after the step.",
    )


def _missing_items(held: list[Any], was: int | list[int], tail: list[Any]) -> list[Any]:
    """The items of `tail` that the list lacks. Items from before the step (`was`: their number or digests) do not count."""
    there = [TreeEncoder().write(one, "") for one in (held[was:] if isinstance(was, int) else held)]
    if isinstance(was, list):
        left = Counter(was)
        there = [one for one in there if not _count_off(left, _digest(one))]
    new = []
    for one in tail:
        found = next((i for i, other in enumerate(there) if _is_same(one, other)), None)
        if found is None:
            new.append(read_tree(one))
        else:
            del there[found]
    return new


def _digest(tree: Any) -> int:
    return zlib.crc32(marshal.dumps(tree, _PLAIN_MARSHAL))


def _count_off(left: Counter[int], digest: int) -> bool:
    """Take one occurrence of `digest` off. False if none was left."""
    left[digest] -= 1
    return left[digest] >= 0


class StepChanges:
    """Finds the state changes of one run's steps. Each step gets the changes since the last step ended."""

    def __init__(self) -> None:
        self._going_on = 0
        self._seen: Before = None
        self._lock = threading.Lock()

    def begin(self, state: dict[str, Any]) -> None:
        with self._lock:
            if not self._going_on:  # a new snapshot would lose the changes of the steps that are still running
                self._seen = before(state)
            self._going_on += 1

    def end(self, state: dict[str, Any], *, beside: bool) -> Any:
        """The step's change, as `change` gives it."""
        with self._lock:
            was, self._seen = self._seen, before(state)
            beside = beside or self._going_on > 1
            self._going_on -= 1
            return change(was, self._seen, beside=beside)
