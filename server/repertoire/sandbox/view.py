"""View: the files and folders that Python and its packages need; used by `launch`, for the namespaces and for Landlock."""

from __future__ import annotations

import os
import sys
import sysconfig

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OF_SYSTEM = (
    "/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store", "/usr/share/zoneinfo",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types",
)  # fmt: skip
"""Shared libraries, and the tables of time zones."""
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


def python_folders() -> tuple[str, ...]:
    """The interpreter, its standard library, the folders of installed packages, and this package itself. Nothing else of `sys.path`."""
    paths = sysconfig.get_paths()
    found = [sys.base_prefix, sys.prefix, paths["stdlib"], paths["platstdlib"], _PACKAGE]
    found += [path for path in sys.path if os.path.basename(path) in _PACKAGE_FOLDERS]
    executable = os.path.realpath(sys.executable)
    if os.path.dirname(executable) not in ("/usr/bin", "/usr/local/bin", "/bin"):
        found.append(os.path.dirname(executable))
    found = [os.path.abspath(path) for path in found]
    return _outermost([path for path in found if os.path.isdir(path) and path != "/"])


def system_paths() -> tuple[str, ...]:
    return tuple(path for path in _OF_SYSTEM if os.path.lexists(path))


def search_path() -> str:
    """PYTHONPATH for a checkout that is not in a folder of packages; else empty."""
    parent = os.path.dirname(_PACKAGE)
    return "" if os.path.basename(parent) in _PACKAGE_FOLDERS else parent


def _outermost(paths: list[str]) -> tuple[str, ...]:
    """The paths without those below another one."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path == other or path.startswith(other + os.sep) for other in kept):
            kept.append(path)
    return tuple(kept)
