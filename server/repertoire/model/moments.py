"""Moments: `read_moment` reads a time that a caller gives as text; used by the service. Not the times of answers: `iso` in model/run.py."""

from __future__ import annotations

from datetime import UTC, datetime

from ..errors import BadArguments


def read_moment(name: str, text: str) -> float:
    """Seconds since the epoch. Without a time zone it is UTC. Raises BadArguments, which names the argument."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadArguments(f"`{name}` must be a time as in 2026-05-01T12:00:00Z, got {text[:60]!r}.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
