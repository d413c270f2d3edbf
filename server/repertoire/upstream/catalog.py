"""Catalog: all sources of tools of a home by name, and their tools by path; used by the door and by the search of tools."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping

import anyio

from .tool import Source, Tool, ToolUnavailable, UnknownTool

_log = logging.getLogger("repertoire.tools")


class Catalog:
    """Sources by name. The first of two sources with one name is kept; the second is reported in `troubles`."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources: dict[str, Source] = {}
        self._refused: dict[str, str] = {}
        self._broken: dict[str, str] = {}
        self._retired: set[Source] = set()
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        if source.name in self._sources:
            self._refused[source.name] = "Another source has this name too, and is not used. Rename one of them."
            _log.warning("two sources of tools are called %s; the second is not used", source.name)
            return
        self._sources[source.name] = source

    def fill(self, sources: Iterable[Source], troubles: Mapping[str, str]) -> None:
        """Add sources, and the troubles of files and settings from which none could be made, by their names."""
        for source in sources:
            self.add(source)
        self._refused |= troubles

    def replace(self, sources: Iterable[Source], troubles: Mapping[str, str]) -> tuple[Source, ...]:
        """Have these sources and troubles instead. Returns the sources that are no longer used; `retire` closes them."""
        before = set(self._sources.values())
        self._sources, self._refused, self._broken = {}, {}, {}
        self.fill(sources, troubles)
        left = before - set(self._sources.values())
        self._retired |= left
        return tuple(left)

    async def retire(self, source: Source, seconds: float) -> None:
        """Close a source that is no longer used, when its calls have had so much time."""
        await anyio.sleep(seconds)
        self._retired.discard(source)
        await _close(source)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._sources.values())

    def troubles(self) -> dict[str, str]:
        """By source: why it does not work, or not wholly. Sentences for the operator."""
        found = {name: trouble for name, source in self._sources.items() if (trouble := source.trouble)}
        return self._refused | self._broken | found

    async def find(self, path: str) -> tuple[Source, Tool]:
        """The tool of a path such as `github.create_issue`. A source's name alone means its tool of the same name.

        Raises UnknownTool, naming the closest paths, and ToolUnavailable.
        """
        name, _, rest = path.partition(".")
        source = self._sources.get(name)
        if source is None:
            known = sorted(self._sources)
            raise UnknownTool(
                f"There is no source of tools {name!r}.", _suggestion(name, known) or _all_of("Sources", known)
            )
        tools = await source.list_tools()
        wanted = rest or name
        for tool in tools:
            if tool.name == wanted:
                return source, tool
        for tool in tools:  # the name that the server itself gives it
            if tool.original == wanted:
                return source, tool
        paths = [tool.path for tool in tools]
        raise UnknownTool(f"{name} has no tool {wanted!r}.", _suggestion(path, paths) or _all_of("It has", paths))

    async def all(self) -> tuple[Tool, ...]:
        """The tools of all sources that can be reached, asked at the same time. For the others see `troubles`."""
        found: dict[str, tuple[Tool, ...]] = {}

        async def ask(source: Source) -> None:
            try:
                found[source.name] = await source.list_tools()
                self._broken.pop(source.name, None)
            except ToolUnavailable as error:
                _log.info("the tools of %s cannot be listed: %s", source.name, error)
            except Exception as error:  # a fault of one does not hide the others
                _log.exception("the tools of %s cannot be listed", source.name)
                self._broken[source.name] = f"Its tools cannot be listed: {type(error).__name__}. The log says more."

        async with anyio.create_task_group() as tasks:
            for source in self._sources.values():
                tasks.start_soon(ask, source)
        return tuple(tool for name in self._sources for tool in found.get(name, ()))

    async def aclose(self) -> None:
        """End all sources at the same time. A fault of one does not keep the others."""
        async with anyio.create_task_group() as tasks:
            for source in (*self._sources.values(), *self._retired):
                tasks.start_soon(_close, source)


async def _close(source: Source) -> None:
    try:
        await source.aclose()
    except Exception:  # one source that cannot be closed keeps no other open
        _log.exception("the source of tools %s could not be closed", source.name)


def _suggestion(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=3)
    return f"Did you mean {', '.join(close)}?" if close else None


def _all_of(intro: str, names: list[str], limit: int = 20) -> str:
    if not names:
        return "There are none."
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{intro}: {', '.join(names[:limit])}{more}."
