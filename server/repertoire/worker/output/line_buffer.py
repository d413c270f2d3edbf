"""Text as it is written, cut into the lines that are told: whole lines of one write together, and of a line that is
overwritten (a progress bar) what it shows now and then. Used by the streams of a body and by what its children print."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

_GAP_S: Final = 0.1
"""Between two looks at an overwritten line: as often as tqdm writes one."""
_PART: Final = 100
"""Later, a hundredth of the time that it is written already: a bar of a day is some thousand lines, one of a second is ten."""
_CURSOR: Final = re.compile(r"\x1b\[[0-9;]*[A-HJKf]")
"""What moves the cursor or erases: nested bars do, and in a log it is noise."""


class Lines:
    """One writer's text. `say` hears of each message; one without its end is told when it is longer than `longest`."""

    __slots__ = ("_began", "_in_pieces", "_next", "_parts", "_said", "_say", "_size", "longest")

    def __init__(self, say: Callable[[str], None], longest: int = 64 * 1024, *, in_pieces: bool = False) -> None:
        """`in_pieces`: what is fed is no unit that was written at once."""
        self._say = say
        self._in_pieces = in_pieces
        self.longest = longest
        self._parts: list[str] = []
        self._size = 0
        self._said: str | None = None
        """What was told last of a line that is overwritten; None: no such line."""
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
        if self._said is not None or "\r" in tail:
            self._overwrite()
        elif self._size > self.longest:
            self._tell_long()

    def take(self) -> str:
        """What has no end yet; it is not told here any more."""
        text = "".join(self._parts)
        self._forget()
        return text

    def feed_single(self, text: str) -> None:
        """As `feed`, each line by itself."""
        *whole, rest = text.split("\n")
        for line in whole:
            self.feed(line + "\n")
        self.feed(rest)

    def end(self) -> None:
        """Tell what there is, though it may have no end."""
        said = self._said
        message = self.take()
        if "\r" in message:
            message = "\n".join(map(_shown, message.split("\n")))
        if message.strip() and message != said:
            self._tell(message)

    def _tell_long(self) -> None:
        """What has no end for so long. One print is one message, which says how much of it was cut; of what comes in pieces, pieces."""
        if not self._in_pieces:
            self.end()
            return
        text = self.take()
        whole = len(text) - len(text) % self.longest
        self._tell(text[:whole])
        if text[whole:]:
            self._parts, self._size = [text[whole:]], len(text) - whole

    def _tell(self, message: str) -> None:
        while self._in_pieces and len(message) > self.longest:
            end = message.rfind("\n", 1, self.longest)
            end = self.longest if end < 0 else end
            self._say(message[:end])
            message = message[end:].removeprefix("\n")
        self._say(message)

    def _overwrite(self) -> None:
        text = "".join(self._parts)
        shown = _shown(text)
        last = text.rfind("\r", 0, -1)
        self._parts = [text[max(last, 0) :][-self.longest :]]
        self._size = 0
        now = time.monotonic()
        if self._said is None:
            self._said, self._began = "", now
        if shown.strip() and shown != self._said and now >= self._next:
            self._said = shown
            self._next = now + max(_GAP_S, (now - self._began) / _PART)
            self._say(shown)

    def _forget(self) -> None:
        self._parts.clear()
        self._size = 0
        self._said = None
        self._next = 0.0


def _shown(line: str) -> str:
    """What a terminal would show of it: what was written last."""
    if "\r" not in line:
        return line
    return _CURSOR.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip()
