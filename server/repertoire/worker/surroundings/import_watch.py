"""Imports: calls functions right before and right after a body imports a new module; used by Surroundings and SiblingLoader.

CPython calls `importlib._bootstrap._find_and_load` for each module that is not loaded yet, for every kind of import. It does not call it
for a loaded module, so those imports cost nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import _bootstrap
from typing import Any, Final

_IMPORTLIB: Final = "<frozen importlib._bootstrap>"


class _Depth(threading.local):
    value = 0


class Imports:
    """While `watching`, `before` and `after` are called for each import that is not part of another import."""

    def __init__(self) -> None:
        self.before: Callable[[str], None] = _nothing
        self.after: Callable[[], None] = _nothing
        self._depth = _Depth()
        self._lock = threading.RLock()
        self._is_installed = False
        self.watching = False

    def install(self) -> None:
        if self._is_installed:
            return
        self._is_installed = True
        unchecked: Any = _bootstrap
        real = unchecked._find_and_load
        depth, enter, leave = self._depth, self._enter, self._leave

        def _find_and_load(name: str, import_: Any) -> Any:
            if depth.value or not self.watching:
                return real(name, import_)
            enter(name)
            try:
                return real(name, import_)
            finally:
                leave()

        # Python drops importlib's frames from the tracebacks of failed imports; with this file name it also drops ours
        _find_and_load.__code__ = _find_and_load.__code__.replace(co_filename=_IMPORTLIB)
        unchecked._find_and_load = _find_and_load

    @contextmanager
    def of_the_body(self) -> Iterator[None]:
        """Inside, a module of the workflow itself is executed. Its imports count as imports of the body, not as part of its own import."""
        before, self._depth.value = self._depth.value, 0
        try:
            yield
        finally:
            self._depth.value = before

    def _enter(self, name: str) -> None:
        with self._lock:
            self._depth.value = 1
            self.before(name)

    def _leave(self) -> None:
        with self._lock:
            self._depth.value = 0
            if self.watching:
                self.after()


def _nothing(*_: object) -> None:
    pass


imports: Final = Imports()
"""The one watch of this process."""
