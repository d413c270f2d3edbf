"""Folder: reads the workflow files of one folder, and again those that have changed; used by `Catalog`.

A file's text gives a version, or several for a file with classes. The engine's `inspect` loads each version and reads its schemas.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from ..errors import Refused
from ..limits import Limits
from ..model.workflow_version import BrokenFile, Finding, WorkflowVersion, name_of_file, name_problem, version_hash
from ..store import Store
from ..store.workflow_versions import Entries, Scanned, record_problem
from ..text import is_well_formed, well_formed
from ..wire import Fault, Inspected
from .bundle import Bundle
from .portability import unlisted_parts
from .source import analyse, parse, read_source
from .source_imports import uses_of
from .told_schemas import read_notes, read_schema
from .used_tools import used_tools

logger = logging.getLogger(__name__)

Inspector = Callable[[WorkflowVersion], Awaitable[Inspected | Fault]]
"""Loads a module in a worker and reads its schemas. The engine's function; `app` passes it in."""

_MAX_FILES = 20_000
_ENVIRONMENT_RULES = frozenset({"import_failed", "worker_lost", "worker_exit", "internal"})
"""Causes that may disappear although the file has not changed. Such a file is read again at every scan."""
_SLOW_RULES = frozenset({"import_timeout"})
"""The same, but the file is read again only once in a process: each time costs the whole timeout."""


class Folder:
    """`entries` are the versions of every file by path, or why it has none. `scan` brings them up to date, file by file."""

    def __init__(self, root: str, store: Store, inspect: Inspector, limits: Limits) -> None:
        self.root = root
        self.entries: dict[str, Entries] = {}
        self._store = store
        self._inspect = inspect
        self._limits = limits
        self._fingerprints: dict[str, str] | None = None
        self._read_here: set[str] = set()
        self._lock = anyio.Lock()

    async def scan(self, on_entry: Callable[[], Awaitable[None]]) -> bool:
        """Read new and changed files and drop deleted ones. `on_entry` is awaited after each file. True: something has changed."""
        async with self._lock:
            if self._fingerprints is None:
                await self._recall()
            assert self._fingerprints is not None
            current = await anyio.to_thread.run_sync(_python_files, self.root)
            stale = [path for path in current if not await self._is_fresh(path)]
            gone = [path for path in self._fingerprints if path not in set(current)]
            if not stale and not gone:
                return False
            before, fingerprints = dict(self.entries), self._fingerprints
            found: dict[str, Scanned] = {}
            for path in gone:
                self.entries.pop(path, None)
                del fingerprints[path]

            async def read(path: str) -> None:
                scanned = fingerprints[path], self.entries[path] = await self._read(path)
                # The store cannot hold a path that is not UTF-8. Such a file is read again after a restart.
                if is_well_formed(scanned[0]):
                    found[path] = scanned
                self._read_here.add(path)
                await on_entry()

            async with anyio.create_task_group() as tasks:
                for path in stale:
                    tasks.start_soon(read, path)
            await self._store.record_scan(self.root, found, gone)
            return before != self.entries

    def items(self) -> list[tuple[str, WorkflowVersion | BrokenFile]]:
        """All entries with their paths, in a fixed order, without the helpers: files without `run` that another file imports."""
        everything = [(path, entry) for path, entries in sorted(self.entries.items()) for entry in entries]
        helpers = {imported for path, entry in everything for imported in _imported_by(path, entry)}
        return [(path, entry) for path, entry in everything if not (path in helpers and _has_no_run(entry))]

    async def _recall(self) -> None:
        known = await self._store.scanned(self.root)
        self._fingerprints = {path: fingerprint for path, (fingerprint, _) in known.items()}
        self.entries = {path: entries for path, (_, entries) in known.items()}

    async def _is_fresh(self, path: str) -> bool:
        assert self._fingerprints is not None
        broken = [entry for entry in self.entries.get(path, ()) if isinstance(entry, BrokenFile)]
        rules = {finding.rule for entry in broken for finding in entry.findings}
        if rules & _ENVIRONMENT_RULES or (rules & _SLOW_RULES and path not in self._read_here):
            return False
        known = self._fingerprints.get(path)
        return known is not None and known == fingerprint(part.rpartition("=")[0] for part in known.split("\n"))

    async def _read(self, path: str) -> Scanned:
        relative = os.path.relpath(path, self.root)
        name = name_of_file(relative)
        files = [path]
        try:
            versions = await anyio.to_thread.run_sync(self._analyse, path, name, files)
            mark = fingerprint(files)  # before loading: a change during it is then seen at the next scan
            return mark, tuple([await self._load(version, relative) for version in versions])
        except Exception as error:  # one bad file must not stop the others
            imports = await anyio.to_thread.run_sync(self._imports_of, path, error)
            return fingerprint(files), (msgspec.structs.replace(self._broken(path, name, error), imports=imports),)

    def _imports_of(self, path: str, error: Exception) -> tuple[str, ...]:
        """The files that a file without `run` imports: they are its helpers, and need no `run` either."""
        if not isinstance(error, Refused) or error.reason != "no_run" or not is_well_formed(path):
            return ()
        size = self._limits.max_source_bytes
        uses = uses_of(parse(read_source(path, size), size))
        return tuple(Bundle(os.path.dirname(path), size, self.root).files_of(uses))

    async def _load(self, version: WorkflowVersion, relative: str) -> WorkflowVersion | BrokenFile:
        """One workflow of a file with its schemas, from the store or from a worker."""
        assert version.path is not None
        try:
            if problem := name_problem(version.name):
                what = f"the class {version.entry}" if version.entry else relative
                raise Refused(problem, f"Rename {what}.", code="bad_name")
            known = await self._store.version(version.hash)
            if known is not None and known.is_loaded:
                return msgspec.structs.replace(
                    known, origin="operator", root=self.root, path=version.path, package=version.package
                )
            outcome = await self._inspect(version)
            if isinstance(outcome, Fault):
                raise Refused(outcome.message, outcome.hint, code=outcome.code, line=outcome.line)
            loaded = with_schemas(version, outcome)
            if problem := record_problem(loaded):
                raise Refused(f"What it says of itself cannot be stored: {problem}.", code="not_storable")
            return loaded
        except Exception as error:  # other workflows of the file do not depend on it
            return self._broken(version.path, version.name, error)

    def _broken(self, path: str, name: str, error: Exception) -> BrokenFile:
        finding = finding_of(error)
        shown = well_formed(path)
        if finding.rule == "internal":
            logger.exception("reading %s", shown)
        logger.warning("%s is not published: %s", shown, finding.message)
        return BrokenFile(shown, self.root, (finding,), name)

    def _analyse(self, path: str, name: str, files: list[str]) -> list[WorkflowVersion]:
        """The versions of a file, from its text alone. The modules that it imports from its own folder are appended to `files`."""
        if not is_well_formed(path):
            raise Refused(
                "The file's name is not UTF-8.",
                "Rename the file, or its folder where that has such a name.",
                code="bad_name",
            )
        source = read_source(path, self._limits.max_source_bytes)
        analysis = analyse(source, max_bytes=self._limits.max_source_bytes)
        bundle = Bundle(os.path.dirname(path), self._limits.max_bundle_bytes, self.root)
        try:
            bundle.gather(analysis.uses)
        finally:
            files += bundle.files
        modules = tuple(bundle.modules)
        tools = used_tools(source, modules, analysis.options.tools)

        def version(name: str, description: str, entry: str | None) -> WorkflowVersion:
            return WorkflowVersion(
                hash=version_hash(name, source, description, analysis.options, modules, bundle.data),
                name=name,
                origin="operator",
                source=source,
                description=description,
                options=analysis.options,
                modules=modules,
                files=bundle.data,
                package=bundle.package,
                input_schema={},
                output_schema={},
                uses_state=analysis.uses_state or bundle.uses_state,
                tools=tools,
                root=self.root,
                path=path,
                entry=entry,
                created_at=time.time(),
            )

        found = [
            version(one.name, one.description or analysis.description or _words_of(one.name), one.entry)
            for one in analysis.classes
        ]
        return found or [version(name, analysis.description, None)]


def _imported_by(path: str, entry: WorkflowVersion | BrokenFile) -> list[str]:
    if isinstance(entry, BrokenFile):
        return [one for one in entry.imports if one != path]
    folder = os.path.dirname(path)
    names = [
        one.path or one.name.replace(".", "/") + ("/__init__.py" if one.package else ".py") for one in entry.modules
    ]
    return [os.path.normpath(os.path.join(folder, name)) for name in names]


def _words_of(name: str) -> str:
    """A class without any description is described by its name."""
    return name.replace("_", " ").capitalize()


def _has_no_run(entry: WorkflowVersion | BrokenFile) -> bool:
    return isinstance(entry, BrokenFile) and all(finding.rule == "no_run" for finding in entry.findings)


def with_schemas(version: WorkflowVersion, read: Inspected) -> WorkflowVersion:
    """The version with the schemas and notes of its load. Raises Refused."""
    takes = _object_schema(read.input_schema)
    gives = read_schema(read.output_schema, "its result")
    return msgspec.structs.replace(
        version,
        input_schema=takes,
        output_schema=gives,
        findings=(*version.findings, *read_notes(read.notes), *unlisted_parts(takes, gives)),
    )


def _object_schema(text: str) -> dict[str, Any]:
    """The input schema. Its `properties` are sure to be schemas."""
    schema = read_schema(text, "its parameters")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(one, dict | bool) for one in properties.values()):
        raise Refused(
            "The schema of its parameters is not a JSON Schema: `properties` are no schemas.",
            "Look at what json_schema_extra or __get_pydantic_json_schema__ changes.",
            code="bad_schema",
        )
    bare = {name: one if isinstance(one, dict) else {} for name, one in properties.items()}
    return {**schema, "properties": bare} if "properties" in schema else schema


def finding_of(error: Exception) -> Finding:
    if isinstance(error, Refused):
        return Finding(error.reason, "error", error.message, error.line, error.column, error.hint, error.file)
    if isinstance(error, OSError):
        return Finding("unreadable", "error", f"The file cannot be read: {error.strerror or error}.")
    said = well_formed(f"{type(error).__name__}: {error}"[:300])
    return Finding("internal", "error", f"Repertoire failed to read this file ({said}); its log has the details.")


def fingerprint(files: Iterator[str] | list[str]) -> str:
    """`path=mtime/size` of each file, one a line. It is cheap to compare, and names the files to compare."""
    return "\n".join(f"{path}={_mark(path)}" for path in files)


def _mark(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "gone"
    return f"{status.st_mtime_ns}/{status.st_size}"


def _python_files(root: str) -> list[str]:
    """Workflow files below root in a fixed order. Names that start with _ or . are helpers or hidden; linked folders are not entered."""
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        found.extend(
            os.path.join(folder, name)
            for name in sorted(files)
            if name.endswith(".py") and not name.startswith((".", "_"))
        )
        if len(found) > _MAX_FILES:
            logger.warning("%s holds more than %d Python files; the rest is not read", root, _MAX_FILES)
            return found[:_MAX_FILES]
    return found
