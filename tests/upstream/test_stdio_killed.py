"""An MCP server over stdio does not outlive a server of ours that was killed, even if it ignores the end of its stdin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.daemons import until

STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {helper.pid}\\n")
time.sleep(600)
"""
OWNER = """
import sys, anyio
from repertoire.upstream.config import ServerConfig
from repertoire.upstream.inbox import Inbox
from repertoire.upstream.stdio_process import StdioNotes, stdio_process

class Anything:
    def passes(self, message): return True
    def ended(self): return None

async def main():
    config = ServerConfig(name="s", original="s", command=sys.executable, args=("-c", sys.argv[1], sys.argv[2]))
    async with stdio_process(config, StdioNotes(), Anything()):
        print("begun", flush=True)
        if sys.argv[3] == "stay":
            await anyio.sleep_forever()

anyio.run(main)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # a process that nobody has waited for yet has ended
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return Path("/proc").exists() is False


@pytest.mark.parametrize("how", ["stay", "end"])
def test_nothing_of_a_server_is_left(tmp_path: Path, how: str) -> None:
    pids = tmp_path / "pids"
    command = [sys.executable, "-c", OWNER, STUBBORN, str(pids), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"begun\n"
        if how == "stay":
            until(lambda: pids.exists() and pids.read_text().endswith("\n"))
            owner.send_signal(signal.SIGKILL)
        owner.wait(30)
    if pids.exists() and pids.read_text().endswith("\n"):  # a server that is ended at once may not have come so far
        until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))
