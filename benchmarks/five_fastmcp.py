"""The same five things in one background task of FastMCP, over stdio. Copied, changed, and run by a Python that has it: `FILE FOLDER`.

Where its tasks are kept is said by FASTMCP_DOCKET_URL, in memory when that is not set.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "v1"
FOLDER = Path(os.environ["SURVIVE_FOLDER"])
mcp: Any = importlib.import_module("fastmcp").FastMCP("five")
mcp.add_extension(importlib.import_module("fastmcp_tasks").TasksExtension())


def effect(n: int) -> int:
    if n == 4:
        (FOLDER / "pid").write_text(str(os.getpid()))
        (FOLDER / "at four").touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.01)
    with open(FOLDER / "effects", "a") as file:
        file.write(f"{VERSION} {n}\n")
    return n


async def five() -> list[str]:
    """Do five things, one after the other."""
    return [f"{VERSION} {await asyncio.to_thread(effect, n)}" for n in range(1, 6)]


mcp.tool(five, task=True)
# ANOTHER

if __name__ == "__main__":
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # its banner and log are nobody's here
    mcp.run(transport="stdio", show_banner=False)
