"""Starting a worker's Python: its command line and what of our environment it may see."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

_KEPT_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SYSTEMROOT",
)  # fmt: skip
"""What a Python needs to start, find its packages and check certificates. Nothing that could be a secret. TZ is the
caller's of each run."""


async def start_python(theirs: socket.socket, environment: dict[str, str], *flags: str) -> asyncio.subprocess.Process:
    """Start `python -m repertoire.worker` with one end of a socketpair, in a process group of its own."""
    fd = theirs.fileno()
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "repertoire.worker", *flags, "--fd", str(fd), pass_fds=(fd,), env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def worker_environment() -> dict[str, str]:
    """What every worker has. PYTHONHASHSEED is fixed so that sets of strings keep their order from run to run."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
