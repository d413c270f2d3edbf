"""Loading: while a host loads a workflow file, the workflows and agents that its top level runs do nothing. Used by `classes` and `agents`.

A file may run its workflow at its end without `if __name__ == "__main__"`. A host executes the top level to find the workflow, again and
again, and must not ask a model each time. So such a run gives an empty answer, and publishing the file says so.
"""

from __future__ import annotations

import sys

_is_loading = False
_skipped: dict[tuple[str, int | None], None] = {}


class TopLevel:
    """The top level of a file is executed here by a host. Not a generator: that would set attributes of the file's exceptions."""

    def __enter__(self) -> None:
        global _is_loading
        _skipped.clear()
        _is_loading = True

    def __exit__(self, *_: object) -> None:
        global _is_loading
        _is_loading = False


def is_skipped(what: str) -> bool:
    """Whether a run that begins now belongs to a top level. `what` is kept for `skipped`."""
    if _is_loading:
        _skipped[what, _line_of_top_level()] = None
    return _is_loading


def skipped() -> list[tuple[str, int | None]]:
    """The runs that the last top level would have made, with their lines."""
    return list(_skipped)


def _line_of_top_level() -> int | None:
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return frame.f_lineno if frame is not None else None
