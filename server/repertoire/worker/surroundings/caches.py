"""Caches: table of standard library names that a run may change without effect on the next run; used by Heap.

They are caches and counters, or `resets` puts them back. Names in this table are not compared. A cache that is missing here costs a process
each time it changes. Compiled patterns that a module makes at first use are recognized without this table.
"""

from __future__ import annotations

from typing import Final

_BY_MODULE: Final = {
    "_strptime": "_TimeRE_cache _regex_cache",
    "_warnings": "filters _onceregistry",
    "_frozen_importlib": "_blocking_on _module_locks",
    "asyncio.coroutines": "_iscoroutine_typecache",
    "asyncio.events": "_event_loop_policy",
    "asyncio.tasks": "_all_tasks _current_tasks _eager_tasks _scheduled_tasks",
    "concurrent.futures.thread": "_threads_queues",
    "copyreg": "_extension_cache",
    "ctypes": "_c_functype_cache",
    "encodings": "_cache",
    "inspect": "_filesbymodname modulesbyfile",
    "linecache": "cache",
    "logging": "_handlerList _handlers root",
    "multiprocessing.process": "_children _dangling _process_counter",
    "multiprocessing.util": "_afterfork_counter _afterfork_registry _finalizer_counter _finalizer_registry",
    "os": "environ environb",
    "platform": "_platform_cache _sys_version_cache _uname_cache",
    "posix": "environ",
    "random": "_inst",
    "re": "_cache _cache2 _pattern_cache _template_cache",
    "subprocess": "_active",
    "sys": "argv last_exc last_traceback last_type last_value meta_path modules path path_hooks path_importer_cache stderr stdout",
    "tempfile": "_name_sequence tempdir",
    "threading": "_active _active_limbo_lock _counter _dangling _limbo _shutdown_locks _shutdown_locks_lock",
    "time": "altzone daylight timezone tzname",
    "typing": "_cleanups _overload_registry",
    "urllib.request": "_opener",
    "uuid": "_last_timestamp _last_timestamp_v7 _last_counter_v7 _node",
    "warnings": "_filters_version _onceregistry filters onceregistry",
    "weakref.finalize": "_dirty _index_iter _registered_with_atexit _registry",
    "xml.etree.ElementPath": "_cache",
    "zipimport": "_zip_directory_cache",
}

CACHES: Final = frozenset(f"{module}.{name}" for module, names in _BY_MODULE.items() for name in names.split())
