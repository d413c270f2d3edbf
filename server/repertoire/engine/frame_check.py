"""FrameCheck: what a worker may say, and when; used by WorkerChannel, which shows it every frame in both directions.

Theory of operation. The body of a run can find the worker's socket and write to it, so a frame proves nothing about who wrote it. Types
and sizes are checked by decoding (`wire`, `FrameReader`). The rest is here, in one place, so that no consumer of frames has to doubt them.

    phase     began by the host's   the worker may send                                    ended by
    NEW       -                     nothing                                                Task, Inspect
    RUN       Task                  Events, Call, Record, Drop, Tick, Late, Idle, More,    Done, Failed
                                      SendContent, ReadContent
    LOOK      Inspect               nothing                                                Inspected, Failed
    ENDED     -                     Settled, if it is used again                           Task, Inspect

1. A frame that may not come raises BadFrame, and the worker is ended.
2. After its final answer a worker may still send frames of the body's threads. They are ignored, up to a number.
3. Numbers of calls are the worker's own, each used once. Numbers of records are the host's: the worker knows only those it was told.
4. Texts that only describe (messages, labels) are cut. Texts that mean something (paths, hashes) are refused when they are odd.
5. Events beyond the limits of the run are ignored, and one warning takes their place.
"""

from __future__ import annotations

import re
import time
from enum import Enum, auto
from typing import Final

import msgspec

from ..fault_codes import FAULT_CODES
from ..limits import Limits
from ..text import readable
from ..values.json_check import NotJson, check_json
from ..wire import (
    MAX_FRAME_BYTES,
    Answer,
    Call,
    Done,
    Drop,
    Events,
    Failed,
    Fault,
    HostFrame,
    Idle,
    Inspect,
    Inspected,
    Late,
    More,
    Page,
    RawEvent,
    ReadContent,
    Record,
    SendContent,
    Settled,
    Task,
    Tick,
    WorkerFrame,
)
from .frame_reader import BadFrame

_PREFIX: Final = re.compile(r"(?:[a-z]{0,12}[0-9]{1,9}[/:])*")
_PATH: Final = re.compile(r"(?:[a-z]{0,12}[0-9]{1,9}[/:])*[0-9]{1,9}")
_PATH_CHARS: Final = 16_384
"""A task within a task adds two characters. Python's own recursion ends long before."""
_NAME_CHARS: Final = 200
"""Of an operation and of a hash."""
_LABEL_CHARS: Final = 300
_MESSAGE_CHARS: Final = 8_000
_TRACEBACK_CHARS: Final = 40_000
_STALE: Final = 10_000
"""Frames of threads that a body has left behind."""
_SPARE_EVENTS: Final = 20
"""Warnings of the worker's own, beyond the number of events."""
_IN_EVENT: Final = 6
"""Messages of the greatest length in the data of one event: the worker lets five through."""


class _Phase(Enum):
    NEW = auto()
    RUN = auto()
    LOOK = auto()
    ENDED = auto()


_OF_BODY: Final = (Events, Call, Record, Drop, Tick, Late, Idle, More, SendContent, ReadContent)
_FINAL: Final = {_Phase.RUN: (Done, Failed), _Phase.LOOK: (Inspected, Failed)}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker may do for the next Task or Inspect."""

    is_reused: bool = False
    """It says Settled after its final answer."""
    frame_bytes: int = MAX_FRAME_BYTES
    frames_per_s: int = 0
    """0: as many as it can."""
    events: int = 0
    """How many events it may send from now on, and the characters of their data."""
    event_chars: int = 0
    chars_per_event: int = 0

    @classmethod
    def of(cls, limits: Limits, *, trusted: bool, is_reused: bool, events: int = 0, event_chars: int = 0) -> Rules:
        """The rules of a run of which so many events, with so many characters of data, are stored already."""
        return cls(
            is_reused=is_reused,
            frame_bytes=MAX_FRAME_BYTES if trusted else min(limits.max_frame_bytes, MAX_FRAME_BYTES),
            frames_per_s=0 if trusted else limits.untrusted_frames_per_s,
            events=max(limits.max_events + _SPARE_EVENTS - events, 0),
            event_chars=max(limits.max_log_bytes - event_chars, 0),
            chars_per_event=_IN_EVENT * limits.max_event_bytes,
        )


class FrameCheck:
    """The check of one worker."""

    def __init__(self) -> None:
        self.rules = Rules()
        self._phase = _Phase.NEW
        self._begin()

    def _begin(self) -> None:
        self._stale = 0
        self._has_settled = False
        self._has_state = False
        self._recorded = 0
        self._pages = {0}
        self._seen = _Numbers()
        self._open: dict[int, str] = {}
        self._open_paths: set[str] = set()
        self._told = _Numbers()
        self._late = 0
        self._events = self._chars = 0
        self._warned = False

    def sent(self, frame: HostFrame) -> None:
        """The host sends this frame."""
        if isinstance(frame, Task | Inspect):
            self._begin()
            self._phase = _Phase.RUN if isinstance(frame, Task) else _Phase.LOOK
            if isinstance(frame, Task):
                self._recorded, self._has_state = frame.recorded, frame.state is not None
        elif isinstance(frame, Answer):
            self._told.add(frame.n)
            self._close(frame.id)
        elif isinstance(frame, Page) and frame.records:
            self._pages.add(frame.records[-1].n)
            for record in frame.records:
                self._told.add(record.n)

    def take(self, frame: WorkerFrame) -> WorkerFrame | None:
        """The frame as it may be used. None: it is ignored. Raises BadFrame."""
        if self._phase is _Phase.ENDED:
            return self._take_after_end(frame)
        if isinstance(frame, _FINAL.get(self._phase, ())):
            self._check_state(frame.state if isinstance(frame, Done) else None)
            self._phase = _Phase.ENDED
            return _tidy_final(frame)
        if self._phase is not _Phase.RUN or not isinstance(frame, _OF_BODY):
            raise BadFrame(f"{_name(frame)} at the wrong time")
        if isinstance(frame, Events):
            return self._take_events(frame)
        if isinstance(frame, Call | Record | Drop):
            return self._take_call(frame)
        self._check_other(frame)
        return frame

    def _take_after_end(self, frame: WorkerFrame) -> WorkerFrame | None:
        if isinstance(frame, Settled) and self.rules.is_reused and not self._has_settled:
            self._has_settled = True
            return msgspec.structs.replace(frame, changed=None if frame.changed is None else _line(frame.changed))
        if not isinstance(frame, _OF_BODY):
            raise BadFrame(f"{_name(frame)} after its final answer")
        self._stale += 1
        if self._stale > _STALE:
            raise BadFrame("no end of frames after its final answer")
        return None

    def _take_call(self, frame: Call | Record | Drop) -> WorkerFrame:
        _check_path(frame.path, _PATH)
        if len(frame.op) > _NAME_CHARS or len(frame.hash) > _NAME_CHARS or not frame.op.isprintable():
            raise BadFrame("a call with an odd name or hash")
        if frame.op == "commit_state" and not self._has_state:
            raise BadFrame("a state, and it was given none")
        if isinstance(frame, Drop):
            self._seen.add(frame.id)
            self._close(frame.id)
        else:
            self._open_call(frame)
        label = frame.label if len(frame.label) <= _LABEL_CHARS else frame.label[:_LABEL_CHARS]
        if isinstance(frame, Record):
            _check_text(frame.result, "the result of a step")
            if frame.error is not None:
                return msgspec.structs.replace(frame, label=label, error=_tidy_fault(frame.error))
        elif isinstance(frame, Drop):
            _check_text(frame.heard, "the pieces of an answer")
        return frame if label is frame.label else msgspec.structs.replace(frame, label=label)

    def _open_call(self, frame: Call | Record) -> None:
        if not self._seen.add(frame.id):
            raise BadFrame("the number of a call for the second time")
        if frame.path in self._open_paths:
            raise BadFrame("the path of a call that is open")
        self._open[frame.id] = frame.path
        self._open_paths.add(frame.path)

    def _close(self, number: int) -> None:
        path = self._open.pop(number, None)
        if path is not None:
            self._open_paths.discard(path)

    def _check_state(self, state: str | None) -> None:
        if state is not None and not self._has_state:
            raise BadFrame("a state, and it was given none")

    def _check_other(self, frame: WorkerFrame) -> None:
        if isinstance(frame, Late):
            self._late += 1
            if frame.at < 0 or frame.n > self._told.most or self._late > self._told.count:
                raise BadFrame("a late timer of an answer that it has not got")
        elif isinstance(frame, Idle):
            if not all(number in self._seen for number in frame.ids):
                raise BadFrame("it waits for a call that it has not made")
            self._check_state(frame.state)
        elif isinstance(frame, SendContent):
            _check_path(frame.path, _PATH)
        elif isinstance(frame, ReadContent):
            if not self._seen.add(frame.id):
                raise BadFrame("the number of a call for the second time")
        elif isinstance(frame, More) and (not self._recorded or frame.after not in self._pages):
            raise BadFrame("it asks for a page of records out of order")

    def _take_events(self, frame: Events) -> Events | None:
        kept: list[RawEvent] = []
        for event in frame.events:
            self._events += 1
            self._chars += len(event.data)
            if self._events > self.rules.events or self._chars > self.rules.event_chars:
                break
            kept.append(self._checked_event(event))
        else:
            return Events(kept)
        if not self._warned:
            self._warned = True
            kept.append(self._warning())
        return Events(kept) if kept else None

    def _checked_event(self, event: RawEvent) -> RawEvent:
        _check_path(event.path, _PREFIX)
        if len(event.data) > self.rules.chars_per_event:
            raise BadFrame("an event that is too large")
        _check_text(event.data, "an event", is_object=True)
        return event

    def _warning(self) -> RawEvent:
        too_many = self._events > self.rules.events
        what, limit = ("events", "max_events") if too_many else ("bytes of events", "max_log_bytes")
        message = f"this run has sent as many {what} as a run may; further ones are not recorded. The setting {limit} raises this limit."
        data = msgspec.json.encode({"level": "warning", "message": message}).decode()
        return RawEvent("log", time.time(), data)


class _Numbers:
    """A set of numbers that mostly come in order, so that it stays small. `most`: the largest."""

    def __init__(self) -> None:
        self.count = 0
        self.most = 0
        self._all_to = 0
        self._beyond: set[int] = set()

    def add(self, number: int) -> bool:
        """False: it was here already, or is 0."""
        if number in self or number < 1:
            return False
        self.count += 1
        self.most = max(self.most, number)
        self._beyond.add(number)
        while self._all_to + 1 in self._beyond:
            self._all_to += 1
            self._beyond.remove(self._all_to)
        return True

    def __contains__(self, number: object) -> bool:
        return number in self._beyond or (isinstance(number, int) and 0 < number <= self._all_to)


def _check_path(path: str, form: re.Pattern[str]) -> None:
    if len(path) > _PATH_CHARS or not form.fullmatch(path):
        raise BadFrame("a call path that no call of a body can have")


def _check_text(text: str | None, what: str, *, is_object: bool = False) -> None:
    try:
        check_json(text, is_object=is_object)
    except NotJson as error:
        raise BadFrame(f"{what} is no JSON that the server reads: {error}") from None


def _tidy_final(frame: WorkerFrame) -> WorkerFrame:
    """The final answer with texts of a bounded length. Its result and its state are checked by whoever stores them."""
    if isinstance(frame, Failed):
        return msgspec.structs.replace(frame, fault=_tidy_fault(frame.fault))
    if isinstance(frame, Done) and frame.remark is not None:
        return msgspec.structs.replace(frame, remark=_cut(frame.remark, _MESSAGE_CHARS))
    return frame


def _tidy_fault(fault: Fault) -> Fault:
    """The fault with texts of a bounded length and a code that there is."""
    return msgspec.structs.replace(
        fault,
        code=fault.code if fault.code in FAULT_CODES else "exception",
        type=_line(fault.type),
        message=_cut(fault.message, _MESSAGE_CHARS),
        line=fault.line if fault.line is not None and 0 < fault.line < 2**31 else None,
        hint=None if fault.hint is None else _cut(fault.hint, _MESSAGE_CHARS),
        traceback=None if fault.traceback is None else _cut(fault.traceback, _TRACEBACK_CHARS),
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… [{len(text) - most} characters cut]"


def _line(text: str) -> str:
    """A name for people, on one line."""
    return " ".join(readable(text[:_NAME_CHARS]).split())


def _name(frame: WorkerFrame) -> str:
    return type(frame).__name__
