"""HttpDoors: the HTTP doors that are open and the clients that came through them lately; used by the app for `repertoire status`.

It serves nothing: that is http.py.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from ..model.session import Caller

_MAX_CLIENTS: Final = 200
_LATELY_S: Final = 300.0
"""A client over HTTP keeps no connection. Whoever has asked within this time counts as connected."""


class HttpDoors:
    def __init__(self) -> None:
        self._urls: list[str] = []
        self._clients: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    @contextlib.contextmanager
    def opened(self, url: str) -> Iterator[str]:
        self._urls.append(url)
        try:
            yield url
        finally:
            self._urls.remove(url)

    def note_caller(self, caller: Caller) -> None:
        self._clients[caller.lane] = caller, time.monotonic()
        self._clients.move_to_end(caller.lane)
        if len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)

    def public(self) -> dict[str, Any]:
        now = time.monotonic()
        clients = [
            {"client": caller.client, "session": caller.session_name, "idle_s": round(now - at, 1)}
            for caller, at in reversed(self._clients.values())
            if now - at < _LATELY_S
        ]
        return {"http": list(self._urls), "http_clients": clients}
