"""Elsewhere: the layers that systems other than Linux can give, as a table; used by `engine`. Not tried: we run on Linux only.

Without walls of the kernel a run still has a process of its own, which ends alone and can be killed with its group.
"""

from __future__ import annotations

from typing import Final

from .layers import Isolation, Layer

_LINUX_ONLY: Final = {
    "namespaces": "namespaces",
    "capabilities": "capabilities",
    "no_new_privs": "no_new_privs",
    "landlock": "Landlock",
    "seccomp": "seccomp",
    "scratch": "a private tmpfs",
    "cgroup": "cgroups",
}
_LIMITS: Final = {
    "darwin": Layer("limits", "active", "CPU time, open files and file size; macOS does not enforce a limit of memory"),
    "win32": Layer("limits", "impossible", "Windows has no rlimits; Repertoire does not use Job Objects"),
}
_NAMES: Final = {"darwin": "macOS", "win32": "Windows"}
_REMEDY: Final = "Run the server on Linux, such as in a virtual machine or a container."


def isolation_of(platform: str) -> Isolation:
    """`platform` as in sys.platform, not "linux"."""
    name = _NAMES.get(platform, platform)
    missing = (Layer(layer, "impossible", f"{name} has no {what}", _REMEDY) for layer, what in _LINUX_ONLY.items())
    user = Layer("user", "off", "runs have the user of the server")
    return Isolation(
        (*missing, user, _LIMITS.get(platform, Layer("limits", "active", "as far as the system enforces them")))
    )
