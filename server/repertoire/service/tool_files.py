"""ToolFiles: reads the definitions of tools, and again when their files change while the server runs; used by the app and `Tools`.

1. Once a second the times of the files are compared. Most are few, and a home's own folder changes with every commit, so it is not watched.
2. A source whose definition is the same stays, with its connection. A changed one is replaced, and the old one is closed when its calls
   have had time to end.
3. Of a file that cannot be used, the sources that it gave before stay. `repertoire tools doctor` tells what is wrong with it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ..upstream.catalog import Catalog
from ..upstream.tool import Source
from .tool_sources import ToolSources

logger = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
_LEFT_S: Final = 60.0
"""Time for the calls of a source that was replaced: the default limit of one."""
_ENDINGS: Final = (".yaml", ".yml", ".json", ".py")

Stamps = Mapping[str, tuple[int, int]]


class ToolFiles:
    """`make` reads the files and makes all sources. Nothing is started by it."""

    def __init__(
        self, make: Callable[[], ToolSources], folders: Sequence[str], mcp_file: str, catalog: Catalog, tasks: TaskGroup
    ) -> None:
        self._make = make
        self._folders = folders
        self._mcp_file = mcp_file
        self._catalog = catalog
        self._tasks = tasks
        self._stamps = self._look()
        self._files: dict[str, str] = {}
        self._lock = anyio.Lock()

    def load(self) -> None:
        """Read them for the first time."""
        found = self._make()
        self._files = found.files
        self._catalog.fill(found.sources, found.troubles)

    async def keep(self) -> None:
        """Runs as long as the app."""
        while True:
            await anyio.sleep(_LOOK_S)
            try:
                await self.refresh()
            except Exception:  # the edge of a task: the tools stay as they were
                logger.exception("reading the definitions of tools")

    async def refresh(self) -> None:
        """Read the files again, if one has changed."""
        async with self._lock:
            stamps = await anyio.to_thread.run_sync(self._look)
            if stamps != self._stamps:
                self._stamps = stamps
                self._read_again()

    def _read_again(self) -> None:
        found = self._make()
        before = {source.name: source for source in self._catalog.sources}
        kept = {name for name, file in self._files.items() if file in found.troubles and name in before}
        sources, troubles = [], dict(found.troubles)
        for source in found.sources:
            known = before.get(source.name)
            if known is None or source.name in kept:
                sources += [] if source.name in kept else [source]
            elif _definition_of(source) == _definition_of(known):
                sources.append(known)
            elif (why := getattr(_definition_of(source)[1], "trouble", None)) is not None:  # an entry of mcp.json
                sources.append(known)
                troubles[source.name] = f"Its entry cannot be used, so it stays as it was: {why}"
            else:
                sources.append(source)
        self._files = found.files | {name: self._files[name] for name in kept}
        left = self._catalog.replace((*sources, *(before[name] for name in sorted(kept))), troubles)
        logger.info("the definitions of tools were read again; sources: %s", _names(self._catalog.sources))
        for source in left:
            self._tasks.start_soon(self._catalog.retire, source, _LEFT_S)

    def _look(self) -> Stamps:
        """The times and sizes of all files that define tools."""
        found: dict[str, tuple[int, int]] = {}
        for path in (self._mcp_file, *_definitions_in(self._folders)):
            try:
                about = os.stat(path)
            except OSError:
                continue
            found[path] = about.st_mtime_ns, about.st_size
        return found


def _definitions_in(folders: Sequence[str]) -> Iterable[str]:
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(_ENDINGS))


def _definition_of(source: Source) -> tuple[type, Any]:
    """What decides how a source works. One without a definition comes with Repertoire, and is always the same."""
    return type(source), getattr(source, "definition", source.name)


def _names(sources: Iterable[Source]) -> str:
    return ", ".join(sorted(source.name for source in sources))
