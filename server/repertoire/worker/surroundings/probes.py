"""Probes: read process-wide state in C or in the operating system, and compare it after each run; used by Surroundings.

This state is not put back: a run that changes it costs the process. The names in the tables appear in the log.
"""

from __future__ import annotations

import abc
import atexit
import codecs
import decimal
import encodings
import faulthandler
import gc
import os
import random
import resource
import signal
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

_LIMITS: Final = tuple(sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}))


def _ids() -> Any:
    return os.getresuid(), os.getresgid(), os.getpgid(0), os.getsid(0)


def _standard_descriptors() -> Any:
    return [(found.st_dev, found.st_ino) for found in map(os.fstat, (0, 1, 2))]


def _descriptors() -> Any:
    """The open file descriptors. None: this system does not list them."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return set(os.listdir(folder)) - {_lowest_free()}
        except OSError:
            continue
    return None


def _lowest_free() -> str:
    """The descriptor that reading the folder will use: the lowest free one."""
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    return str(free)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _codec_lists() -> list[Any]:
    """The interpreter's own list of codec search functions and its table of error handlers."""
    found = [
        one
        for one in gc.get_referrers(encodings.search_function)
        if type(one) is list and one[0] is encodings.search_function
    ]
    strict = codecs.lookup_error("strict")
    return found + [
        one for one in gc.get_referrers(strict) if type(one) is dict and one.get("strict") is strict and "ignore" in one
    ]


_CODECS: Final = _codec_lists()
"""Found at import: `gc.get_referrers` does not find objects that are frozen later (`gc.freeze`)."""


def _codecs() -> Any:
    return [list(map(id, one.values() if isinstance(one, dict) else one)) for one in _CODECS]


def _contexts() -> Any:
    return [repr(one) for one in (decimal.DefaultContext, decimal.BasicContext, decimal.ExtendedContext)]


def _csv(module: Any) -> Any:
    return module.field_size_limit(), {name: id(module.get_dialect(name)) for name in module.list_dialects()}


def _numpy(module: Any) -> Any:
    return module.geterr(), module.getbufsize(), repr(module.geterrcall())


def _torch(module: Any) -> Any:
    return (
        module.get_default_dtype(),
        module.get_num_threads(),
        module.is_grad_enabled(),
        module.get_float32_matmul_precision(),
        module.are_deterministic_algorithms_enabled(),
        module.is_anomaly_enabled(),
        str(module.get_default_device()),
    )


def _figures(module: Any) -> Any:
    return tuple(module.Gcf.figs)


def _is_foreign(finder: Any) -> bool:
    kind = type(getattr(finder, "__self__", finder))
    return not kind.__module__.startswith("repertoire.")


def _monitoring() -> Any:
    tools: Any = getattr(sys, "monitoring", None)
    return tools and [tools.get_tool(n) for n in range(6)]


_ALWAYS: Final[dict[str, Callable[[], Any]]] = {
    "the limits of the process (resource.setrlimit)": lambda: [resource.getrlimit(limit) for limit in _LIMITS],
    "the priority of the process (os.nice)": lambda: os.getpriority(os.PRIO_PROCESS, 0),
    "the processors of the process": lambda: getattr(os, "sched_getaffinity", lambda _: None)(0),
    "the user or the group of the process": _ids,
    "the standard descriptors": _standard_descriptors,
    "child processes": _has_children,
    "the size of threads' stacks": threading.stack_size,
    "codecs": _codecs,
    "the default contexts of decimal": _contexts,
    "faulthandler": faulthandler.is_enabled,
    "tracemalloc": tracemalloc.is_tracing,
    "hooks of async generators": sys.get_asyncgen_hooks,
    "origins of coroutines": sys.get_coroutine_origin_tracking_depth,
    "sys.monitoring": _monitoring,
    "sys.modules": lambda: [id(sys.modules), id(sys.meta_path), id(sys.path_importer_cache), id(vars(random)["_inst"])],
    "interval timers": lambda: signal.getitimer(signal.ITIMER_REAL)[0],
}
_OF_IMPORTS_TOO: Final[dict[str, Callable[[], Any]]] = {
    "atexit": lambda: atexit._ncallbacks(),
    "an abstract class's register()": abc.get_cache_token,
    "open files": _descriptors,
    "sys.meta_path": lambda: list(map(id, filter(_is_foreign, sys.meta_path))),
    "sys.path_hooks": lambda: list(map(id, filter(_is_foreign, sys.path_hooks))),
}
"""An import may change these; what it leaves is remembered."""
_OF_MODULES: Final[dict[str, Callable[[Any], Any]]] = {
    "csv": _csv,
    "numpy": _numpy,
    "torch": _torch,
    "matplotlib._pylab_helpers": _figures,
}


class Probes:
    def __init__(self) -> None:
        self._always = {name: probe() for name, probe in _ALWAYS.items()}
        self._of_imports = {name: probe() for name, probe in _OF_IMPORTS_TOO.items()}
        self._of_modules: dict[str, Any] = {}
        self.learn(None)

    def change(self) -> str | None:
        """The name of something that has changed. None: nothing has changed."""
        for name, probe in _ALWAYS.items():
            if probe() != self._always[name]:
                return name
        return self.change_of_learned() or self._change_of_modules()

    def change_of_learned(self) -> str | None:
        for name, probe in _OF_IMPORTS_TOO.items():
            if probe() != self._of_imports[name]:
                return name
        return None

    def learn(self, before: str | None) -> None:
        """Remember the present state after an import. `before` names a change from before the import; then the state is not accepted."""
        if before is None:
            self._of_imports = {name: probe() for name, probe in _OF_IMPORTS_TOO.items()}
        for name, probe in _OF_MODULES.items():
            if name not in self._of_modules and _is_loaded(name):
                self._of_modules[name] = probe(sys.modules[name])

    def _change_of_modules(self) -> str | None:
        for name, first in self._of_modules.items():
            if _OF_MODULES[name](sys.modules[name]) != first:
                return f"settings of {name}"
        return None


def _is_loaded(name: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)
