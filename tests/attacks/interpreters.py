"""Interpreters: the command of a Python that another user can run; used by `Server` and the tests of layers.

Where our interpreter is in a folder that only root can enter, the command gets mounts of its own, in which that folder has the interpreter
in it and nothing else. Nobody else sees those mounts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
_SHOW: Final = (
    'mount --bind "$1" "$2" && mount -t tmpfs -o mode=755 none "$3" && mkdir -p "$1" && mount --bind "$2" "$1" && umount "$2" && shift 3 '
    '&& exec "$@"'
)


def command(user: int | None) -> tuple[str, ...]:
    """The words of the command, up to Python's own options. Raises OSError where that user cannot have one."""
    if user is None:
        return (sys.executable,)
    drop: tuple[str, ...] = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", sys.executable)
    hidden = _hidden_folder(Path(sys.base_prefix))
    if hidden is not None:
        kept = Path(tempfile.gettempdir()) / "attacks-interpreter"
        kept.mkdir(exist_ok=True)
        shown = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _SHOW, "sh")
        drop = (*shown, sys.base_prefix, str(kept), str(hidden), *drop)
    _check(drop)
    return drop


def _hidden_folder(path: Path) -> Path | None:
    """The outermost folder above it that only its owner can enter."""
    return next((one for one in reversed(path.parents) if not one.stat().st_mode & 0o001), None)


def _check(words: Sequence[str]) -> None:
    test = [*words, "-P", "-c", "import repertoire, msgspec, pydantic"]
    done = subprocess.run(test, env={"PATH": os.environ["PATH"]}, cwd="/", capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"an unprivileged user cannot run {sys.executable}: {done.stderr[-300:]}")
