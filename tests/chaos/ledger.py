"""Ledger: what was asked for and what anybody was told, for the comparison with the record; filled by the driver, read by the checks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from .clients import Reply
from .faults import Faults
from .plans import Plan

FINAL: Final = ("completed", "failed", "cancelled")
_SLACK_S: Final = 20.0
"""For so long after a fault a client may still learn of it."""
_LOST: Final = -31000
_NO_DAEMON: Final = -31001
_TROUBLE: Final = ("storage", "not_recorded", "busy", "damaged_store")
"""Codes of tools that say that the database cannot be used now."""


@dataclass
class Request:
    """A run that somebody asked for, perhaps several times. The plan's name is its own; with a key the calls are one request."""

    plan: Plan
    key: str | None = None
    accepted: set[str] = field(default_factory=set)
    """Run ids that were given as its answer."""
    is_cancelled: bool = False
    """Somebody tried to cancel it, or hung up."""


class Ledger:
    """Used by all clients at once."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self.requests: dict[str, Request] = {}
        self.told: dict[str, list[tuple[str, str, Any]]] = {}
        """Final answers by run: who was told, the status, the result."""
        self.complaints: list[str] = []
        self.answers: Counter[str] = Counter()
        self.published: dict[str, bool | None] = {}
        """Whether a created workflow is there; None: a call was lost."""

    def request(self, plan: Plan, key: str | None = None) -> Request:
        """The same one for the same name."""
        with self._lock:
            return self.requests.setdefault(plan["name"], Request(plan, key))

    def known(self) -> list[tuple[str, Request]]:
        with self._lock:
            return [(run_id, request) for request in self.requests.values() for run_id in sorted(request.accepted)]

    def heard(self, who: str, what: str, began: float, reply: Reply, request: Request | None = None) -> None:
        """Note an answer; complain of what no fault explains."""
        payload = reply.payload or {}
        with self._lock:
            if reply.lost or reply.code is not None:
                self.answers["lost"] += 1
                self._judge_loss(who, what, began, reply)
                return
            self.answers["given"] += 1
            run_id, status = payload.get("run_id"), payload.get("status")
            if isinstance(run_id, str):
                if request is not None:
                    request.accepted.add(run_id)
                if status in FINAL:
                    self.told.setdefault(run_id, []).append((who, status, payload.get("result")))
            elif reply.is_error:
                self._judge_refusal(who, what, began, payload)

    def complain(self, text: str) -> None:
        with self._lock:
            self.complaints.append(text)

    def _judge_loss(self, who: str, what: str, began: float, reply: Reply) -> None:
        said = reply.lost or f"{reply.code} {reply.message}"
        if reply.lost == "no answer in time" or not (reply.lost or reply.code in (_LOST, _NO_DAEMON)):
            self.complaints.append(f"{who} {what}: {said[:600]}")
        elif not self._excused(began) and not reply.lost:
            self.complaints.append(f"{who} {what}, without a fault: {said[:600]}")

    def _judge_refusal(self, who: str, what: str, began: float, payload: dict[str, Any]) -> None:
        error = payload.get("error") or {}
        self.answers[f"refused {error.get('code')}"] += 1
        if error.get("code") not in _TROUBLE or not self._excused(began):
            self.complaints.append(f"{who} {what} was refused: {json.dumps(payload)[:600]}")

    def _excused(self, began: float) -> bool:
        return began < self._faults.troubled_until + _SLACK_S


def now() -> float:
    return time.monotonic()
