"""The real daemon of a home, which kills itself at one fact of its store: `faulty_house.py --home DIR --kill NAME:COUNT:WHEN`.

NAME is the store's method. COUNT is the number of its call, counted while the file HOME/armed exists. WHEN is `before` (in the transaction,
so that nothing of it is stored) or `after` (it is committed, but nobody has heard of it). The product knows nothing of this: the
store's writer is wrapped from here.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from repertoire.daemon_process import main
from repertoire.store.writer import Writer


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wrap(home: str, name: str, count: int, when: str) -> None:
    writer: Any = Writer
    put: Callable[..., None] = writer._put
    left = count

    def counted(self: Writer, waiting: Any, *more: Any) -> None:
        nonlocal left
        waiter = waiting.waiter
        if f".{name}." in waiting.fact.__qualname__ and os.path.exists(os.path.join(home, "armed")):
            left -= 1
            if left == 0 and when == "before":
                waiting = waiting._replace(fact=die)
            elif left == 0 and callable(waiter):
                waiting = waiting._replace(waiter=die)
            elif left == 0:
                waiter.add_done_callback(die)
        put(self, waiting, *more)

    writer._put = counted


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True)
    parser.add_argument("--kill")
    chosen = parser.parse_args()
    if chosen.kill:
        name, count, when = chosen.kill.split(":")
        wrap(chosen.home, name, int(count), when)
    sys.exit(main(["--home", chosen.home]))
