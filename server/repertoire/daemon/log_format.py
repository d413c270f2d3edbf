"""LogFormat: log lines in which no text from outside moves a terminal's cursor or begins a line that looks like ours; used by every server.

A workflow chooses the type of its exceptions, the names of its calls and the paths of its files, and some of them reach the log.
"""

from __future__ import annotations

import logging
import re
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class LogFormat(logging.Formatter):
    """Control characters are shown as escapes. Every line of a record but the first is indented."""

    def format(self, record: logging.LogRecord) -> str:
        text = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], super().format(record))
        return text.replace("\n", "\n    ")
