"""Command server: has loaded what `repertoire` imports, and forks for each command; started by `support.commands`, a program of its own.

A fork is a process with its own descriptors, folder, environment, signals and exit code, as one that is started. Only the import of
other people's packages and of the service is done already. The modules of the command line itself are imported anew by each.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from typing import Any, Final

_LOADED: Final = (
    "repertoire.app", "repertoire.daemon_process", "repertoire.surfaces.http", "repertoire.surfaces.mcp",
    "repertoire.surfaces.mcp.change_notifications", "repertoire.surfaces.mcp.sdk_adapter", "repertoire.surfaces.mcp.stdio_framing",
    "rich.console", "rich.markup", "rich.progress", "rich.table", "rich.text", "rich.tree", "typer", "typer.rich_utils", "uvicorn",
    "watchfiles",
)  # fmt: skip


def serve(requests: socket.socket) -> tuple[list[str], str | None]:
    """Fork for each request until the tests end. Returns in each fork, with its words and the program's file."""
    children: dict[int, int] = {}
    noticed, notices = socket.socketpair()
    for end in (noticed, notices):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notices.fileno(), warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([requests, noticed], [], [])
        if noticed in ready:
            noticed.recv(4096)
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            ended = children.pop(pid)
            try:
                os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
            except BrokenPipeError:  # the test does not want to know
                pass
            os.close(ended)
        if requests not in ready:
            continue
        data, given, _, _ = socket.recv_fds(requests, 4 * 1024 * 1024, 4)
        if not data:
            os._exit(0)
        *standard, ended = given
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for own in (requests, noticed, notices):
                own.close()
            return _become(json.loads(data), standard)
        for descriptor in standard:
            os.close(descriptor)
        children[pid] = ended
        requests.send(str(pid).encode())


def _become(request: dict[str, Any], standard: list[int]) -> tuple[list[str], str | None]:
    if request["session"]:
        os.setsid()
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    for number, name, mode, size in ((0, "stdin", "r", -1), (1, "stdout", "w", -1), (2, "stderr", "w", 1)):
        before = getattr(sys, name)
        stream = open(number, mode, size, before.encoding, before.errors, closefd=False)  # noqa: SIM115  # until the end
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return request["words"], request["program"]


if __name__ == "__main__":
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    words, program = serve(socket.socket(fileno=int(sys.argv[1])))
    if program is None:
        repertoire = importlib.import_module("repertoire.__main__")
        sys.argv = [str(repertoire.__file__), *words]
        sys.exit(repertoire.main())
    sys.argv = [program, *words]
    runpy.run_path(program, run_name="__main__")
