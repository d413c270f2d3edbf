"""Count up and remember: a counter that keeps its value between calls and restarts.

Shows session state: `session_state` is an ordinary dict that belongs to this workflow and the caller's session. What it
holds when `run` returns is stored together with the result; when `run` fails, nothing is stored.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from repertoire import session_state

__workflow__ = {"title": "Counter", "tags": ["state", "example"], "timeout_s": 10, "callable_by_untrusted": True}

KEPT_CHANGES = 10
LARGEST = 2**53 - 1
"""Beyond this, JSON readers that keep numbers as doubles would silently round."""


@dataclass(frozen=True)
class Change:
    """One earlier call: the count it left, and when (ISO 8601, UTC)."""

    count: int
    at: str


@dataclass(frozen=True)
class Counter:
    """The count now, the count before this call, and the last ten changes, newest last."""

    count: int
    previous: int
    history: list[Change]


def run(by: int = 1, reset: bool = False) -> Counter:
    """Add to the counter of this session and say where it stands.

    Args:
        by: How much to add; negative counts down, 0 only reads.
        reset: Start again from zero and forget the history; `by` is not added.

    Returns:
        The count, the count before this call, and the last ten changes.

    Raises:
        ValueError: The count would leave the range that JSON can carry exactly.
    """
    previous: int = session_state.get("count", 0)
    count = 0 if reset else previous + by
    if abs(count) > LARGEST:
        raise ValueError(
            f"The count would be {count}; it must stay within ±{LARGEST}. Use a smaller `by`, or reset=true."
        )

    history: list[dict[str, str | int]] = [] if reset else list(session_state.get("history", []))
    if reset or by:
        history.append({"count": count, "at": datetime.now(UTC).isoformat(timespec="milliseconds")})
    history = history[-KEPT_CHANGES:]
    session_state["count"] = count
    session_state["history"] = history
    return Counter(count, previous, [Change(int(entry["count"]), str(entry["at"])) for entry in history])
