"""Interpreters: the command of a Python that a given user can run; used by `Server`.

A server as an unprivileged user needs an interpreter and packages that this user can read. Where ours are in a folder of root's, they are
copied, which takes a second.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

NOBODY: Final = 65534


class Python(NamedTuple):
    words: tuple[str, ...]
    environ: dict[str, str]


def command(user: int | None) -> Python:
    """Raises OSError where no interpreter can be had for this user."""
    if user is None or _can_run(user, sys.executable, {}):
        return Python((sys.executable,), {})
    copied = _copied()
    if not _can_run(user, copied.words[0], copied.environ):
        raise OSError(f"{sys.executable} cannot be read by the user {user}, and neither can a copy of it")
    return copied


def _can_run(user: int, executable: str, environ: dict[str, str]) -> bool:
    try:
        done = subprocess.run(
            [executable, "-P", "-c", "import repertoire, msgspec, pydantic"],
            user=user, group=user, extra_groups=(), env={"PATH": os.environ["PATH"], **environ}, cwd="/", capture_output=True,
            timeout=60,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


@functools.cache
def _copied() -> Python:
    """The interpreter and its standard library, copied; its packages by PYTHONPATH, from where they are."""
    base, folder = Path(sys.base_prefix), Path(tempfile.mkdtemp(prefix="attacks-python-"))
    folder.chmod(0o755)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (folder / "bin").mkdir()
    executable = shutil.copy(Path(sys.executable).resolve(), folder / "bin" / version)
    unused = shutil.ignore_patterns(
        "test", "idlelib", "ensurepip", "lib2to3", "tkinter", "turtledemo", "site-packages", "*.a", "config-*"
    )
    shutil.copytree(base / "lib" / version, folder / "lib" / version, ignore=unused)
    for library in (base / "lib").glob("libpython*.so*"):
        shutil.copy(library, folder / "lib", follow_symlinks=False)
    standard = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    packages = [one for one in sys.path if one and os.path.isdir(one) and not one.startswith(standard)]
    packages += [one for one in sys.path if one.endswith("site-packages")]
    environ = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(packages)), "LD_LIBRARY_PATH": str(folder / "lib")}
    return Python((str(executable),), environ)


def forget() -> None:
    """Delete the copy."""
    if _copied.cache_info().currsize:
        shutil.rmtree(Path(_copied().words[0]).parents[1], ignore_errors=True)
        _copied.cache_clear()
