"""What ruff says of a source: it reads the text in a process of its own and runs nothing of it.

Only rules that point at a likely mistake are asked for; how a source looks is its author's matter. Without ruff there is nothing to say.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import sysconfig
from contextlib import suppress
from subprocess import DEVNULL, PIPE
from typing import Final, Literal

import anyio
import msgspec
from anyio.abc import Process

from ...model.workflow import Finding
from .findings import chosen

logger = logging.getLogger(__name__)

GLOBALS: Final = (
    "session_state", "progress", "log", "commit_state", "tools", "workflows", "artifacts", "step", "now", "sleep", "ask", "cached",
)  # fmt: skip
"""There in every workflow without an import; `worker.loader` puts them there, and a test compares the two."""

_SELECT: Final = (
    "F",  # names that do not exist, imports and variables that nobody uses, format strings that do not fit
    "E711", "E712", "E713", "E714", "E721", "E722", "E9", "W605",
    "B",
    "ASYNC", "RUF006", "PLE",  # what blocks or loses the others' turn; calls that cannot work
    "RUF013",  # `= None` without `| None`: callers that send null are refused
    "S102", "S110", "S112", "S113", "S301", "S306", "S307", "S323", "S501", "S506", "S602", "S604", "S605", "S608",
)  # fmt: skip
_IGNORE: Final = (
    "ASYNC109", "ASYNC110",  # a parameter `timeout`, and polling, are fair here
    "ASYNC230", "ASYNC240",  # a run has its worker for itself: reading a file holds up nobody
    "B007", "B009", "B010", "B011", "B024", "B027", "B028", "B905",  # taste, or of libraries
    "B008", "B018",  # pydantic's Field(...) as a default; a last line that shows a value
)  # fmt: skip
_INFO: Final = ("F401", "F541", "F811", "F841", "E71", "E721", "W", "B904", "RUF013", "ASYNC", "S3", "S6")
"""Codes, or how they begin, of what is untidy or only sometimes wrong; the others are warnings."""
_TIMEOUT_S: Final = 5.0
"""Ruff takes some ten milliseconds; beyond this the source was made to be slow, or the machine has other troubles."""
_TRIES: Final = 2
_MOST_BYTES: Final = 1024 * 1024
"""Of what ruff writes, a line for each finding: a source of the largest size can have a hundred megabytes of them."""
_NEWEST_PYTHON: Final = 14
"""The newest 3.x that every ruff we allow has heard of."""


class _Place(msgspec.Struct, frozen=True):
    row: int
    column: int


class _Fix(msgspec.Struct, frozen=True):
    message: str | None = None


class _Said(msgspec.Struct, frozen=True):
    """One line of ruff's output, as far as we want it. `code` is null where the source does not parse."""

    message: str
    location: _Place
    code: str | None = None
    fix: _Fix | None = None
    url: str | None = None


async def lint(source: str) -> list[Finding]:
    """At most twenty findings in the order of their lines; none where ruff is missing, fails or takes too long."""
    program = ruff_path()
    if program is None:
        return []
    written = await _output([program, *_arguments()], source.encode("utf-8", "replace"))
    found: list[Finding] = []
    for line in written.splitlines():
        with suppress(msgspec.DecodeError):  # the last line, where the output was cut
            found.append(_finding(msgspec.json.decode(line, type=_Said)))
    return chosen(found)


def ruff_path() -> str | None:
    """Where ruff is: beside this Python, as pip puts it there, or on the PATH."""
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))]
    return shutil.which("ruff", path=os.pathsep.join(folders)) or shutil.which("ruff")


def _arguments() -> list[str]:
    return [
        "check",
        "--isolated",
        "--no-cache",
        "--quiet",
        "--output-format",
        "json-lines",
        "--stdin-filename",
        "workflow.py",
        "--target-version",
        f"py3{min(sys.version_info.minor, _NEWEST_PYTHON)}",
        "--config",
        f"builtins={json.dumps(GLOBALS)}",
        "--select",
        ",".join(_SELECT),
        "--ignore",
        ",".join(_IGNORE),
        "-",
    ]


async def _output(command: list[str], source: bytes) -> bytes:
    """What it wrote, as much as there was time and room for. Once more where it was killed, by nobody here.

    It works in the root folder and without an environment: with --isolated nothing configures it, and nothing is left behind.
    """
    for _ in range(_TRIES):
        written, was_killed = bytearray(), False
        with anyio.move_on_after(_TIMEOUT_S):
            try:
                process = await anyio.open_process(
                    command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=os.path.abspath(os.sep), env={}
                )
            except OSError:
                return b""
            async with process:
                if await _converse(process, source, written):
                    was_killed = await process.wait() < 0
        if not was_killed:
            break
        logger.warning("ruff was killed while it read a source")
    return bytes(written)


async def _converse(process: Process, source: bytes, written: bytearray) -> bool:
    """Ruff reads all before it writes, so one after the other does. False: it writes too much, and was ended."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(anyio.BrokenResourceError):  # it ended early: what it has said by then counts
        await process.stdin.send(source)
        await process.stdin.aclose()
        async for part in process.stdout:
            written += part
            if len(written) > _MOST_BYTES:
                break
    if len(written) > _MOST_BYTES:
        process.kill()
        return False
    return True


def _finding(said: _Said) -> Finding:
    code = said.code or "invalid-syntax"
    fix = said.fix.message if said.fix is not None else None
    hint = f"{fix}." if fix else said.url and f"See {said.url}"
    severity: Literal["warning", "info"] = "info" if code.startswith(_INFO) else "warning"
    return Finding(f"ruff:{code}", severity, said.message, said.location.row, said.location.column, hint)
