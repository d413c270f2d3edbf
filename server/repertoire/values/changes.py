"""What a step has changed in the state, so that it is recorded with the step and made again where the step is not. Used by the worker.

Only what is different: keys of dicts, what was put behind the end of a list, else the value whole. Code that ran beside the step may
have changed the same since: what it put into a list stays, what both counted is added up, and anything else is refused.
"""

from __future__ import annotations

import json
import marshal
import threading
import zlib
from collections import Counter
from typing import Any, Final

from . import codec
from .merge import updated
from .refusals import NonDeterminism, StateError
from .trees import TAG, Encoder, read_tree

_PLAIN_MARSHAL: Final = 2
_SCALARS: Final = str | int | float | None

Before = bytes | str | None


def before(state: dict[str, Any]) -> Before:
    """The state as it is now, to be compared. None: it cannot be stored now, so nothing is known of it."""
    try:
        return codec.mark(state) or codec.encode(state)
    except (StateError, RuntimeError):  # another thread changes it just now
        return None


def change(was: Before, now: Before, *, beside: bool) -> Any:
    """What is different now, as a tree; None: nothing. `beside`: other code may have gone on meanwhile."""
    if was is None or now is None or now == was:
        return None
    return _change(_tree(was), _tree(now), beside)


def _tree(kept: bytes | str) -> Any:
    return json.loads(kept) if isinstance(kept, str) else Encoder().write(codec.of_mark(kept), "session_state")


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
    """In place. What is as it was recorded stays as it is."""
    _made(state, tree)


def _made(held: Any, tree: Any) -> Any:
    kind, *rest = tree
    if kind == "value":
        return updated(held, read_tree(rest[0])) if len(rest) == 1 else _scalar(held, *rest)
    if kind == "list":
        held.extend(_missing(held, *rest))
        return held
    new, gone = rest
    for key in gone:
        held.pop(key, None)
    for key, one in new.items():
        held[key] = _made(held.get(key), one)
    return held


def _scalar(held: Any, now: Any, was: Any) -> Any:
    if _is_same(held, was) or _is_same(held, now):
        return now
    if type(held) is type(was) is type(now) is int:
        return held + now - was
    raise NonDeterminism(
        f"a step has made {was!r} in session_state {now!r}, where there is {held!r} now",
        hint="Code that runs beside a step must not change the same value: change it after the step.",
    )


def _missing(held: list[Any], was: int | list[int], tail: list[Any]) -> list[Any]:
    """Of `tail` what is not there yet, beside what was there before."""
    there = [Encoder().write(one, "") for one in (held[was:] if isinstance(was, int) else held)]
    if isinstance(was, list):
        left = Counter(was)
        there = [one for one in there if not _counted_off(left, _digest(one))]
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


def _counted_off(left: Counter[int], digest: int) -> bool:
    left[digest] -= 1
    return left[digest] >= 0


class Watch:
    """Of one run: what its steps change in the state, each what is new since the last one ended."""

    def __init__(self) -> None:
        self._going_on = 0
        self._seen: Before = None
        self._lock = threading.Lock()

    def begin(self, state: dict[str, Any]) -> None:
        with self._lock:
            if not self._going_on:  # else what those have done until now would be nobody's
                self._seen = before(state)
            self._going_on += 1

    def end(self, state: dict[str, Any], *, beside: bool) -> Any:
        """As `change`."""
        with self._lock:
            was, self._seen = self._seen, before(state)
            beside = beside or self._going_on > 1
            self._going_on -= 1
            return change(was, self._seen, beside=beside)
