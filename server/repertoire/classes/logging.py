"""Logging: the one logger of class workflows and of this package. Used by `class_run`, `toolkits` and workflow files.

In a hosted run its lines go to the host's doors. Else they go to the handlers that the script has set up, or to stderr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Final

logger: Final = logging.getLogger("repertoire.workflow")

hosted_log: Callable[[str, str], bool] | None = None
"""Set by `class_run`: sends (level, message) to the host. True if a hosted run is executing here."""


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        if hosted_log is not None and hosted_log(record.levelname.lower(), message):
            return
        if not logging.root.handlers:  # root handlers show the line already
            sys.stderr.write(f"{record.levelname} {message}\n")


if not logger.handlers:
    logger.addHandler(_Handler())
    logger.setLevel(logging.INFO)


def debug_on() -> None:
    """Show debug lines too, for the rest of the process."""
    logger.setLevel(logging.DEBUG)


def debug_off() -> None:
    logger.setLevel(logging.INFO)


def log_debug(message: object) -> None:
    logger.debug("%s", message)


def log_info(message: object) -> None:
    logger.info("%s", message)


def log_warning(message: object) -> None:
    logger.warning("%s", message)


def log_error(message: object) -> None:
    logger.error("%s", message)


set_log_level_to_debug = debug_on
set_log_level_to_info = debug_off
