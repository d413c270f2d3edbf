"""Command line and environment of a worker's Python process; used by WorkerPool and Zygote."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence

_KEPT_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SYSTEMROOT",
)  # fmt: skip
"""Variables that a Python needs to start, to find its packages and to check certificates. None of them could be a secret. TZ is not among
them: each run has that of its caller."""


async def start_python(
    theirs: socket.socket, environment: dict[str, str], *flags: str, prefix: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    """Start `python -m repertoire.worker` with one end of a socketpair, in a process group of its own. `prefix`: a program that starts it."""
    fd = theirs.fileno()
    return await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-P", "-m", "repertoire.worker", *flags, "--fd", str(fd)),
        pass_fds=(fd,),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


def worker_environment() -> dict[str, str]:
    """The environment of every worker. PYTHONHASHSEED is fixed, so that sets of strings have the same order in each run."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
