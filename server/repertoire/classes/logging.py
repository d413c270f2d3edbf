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


def log_exception(message: object) -> None:
    """The message and the exception that is being handled."""
    logger.exception("%s", message)


def set_log_level_to_warning() -> None:
    logger.setLevel(logging.WARNING)


def set_log_level_to_error() -> None:
    logger.setLevel(logging.ERROR)


def get_logger(*_: object, **__: object) -> logging.Logger:
    """The one logger, whatever its name should be."""
    return logger


def configure_agno_logging(**_: object) -> None:
    """Nothing: there is one logger."""


set_log_level_to_debug = debug_on
set_log_level_to_info = debug_off
build_logger = get_logger
agent_logger = team_logger = workflow_logger = logger
use_agent_logger = use_team_logger = use_workflow_logger = configure_agno_logging
