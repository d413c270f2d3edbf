"""`repertoire` at a terminal of its own, 80 cells wide, in colour; used by tests of the command line."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

from rich.cells import cell_len

from support import commands
from support.shells import Shell

PATIENCE_S = 60.0
WIDTH = 80
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """`until` reads what it shows, `type` writes, `end` waits for its end."""

    def __init__(self, shell: Shell, *words: str) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
        environ = {**shell.environ, "TERM": "xterm"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environ.pop(name, None)
        self.process = commands.start(
            *words, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=shell.home, new_session=True
        )
        os.close(theirs)
        self._fd, self.shown, self._seen = ours, "", 0

    def until(self, text: str) -> None:
        """Wait until `text` is shown after what was waited for before."""
        give_up = time.monotonic() + PATIENCE_S
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < give_up and self._read(), (text, self.shown)
        self._seen = self.shown.index(text, self._seen) + len(text)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def end(self) -> int:
        give_up = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < give_up, self.shown
        os.close(self._fd)
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        """False: nobody has this terminal open any more."""
        if not select.select([self._fd], [], [], 0.1)[0]:
            return self.process.poll() is None
        try:
            more = os.read(self._fd, 65536)
        except OSError:
            return False
        self.shown += more.decode(errors="replace").replace("\r\n", "\n")
        return bool(more)


def shown_at(shell: Shell, *words: str) -> str:
    """What the command shows at a terminal, with its colours."""
    terminal = Terminal(shell, *words)
    assert terminal.end() == 0, terminal.shown
    return terminal.shown


def plain(text: str) -> str:
    """The text without colours and moves of the cursor."""
    return _CODES.sub("", text)


def widest(text: str) -> int:
    """Cells of the longest line."""
    return max(cell_len(line) for line in plain(text).splitlines())
