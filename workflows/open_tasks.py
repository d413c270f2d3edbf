"""List the open tasks in notes: unticked boxes (`- [ ]`) and TODO lines of Markdown files that an MCP server gives.

Reads through the MCP server `files` (`@modelcontextprotocol/server-filesystem`), so it sees the folders that this server allows. Until the
server is configured, the error says which lines are missing in `mcp.json`.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from repertoire import CallError, progress, tools

__workflow__ = {"tags": ["notes", "mcp", "example"], "timeout_s": 300, "read_only": True}

MOST_FILES = 500
AT_ONCE = 8
OPEN = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+\[ \]\s+(?P<box>.+?)\s*$|\bTODO\b[:\s]*(?P<todo>.+?)\s*$")
CONFIGURE = (
    "This workflow reads files through an MCP server called `files`, {trouble} Put this into mcp.json in Repertoire's home "
    '(`repertoire config` shows the file): {{"mcpServers": {{"files": {{"command": "npx", "args": ["-y", '
    '"@modelcontextprotocol/server-filesystem", "/the/folder/of/your/notes"]}}}}}}. Then `repertoire stop`: the file is read when the '
    "server starts. `repertoire tools doctor` says whether it works."
)


class NotConfigured(Exception):
    """The MCP server `files` is not there; the message says how to configure it."""


@dataclass(frozen=True)
class Task:
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class OpenTasks:
    """`unread` are files that the server did not give. `more_files` says that only the first 500 were read."""

    tasks: list[Task]
    files: int
    unread: list[str]
    more_files: bool


async def run(folder: str | None = None, pattern: str = "**/*.md", word: str = "") -> OpenTasks:
    """List the open tasks in notes.

    Args:
        folder: Where to look, with all folders below; by default all folders that the server allows.
        pattern: The files to read.
        word: List only tasks with this word in them.

    Raises:
        NotConfigured: There is no MCP server `files`, or it cannot be started.
    """
    folders = [folder] if folder is not None else await _allowed()
    found = sorted({file for one in folders for file in await _search(one, pattern)})
    files, unread = found[:MOST_FILES], list[str]()
    gate = asyncio.Semaphore(AT_ONCE)
    done = 0

    async def read(file: str) -> list[Task]:
        nonlocal done
        async with gate:
            try:
                text = _text(await tools.files.read_text_file(path=file))
            except CallError as error:
                if error.code != "tool_failed":
                    raise
                unread.append(file)
                text = ""
        done += 1
        progress(done, len(files), file)
        return _open(file, text, word)

    tasks = [task for part in await asyncio.gather(*(read(file) for file in files)) for task in part]
    return OpenTasks(tasks, len(files), sorted(unread), len(found) > len(files))


async def _allowed() -> list[str]:
    """The folders that the server gives access to. The first call, so it finds out whether there is a server at all."""
    try:
        answer = _text(await tools.files.list_allowed_directories())
    except CallError as error:
        raise _explained(error) from error
    return [line.strip() for line in answer.splitlines() if line.strip().startswith(("/", "\\")) or line[1:2] == ":"]


async def _search(folder: str, pattern: str) -> list[str]:
    try:
        answer = _text(await tools.files.search_files(path=folder, pattern=pattern))
    except CallError as error:
        raise _explained(error) from error
    return [] if answer.startswith("No matches") else answer.splitlines()


def _explained(error: CallError) -> Exception:
    """The error itself, or how to configure the server if the server is the trouble."""
    if error.code == "unknown_tool":
        return NotConfigured(CONFIGURE.format(trouble="which is not configured, or has other tools."))
    if error.code == "tool_unavailable":
        return NotConfigured(CONFIGURE.format(trouble=f"which does not work: {error.message}"))
    return error


def _text(answer: Any) -> str:
    """Newer releases of the server answer with an object, older ones with the text itself."""
    return answer if isinstance(answer, str) else str(answer["content"])


def _open(file: str, text: str, word: str) -> list[Task]:
    found: list[Task] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = OPEN.search(line)
        if match is not None and word.lower() in line.lower():
            found.append(Task(file, number, str(match["box"] or match["todo"])))
    return found
