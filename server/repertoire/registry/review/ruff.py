"""Ruff's findings on a source: `lint` runs ruff in a subprocess, which reads the text and executes nothing of it; used by the service.

Only rules that point at a likely mistake are selected; style is left to the author. Without ruff installed, there are no findings.
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

from ...model.workflow_version import Finding
from .findings import select_findings

logger = logging.getLogger(__name__)

GLOBALS: Final = (
    "session_state", "progress", "log", "commit_state", "tools", "workflows", "artifacts", "step", "now", "sleep", "ask", "cached",
)  # fmt: skip
"""Names that every workflow has without an import. The worker's loader adds them; a test compares the two lists."""

_SELECT: Final = (
    "F",  # names that do not exist, imports and variables that nobody uses, format strings that do not fit
    "E711", "E712", "E713", "E714", "E721", "E722", "E9", "W605",
    "B",
    "ASYNC", "RUF006", "PLE",  # code that blocks the event loop, lost tasks; calls that cannot work
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
"""Codes or prefixes of rules for code that is untidy or only sometimes wrong. The other rules give warnings."""
_TIMEOUT_S: Final = 5.0
"""Ruff takes some ten milliseconds. Beyond this limit the source was made to be slow, or the machine is overloaded."""
_TRIES: Final = 2
_MOST_BYTES: Final = 1024 * 1024
"""Bytes of ruff's output that are read. It has a line for each finding: the largest source can have a hundred megabytes of them."""
_NEWEST_PYTHON: Final = 14
"""The newest 3.x that every ruff we allow has heard of."""


class _Location(msgspec.Struct, frozen=True):
    row: int
    column: int


class _Fix(msgspec.Struct, frozen=True):
    message: str | None = None


class _RuffFinding(msgspec.Struct, frozen=True):
    """The used fields of one line of ruff's output. `code` is null if the source does not parse."""

    message: str
    location: _Location
    code: str | None = None
    fix: _Fix | None = None
    url: str | None = None


async def lint(source: str) -> list[Finding]:
    """At most twenty findings in the order of lines. None if ruff is missing, fails or takes too long."""
    program = ruff_path()
    if program is None:
        return []
    written = await _output([program, *_arguments()], source.encode("utf-8", "replace"))
    found: list[Finding] = []
    for line in written.splitlines():
        with suppress(msgspec.DecodeError):  # the last line, if the output was cut
            found.append(_finding(msgspec.json.decode(line, type=_RuffFinding)))
    return select_findings(found)


def ruff_path() -> str | None:
    """The path of ruff: beside this Python, where pip installs it, or on the PATH."""
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
    """Ruff's output, within the limits of time and size. If another process killed ruff, it is started once more.

    It runs in the root folder, without environment variables and with --isolated: nothing configures it, and it leaves no files behind.
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
    """Send the source, then read the output: ruff reads everything before it writes. False: it wrote too much and was ended."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(anyio.BrokenResourceError):  # it ended early: the output so far counts
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


def _finding(one: _RuffFinding) -> Finding:
    code = one.code or "invalid-syntax"
    fix = one.fix.message if one.fix is not None else None
    hint = f"{fix}." if fix else one.url and f"See {one.url}"
    severity: Literal["warning", "info"] = "info" if code.startswith(_INFO) else "warning"
    return Finding(f"ruff:{code}", severity, one.message, one.location.row, one.location.column, hint)
