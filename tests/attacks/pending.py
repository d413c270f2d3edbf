"""Pending: the attacks that are not contained yet, each with the reason. Every line here is a hole."""

from __future__ import annotations

from typing import Final

PENDING: Final[dict[str, str]] = {}
"""An id, or a subject, and why."""
