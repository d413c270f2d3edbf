"""Names and ids that the house and a script of the user's own make alike."""

from __future__ import annotations

import base64
import os
import re


def snake_case(name: str) -> str:
    """`FetchJSONPage` → `fetch_json_page`: a class's or a file's name as that of a workflow."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def new_run_id(workflow: str) -> str:
    """`workflow:<name>:<ulid>`: sorts by time, unguessable (80 random bits)."""
    from ulid import ULID  # here, because every script that imports Workflow would pay for it at its start

    return f"workflow:{workflow}:{ULID()}"


def new_session_id() -> str:
    """144 random bits, so that it cannot be guessed; knowing one is still not a right to use it."""
    return "s_" + base64.urlsafe_b64encode(os.urandom(18)).decode()


def new_question_id() -> str:
    """Named in answers; knowing one is no right to answer."""
    return "q_" + base64.urlsafe_b64encode(os.urandom(12)).decode()
