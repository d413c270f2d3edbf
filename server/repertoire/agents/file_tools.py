"""File tools: `read`, `write`, `edit`, `list`, `grep` and the like, by which an agent's model works in the run's workspace. Used by `turn`.

Each call is a call of the host that is recorded, as the body's own `harness.fs` is. Errors are told to the model.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from .harness_files import Files

if TYPE_CHECKING:
    from pydantic_ai import Tool

_MOST_CHARS: Final = 50_000
_MOST_MATCHES: Final = 500
_MOST_FILES: Final = 500
"""Files that one `grep` reads."""


def file_tools(files: Files, shell: Any = None) -> list[Tool[Any]]:
    """The tools for pydantic-ai. `shell`: the agent may run commands too."""

    async def read(path: str, offset: int = 1, limit: int = 2000) -> str:
        """Read a file of the workspace: `limit` lines, the first one is line `offset`."""
        lines = (await files.read_file.aio(path)).splitlines()
        shown = "\n".join(lines[max(offset, 1) - 1 : max(offset, 1) - 1 + max(limit, 1)])
        more = len(lines) - (max(offset, 1) - 1 + max(limit, 1))
        return _cut(shown) + (f"\n... {more} lines more: read on with offset and limit" if more > 0 else "")

    async def write(path: str, content: str) -> str:
        """Write a file of the workspace. The file is made, or replaced."""
        await files.write_file.aio(path, content)
        return f"Wrote {path}"

    async def edit(path: str, old_text: str, new_text: str, replace_all: bool = False) -> str:
        """Replace an exact text in a file of the workspace."""
        content = await files.read_file.aio(path)
        count = content.count(old_text) if old_text else 0
        if count == 0:
            raise ValueError(f"the text is not in {path}")
        if count > 1 and not replace_all:
            raise ValueError(f"the text is {count} times in {path}: give more of its surroundings, or replace_all")
        await files.write_file.aio(path, content.replace(old_text, new_text))
        return f"Edited {path}: {count} replaced"

    async def list_files(path: str = ".", recursive: bool = False) -> str:
        """List the files and folders of a folder of the workspace."""
        rows = await files.list.aio(path, recursive=recursive)
        return _cut("\n".join(row["path"] + ("/" if row["is_dir"] else "") for row in rows)) or "(empty)"

    async def glob(pattern: str) -> str:
        """Find files of the workspace by a pattern such as `**/*.md`."""
        rows = await files.list.aio(".", recursive=True)
        return (
            _cut("\n".join(path for row in rows if _fits(path := _relative(files, row["path"]), pattern))) or "(none)"
        )

    async def grep(pattern: str, path: str = ".", include: str = "*") -> str:
        """Find the lines of files in the workspace that match a regular expression."""
        wanted = re.compile(pattern)
        found: list[str] = []
        for name in await _below(files, path, include):
            lines = (await files.read_file.aio(name)).splitlines()
            found += [f"{name}:{n}:{line[:500]}" for n, line in enumerate(lines, 1) if wanted.search(line)]
            if len(found) > _MOST_MATCHES:
                return _cut("\n".join(found[:_MOST_MATCHES])) + "\n... and more"
        return _cut("\n".join(found)) or "(no match)"

    async def mkdir(path: str) -> str:
        """Make a folder of the workspace, with the folders above it."""
        await files.mkdir.aio(path)
        return f"Made {path}"

    async def rm(path: str, recursive: bool = False) -> str:
        """Remove a file of the workspace, or with `recursive` a folder."""
        await files.rm.aio(path, recursive=recursive)
        return f"Removed {path}"

    async def bash(command: str, timeout: float = 120) -> str:
        """Run a command in the workspace. Gives its output and its exit code."""
        ended = await shell.aio(command, timeout=timeout)
        parts = [ended["stdout"], ended["stderr"], f"exit code {ended['exit_code']}" if ended["exit_code"] else ""]
        return _cut("\n".join(part for part in parts if part)) or "(no output)"

    functions: list[Any] = [read, write, edit, list_files, glob, grep, mkdir, rm]
    return recorded_tools(functions if shell is None else [*functions, bash])


def recorded_tools(functions: Sequence[Callable[..., Coroutine[Any, Any, str]]]) -> list[Tool[Any]]:
    """Tools whose own calls are recorded, so that each is no step of its own. Their errors are told to the model."""
    import dataclasses

    from pydantic_ai import Tool

    def made(function: Callable[..., Coroutine[Any, Any, str]]) -> Tool[Any]:
        read = Tool(function, takes_ctx=False)

        async def call(ctx: Any, /, *args: Any, **kwargs: Any) -> str:
            result: str = await ctx.deps.call_tool(lambda: function(*args, **kwargs))
            return result

        schema = dataclasses.replace(read.function_schema, function=call, takes_ctx=True, is_async=True)
        return Tool(call, takes_ctx=True, name=read.name, description=read.description, function_schema=schema)

    return [made(function) for function in functions]


async def _below(files: Files, path: str, include: str) -> list[str]:
    """The files at this path or below it, as paths that `files` takes."""
    if (await files.stat.aio(path))["is_file"]:
        return [path]
    rows = await files.list.aio(path, recursive=True)
    names = [
        f"/{row['path']}" for row in rows if row["is_file"] and fnmatch.fnmatch(row["path"].rpartition("/")[2], include)
    ]
    return names[:_MOST_FILES]


def _relative(files: Files, path: str) -> str:
    return path if files.cwd == "." else path.removeprefix(files.cwd + "/")


def _fits(path: str, pattern: str) -> bool:
    return fnmatch.fnmatch(path, pattern) or (pattern.startswith("**/") and fnmatch.fnmatch(path, pattern[3:]))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}\n... {len(text) - _MOST_CHARS} characters more"
