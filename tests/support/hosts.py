"""Hosts: checks tools and answers with the validators that hosts use: tests/node/schemas.mjs, and Python's readers of JSON Schema."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from support.outside import NODE

Answered = tuple[str, dict[str, Any]]
"""A tool's name and the structured content that it answered with."""


def node_problems(tools: Sequence[dict[str, Any]], answers: Sequence[Answered] = ()) -> list[str]:
    """Complaints of a TypeScript host about these tools and answers. Needs tests/node."""
    given = {"tools": tools, "answers": [{"tool": name, "structuredContent": content} for name, content in answers]}
    command = [str(NODE / "node_modules" / ".bin" / "node"), str(NODE / "schemas.mjs")]
    done = subprocess.run(command, input=json.dumps(given), cwd=NODE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    problems: list[str] = json.loads(done.stdout)
    return problems
