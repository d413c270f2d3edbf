"""The verbs: search, list, get, create, publish, delete, run, get_run, cancel, answer. Every surface translates into one of these and back.

Here a caller's name and session become a version and a session, and rights are checked. Nothing here knows of a protocol.
"""

from __future__ import annotations

from .history import History
from .parts import Parts

__all__ = ["Parts", "Service"]


class Service(History):
    """All of them, on the parts of one home."""
