"""Outside: other people's MCP programs in tests/node; runs them, and skips or fails the test if they are missing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from support.required import require

NODE = Path(__file__).parents[1] / "node"
REQUIRED = "REPERTOIRE_REQUIRE_NODE"
"""1: a missing part fails the test. CI sets it, so that nothing goes untested there without a word."""
_REMEDY = "cd tests/node && npm ci --ignore-scripts"


def need_node(folder: Path = NODE) -> None:
    """Skip the test, saying what is missing and how to get it, or fail it where that is required."""
    if (problem := _missing(folder)) is not None:
        require(REQUIRED, f"{problem} Run: {_REMEDY}")


def need_pyright(folder: Path = NODE) -> None:
    """The same for the type checker pyright."""
    need_node(folder)
    if not (folder / "node_modules" / ".bin" / "pyright").exists():
        require(REQUIRED, f"pyright is not installed. Run: {_REMEDY}")


def need_node_servers(folder: Path = NODE) -> None:
    """The same for other people's MCP servers."""
    need_node(folder)
    for name in ("mcp-server-everything", "mcp-server-filesystem"):
        if not (folder / "node_modules" / ".bin" / name).exists():
            require(REQUIRED, f"{name} is not installed. Run: {_REMEDY}")


def run_node(*command: str, cwd: Path = NODE, timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
    """A program of tests/node/node_modules, with the Node.js that is installed beside it."""
    programs = NODE / "node_modules" / ".bin"
    environ = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    program = [str(programs / command[0]), *command[1:]]
    return subprocess.run(program, cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout_s)


def _missing(folder: Path) -> str | None:
    if not (folder / "node_modules" / ".bin" / "node").exists():
        return "other people's MCP clients are not installed."
    for name, version in json.loads((folder / "package.json").read_text())["dependencies"].items():
        try:
            found = json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        except FileNotFoundError:
            return f"{name} is not installed."
        if found != version:
            return f"{name} is {found}, and these tests are for {version}."
    return None
