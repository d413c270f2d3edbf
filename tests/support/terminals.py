"""Terminals: `repertoire` at a pseudo-terminal of its own, typed at and read by tests."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from typing import Final

from support.shells import Shell

PATIENCE_S: Final = 60.0


class Terminal:
    """`repertoire` at a terminal of its own; `until` reads what it shows, `type` writes."""

    def __init__(self, shell: Shell, *words: str) -> None:
        ours, theirs = pty.openpty()
        environ = {**shell.environ, "TERM": "xterm"}
        command = [sys.executable, "-P", "-m", "repertoire", *words]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=shell.home, start_new_session=True
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
