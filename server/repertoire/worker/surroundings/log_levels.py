"""Logger states: puts back levels, handlers and filters of all loggers after a run; used by Resets.

Scripts often call `logging.basicConfig` or set the level of a library. Changes that a library's import has made stay.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

_PLAIN_ATTRIBUTES: Final = ("name", "level", "parent", "propagate", "disabled")
_DEFAULTS: Final[dict[str, Any]] = {"level": logging.NOTSET, "propagate": True, "disabled": False}


class _LoggerState:
    """The state of one logger."""

    def __init__(self, logger: logging.Logger) -> None:
        self._kind = type(logger)
        self._attributes = {name: getattr(logger, name) for name in _PLAIN_ATTRIBUTES}
        self._handlers = [
            (handler, handler.level, handler.formatter, list(handler.filters)) for handler in logger.handlers
        ]
        self._filters = list(logger.filters)
        self._space = frozenset(vars(logger))

    def put_back(self, logger: logging.Logger) -> None:
        logger.__class__ = self._kind
        for name in vars(logger).keys() - self._space:
            delattr(logger, name)
        vars(logger).update(self._attributes)
        logger.filters[:] = self._filters
        logger.handlers[:] = [handler for handler, *_ in self._handlers]
        for handler, level, formatter, filters in self._handlers:
            handler.level, handler.formatter, handler.filters[:] = level, formatter, filters


class LoggerStates:
    """The states of all loggers."""

    def __init__(self) -> None:
        self._root_logger = logging.root
        self._manager = logging.root.manager
        self._disable = self._manager.disable
        self._all = list(logging._handlerList)  # type: ignore[attr-defined]  # logging's own, untyped
        self._states: dict[str, _LoggerState] = {}
        self._root = _LoggerState(logging.root)
        self.learn()

    def learn(self) -> None:
        """Remember the present state of new loggers, which belong to a library that was just imported."""
        for name, logger in self._loggers():
            if name not in self._states:
                self._states[name] = _LoggerState(logger)

    def put_back(self) -> None:
        logging.root = self._root_logger
        self._root.put_back(logging.root)
        self._manager.disable = self._disable
        for name, logger in self._loggers():
            if name in self._states:
                self._states[name].put_back(logger)
            elif name.partition(".")[0] in sys.modules:
                _reset(logger)
            else:
                del self._manager.loggerDict[name]
        for _, logger in (("root", logging.root), *self._loggers()):
            logger.__dict__.get("_cache", {}).clear()  # the logger's cache of effective levels

    def _loggers(self) -> list[tuple[str, logging.Logger]]:
        return [(name, one) for name, one in list(self._manager.loggerDict.items()) if isinstance(one, logging.Logger)]


def _reset(logger: logging.Logger) -> None:
    """Reset a logger that a library has created during the run. The library refers to it, so it cannot be deleted."""
    vars(logger).update(_DEFAULTS)
    logger.handlers.clear()
    logger.filters.clear()
