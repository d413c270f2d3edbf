"""Foreground: runs one body in the present process and thread, as a worker would; used by `repertoire debug` and `repertoire.testing`.

The file is loaded by the worker's own loader: `await` anywhere, the ambient names and modules beside it work the same. Nothing isolates the
body: it has this process's terminal, environment and folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ..authoring import ambient
from ..authoring.doors import Doors
from ..compat import hook
from ..values import codec
from ..wire import Code, Fault
from . import body_errors
from .call import Invocation
from .replay.run_clock import RunClock
from .source.entry import find_entry
from .source.loader import LoadedVersions, Version, signature_of
from .source.run_info import RunInfo
from .source.typed_dicts import accept_typed_dicts

_MAX_RESULT_BYTES: Final = 16 * 1024 * 1024
"""As the setting `max_result_bytes` has it."""


class _Clock:
    """Implements ClockSource by the doors of the run."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def read_clock(self, live: Callable[[], float], /) -> float:
        return self._doors.read_clock(live)


class Foreground:
    """One version that is run here. Its doors are local ones. `prefer_installed` is the setting of that name."""

    def __init__(
        self, code: Code, doors: Doors, sleep: Callable[[float], None], run_id: str, prefer_installed: bool = False
    ) -> None:
        self._version = Version(code)
        self._doors = doors
        self._sleep = sleep
        self._run_id = run_id
        self._prefer_installed = prefer_installed
        self.state: dict[str, Any] = {}
        """The state at the end of the run."""

    def run(self, arguments: Mapping[str, Any], state: Mapping[str, Any], env: Mapping[str, str]) -> Any:
        """The result as JSON values. Raises as the body does, and Refusal for arguments and a result that do not fit."""
        ambient.begin(self._doors)
        try:
            clock = RunClock(self._run_id, _Clock(self._doors), self._sleep)
            with _imports_as_in_a_worker(self._prefer_installed), LoadedVersions().load(self._version, clock) as module:
                entry = find_entry(module, self._version.code.entry)
                signature = signature_of(self._version, module, entry)
                info = RunInfo(self._run_id, self._version.code.name, env, has_state=True)
                run, positional, keyword = entry.bind(signature, info, arguments)
                ambient.restore(codec.decode(codec.encode(dict(state))))
                call = Invocation(self._doors.emit, wants_return=signature.gives_return_value, max_items=info.max_items)
                result = signature.dump(call(run, positional, keyword), _MAX_RESULT_BYTES)
                self.state = codec.decode(ambient.stored_form())
                return json.loads(result)
        finally:
            ambient.end()

    def explain(self, error: BaseException) -> Fault:
        """The error as a run reports it, with a traceback without our own frames."""
        return body_errors.of_run(error, self._version)


@contextmanager
def _imports_as_in_a_worker(prefer_installed: bool) -> Iterator[None]:
    """Answer imports of the systems that we stand in for. Afterwards the process has its own imports again."""
    accept_typed_dicts()
    hook.install(prefer_real=prefer_installed)
    try:
        yield
    finally:
        hook.uninstall()
