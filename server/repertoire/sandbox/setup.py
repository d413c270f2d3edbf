"""Setup: everything that the zygote needs to know to lock itself in; written by `launch`, read by `inside`. One argument of a command line."""

from __future__ import annotations

import msgspec


class Setup(msgspec.Struct, frozen=True):
    without: tuple[str, ...] = ()
    """Walls that a test has switched off."""
    namespaces: bool = False
    """The process is in namespaces of its own, so it may mount, and users are its own."""
    uid: int = 0
    """The user and the group to become, if the process is root outside as well. 0: it stays who it is."""
    reads: tuple[str, ...] = ()
    """Folders and files that Python needs."""
    scratch: str = ""
    """The folder of the scratch folders."""
    slots: int = 0
    """Number of scratch folders: as many runs can go on at once."""
    scratch_mb: int = 0
    scratch_files: int = 0
    processes: int = 0
    """Processes and threads of all runs together. Only with users of its own: elsewhere others would count too."""

    def as_argument(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def of_argument(cls, text: str) -> Setup:
        return msgspec.json.decode(text, type=cls)
