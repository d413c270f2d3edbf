"""Threads: tells a body's threads from our own; used where a worker must know whether a body's threads are still alive.

Our threads have names that begin with OUR_PREFIX.
"""

from __future__ import annotations

import threading
from typing import Final

OUR_PREFIX: Final = "repertoire-"


def foreign() -> list[threading.Thread]:
    """Living threads except the main thread, which runs bodies, and our own."""
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if thread is not main and not thread.name.startswith(OUR_PREFIX)]
