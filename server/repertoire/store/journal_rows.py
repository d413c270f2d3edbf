"""Journal rows: rows of the table `call` as records, page by page, with texts that lie in files; used by `JournalFacts`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..wire import Fault, Recorded
from .record_files import RecordFiles

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Upper limit of a page with several records. A single record may be larger: each fits into a frame."""
_RESULT_AT: Final = 5
"""The place of the result in a row."""

_fault = msgspec.msgpack.Decoder(Fault)
_clock = msgspec.msgpack.Decoder(list[list[Any]])


def first_page(rows: Iterable[tuple[Any, ...]], files: RecordFiles) -> list[Recorded]:
    """The first records, as many as fit into a frame."""
    page: list[Recorded] = []
    size = 0
    for row in (with_text(one, files) for one in rows):
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if page and size > PAGE_BYTES:
            break
        page.append(decode_record(row))
    return page


def with_text(row: tuple[Any, ...], files: RecordFiles) -> tuple[Any, ...]:
    """The row with its result's text, if that lies in a file."""
    return (*row[:_RESULT_AT], files.whole(row[_RESULT_AT]), *row[_RESULT_AT + 1 :])


def decode_record(row: tuple[Any, ...]) -> Recorded:
    n, path, op, hash, at, result, error, cancelled, clock, label = row
    fault = None if error is None else _fault.decode(error)
    readings = [] if clock is None else _clock.decode(clock)
    return Recorded(n, path, op, hash, at, result, fault, bool(cancelled), readings, label)
