"""Daemon process: `python -m repertoire.daemon_process --home DIR [--config FILE]`; started by a front.

When it cannot start, it logs the reason and also writes it to a pipe of the front, if there is one: on a full disk the log stays empty.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from typing import Final

from repertoire import app
from repertoire.daemon.home_lock import HomeInUse
from repertoire.daemon.log_file import LogFile
from repertoire.daemon.log_format import FORMAT, LogFormat
from repertoire.daemon.server import EX_TEMPFAIL
from repertoire.errors import RepertoireError, cause_of
from repertoire.home import REPORT_FD, advice, log_path

_REPORT_BYTES: Final = 4096
"""A pipe takes this many bytes at once without blocking."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="repertoire.daemon_process")
    parser.add_argument("--home", required=True)
    parser.add_argument("--config")
    chosen = parser.parse_args(argv)
    pipe = _front_pipe()
    handler = LogFile(log_path(os.path.realpath(chosen.home)))
    handler.setFormatter(LogFormat(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        app.run_daemon(chosen.home, config=chosen.config)
    except HomeInUse as error:
        logging.getLogger("repertoire.daemon").info("%s", error)
        return EX_TEMPFAIL
    except Exception as error:  # the process edge
        cause = cause_of(error)
        if not isinstance(cause, (RepertoireError, OSError)):
            raise
        reason = f"{cause} {getattr(cause, 'hint', None) or advice(cause)}".strip()
        logging.getLogger("repertoire.daemon").error("%s", reason)
        _report(pipe, reason)  # the front shows it to the host
        return 1
    return 0


def _front_pipe() -> int:
    """The descriptor that the front gave us, closed in every child; -1: none."""
    number = os.environ.pop(REPORT_FD, "")
    if not number.isdigit():
        return -1
    with contextlib.suppress(OSError):
        os.set_inheritable(int(number), False)
        return int(number)
    return -1


def _report(pipe: int, reason: str) -> None:
    if pipe >= 0:
        with contextlib.suppress(OSError):  # the front has gone
            os.write(pipe, reason.encode(errors="replace")[:_REPORT_BYTES])


if __name__ == "__main__":
    sys.exit(main())
