"""ModelStream: the text of one streamed request, as it is written; tells it to the run's watchers and to its body. Used by ModelDoors.

Theory of operation. A stream may be cut and made anew: after a crash, or because the provider broke off. Two readers have heard its beginning.

1. Watchers get events `text` {text, call, attempt}, at most ten a second. Before a stream that is made anew, they get `stream_reset` {call,
   attempt}: the text of that call so far is void.
2. The body cannot take back what it has heard. A stream that is made anew says its beginning again; the body hears only what follows. If the
   new text is another one, the body is begun again from its journal, and the request is made anew for it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from ..engine.doors import DoorCall
from ..providers.requests import StopStream
from ..store import Store
from ..store.runs import NewEvent

_EVERY_S: Final = 0.1
_SLOWLY_S: Final = 1.0
_MANY: Final = 300
"""After so many events of one call they come more slowly: nobody reads faster, and the log of a run has an end."""


class OtherText(StopStream):
    """Raised when a stream that was made anew has another text than the one that the body has heard."""


class ModelStream:
    def __init__(self, call: DoorCall, store: Store, attempt: int) -> None:
        """`attempt` is 1 for the first stream of this call."""
        self._call = call
        self._store = store
        self._attempt = attempt
        self._waiting = ""
        self._timer: asyncio.TimerHandle | None = None
        self._events = 0
        self._heard: dict[int, str] = {}
        """What the body has heard, by the part of the response."""
        self._written: dict[int, str] = {}
        """What the present stream has written."""
        self.pieces: list[tuple[int, int]] = []
        """The pieces of the present stream: part and length."""
        if attempt > 1:
            self._add("stream_reset", {})

    def write(self, part: int, text: str) -> None:
        """A piece has arrived. Raises OtherText."""
        if not text:
            return
        written = self._written[part] = self._written.get(part, "") + text
        self.pieces.append((part, len(text)))
        self._show(text)
        heard = self._heard.get(part, "")
        if not (written.startswith(heard) or heard.startswith(written)):
            raise OtherText
        if len(written) > len(heard):
            self._heard[part] = written
            self._call.send_piece([[part, written[len(heard) :]]])

    def begin_anew(self) -> None:
        """The stream was cut, and is made anew."""
        self._attempt += 1
        told = bool(self._written)
        self._written, self.pieces, self._waiting = {}, [], ""
        if told:
            self._add("stream_reset", {})

    def check_whole(self) -> None:
        """The stream is at its end. Raises OtherText where the body has heard more than that."""
        if any(len(heard) > len(self._written.get(part, "")) for part, heard in self._heard.items()):
            raise OtherText

    def close(self) -> None:
        """Show the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush()

    def _show(self, text: str) -> None:
        self._waiting += text
        if self._timer is None:
            self._flush()
            self._start_timer()

    def _start_timer(self) -> None:
        pause_s = _EVERY_S if self._events < _MANY else _SLOWLY_S
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiting:
            self._flush()
            self._start_timer()

    def _flush(self) -> None:
        if self._waiting:
            text, self._waiting = self._waiting, ""
            self._events += 1
            self._add("text", {"text": text})

    def _add(self, kind: Any, data: dict[str, Any]) -> None:
        live = self._call.live
        if live.done.is_set() or live.is_parking:
            return
        event: NewEvent = (kind, time.time(), {**data, "call": self._call.path, "attempt": self._attempt})
        self._store.add_events(live.run, live.number_events(1), [event]).add_done_callback(self._on_stored)

    def _on_stored(self, stored: asyncio.Future[None]) -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._call.live.announce()


async def next_attempt(call: DoorCall, store: Store) -> int:
    """The number of the stream that the call begins now: 1, or more after a crash."""
    if not call.live.begun_again:
        return 1
    return await store.stream_attempts(call.live.run.id, call.path) + 1
