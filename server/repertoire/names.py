"""Names: makes workflow names and the ids of runs, sessions and questions. Used by the server, and by `classes` in a user's script."""

from __future__ import annotations

import base64
import os
import re
from typing import Final

RUN_CODE: Final = "run_code"
"""In the place of a workflow's name: code that is run once and published nowhere. It stands in the ids of its runs."""


def snake_case(name: str) -> str:
    """`FetchJSONPage` → `fetch_json_page`: the workflow name for a class or a file."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def new_run_id(workflow: str) -> str:
    """`workflow:<name>:<ulid>`: sorts by time, and cannot be guessed (80 random bits)."""
    from ulid import ULID  # here, because at the top every script that imports Workflow would pay for it

    return f"workflow:{workflow}:{ULID()}"


def new_session_id() -> str:
    """144 random bits, so that it cannot be guessed. Knowing an id gives no right to use the session."""
    return "s_" + base64.urlsafe_b64encode(os.urandom(18)).decode()


def new_question_id(kind: str = "q_") -> str:
    """The id by which an answer names its question. Knowing an id gives no right to answer."""
    return kind + base64.urlsafe_b64encode(os.urandom(12)).decode()
