"""LineBuffer: cuts written text into messages; used by the streams of a body and for the text of its children.

Complete lines of one write become one message. Of a line that is overwritten (a progress bar), its present text is a message now and then.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

_GAP_S: Final = 0.1
"""Shortest time between two messages of an overwritten line: as often as tqdm writes one."""
_PART: Final = 100
"""Later the time between them is this part of the line's age. A bar of one day makes some thousand messages, one of a second makes ten."""
_CURSOR: Final = re.compile(r"\x1b\[[0-9;]*[A-HJKf]")
"""Sequences that move the cursor or erase. Nested bars write them, and in a log they are noise."""


class LineBuffer:
    """One writer's text. Calls `say` with each message. A line without a newline becomes a message when it is longer than `longest`."""

    __slots__ = ("_began", "_in_pieces", "_next", "_parts", "_say", "_shown", "_size", "longest")

    def __init__(self, say: Callable[[str], None], longest: int = 64 * 1024, *, in_pieces: bool = False) -> None:
        """`in_pieces`: the text arrives in arbitrary pieces, not in the units that were written."""
        self._say = say
        self._in_pieces = in_pieces
        self.longest = longest
        self._parts: list[str] = []
        self._size = 0
        self._shown: str | None = None
        """The last message of a line that is overwritten. None: the line is not overwritten."""
        self._began = self._next = 0.0

    @property
    def is_empty(self) -> bool:
        return not self._parts

    def feed(self, text: str) -> None:
        head, newline, tail = text.rpartition("\n")
        if newline:
            self._parts.append(head)
            self.end()
        if not tail:
            return
        self._parts.append(tail)
        self._size += len(tail)
        if self._shown is not None or "\r" in tail:
            self._overwrite()
        elif self._size > self.longest:
            self._send_long()

    def take(self) -> str:
        """Remove and give the text that has no newline yet."""
        text = "".join(self._parts)
        self._forget()
        return text

    def feed_single(self, text: str) -> None:
        """As `feed`, but each line becomes its own message."""
        *whole, rest = text.split("\n")
        for line in whole:
            self.feed(line + "\n")
        self.feed(rest)

    def end(self) -> None:
        """Make a message of the remaining text, even without a newline."""
        shown_before = self._shown
        message = self.take()
        if "\r" in message:
            message = "\n".join(map(_shown_text, message.split("\n")))
        if message.strip() and message != shown_before:
            self._send(message)

    def _send_long(self) -> None:
        """Make a message of a long line without a newline.

        The text of one print stays one message, which later says how much of it was cut. Text that arrives in pieces is split.
        """
        if not self._in_pieces:
            self.end()
            return
        text = self.take()
        whole = len(text) - len(text) % self.longest
        self._send(text[:whole])
        if text[whole:]:
            self._parts, self._size = [text[whole:]], len(text) - whole

    def _send(self, message: str) -> None:
        while self._in_pieces and len(message) > self.longest:
            end = message.rfind("\n", 1, self.longest)
            end = self.longest if end < 0 else end
            self._say(message[:end])
            message = message[end:].removeprefix("\n")
        self._say(message)

    def _overwrite(self) -> None:
        text = "".join(self._parts)
        shown = _shown_text(text)
        last = text.rfind("\r", 0, -1)
        self._parts = [text[max(last, 0) :][-self.longest :]]
        self._size = 0
        now = time.monotonic()
        if self._shown is None:
            self._shown, self._began = "", now
        if shown.strip() and shown != self._shown and now >= self._next:
            self._shown = shown
            self._next = now + max(_GAP_S, (now - self._began) / _PART)
            self._say(shown)

    def _forget(self) -> None:
        self._parts.clear()
        self._size = 0
        self._shown = None
        self._next = 0.0


def _shown_text(line: str) -> str:
    """The text that a terminal would show: the part that was written last."""
    if "\r" not in line:
        return line
    return _CURSOR.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip()
