"""Threads of bodies, told from our own: a pooled worker outlives the threads that a body leaves behind."""

from __future__ import annotations

import threading
from typing import Final

OUR_PREFIX: Final = "repertoire-"


def foreign() -> list[threading.Thread]:
    """Living threads other than the one that runs bodies and those that we named."""
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if thread is not main and not thread.name.startswith(OUR_PREFIX)]
