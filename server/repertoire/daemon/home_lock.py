"""Home lock: `Owner` holds a home for one process at a time; used by the daemon, `serve --embedded`, `serve --http` and commands.

The lock alone decides. The socket and `daemon.json` only follow it. Not the accept loop: that is server.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self

from repertoire import home as homes
from repertoire.store.file_identity import is_same

Kind = Literal["daemon", "embedded", "http", "command"]

_LOCK_PATIENCE_S = 0.25
"""A front that asks whether the home is owned holds the lock for an instant. An owner must not give up because of that."""

_BACKLOG = 128
"""Connections that wait while the app is being built. Beyond this number a front's connect waits too."""


class HomeInUse(Exception):
    """Raised when another process owns this home. `pid` and `kind` come from its daemon.json; None when that says nothing."""

    def __init__(self, home: str, pid: int | None, kind: str | None) -> None:
        self.home, self.pid, self.kind = home, pid, kind
        who = f"process {pid} ({kind})" if pid else "another process"
        super().__init__(f"{home} is in use by {who}")


def read_info(home: str) -> dict[str, Any] | None:
    """The content of `daemon.json`, or None. A killed owner leaves the file behind: ask `repertoire.home.is_owned`."""
    try:
        with open(homes.info_path(home), encoding="utf-8") as file:
            info = json.load(file)
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) else None


class Owner:
    """Holds a home for the length of a `with`: lock, then socket (bound and listening), then daemon.json.

    Take it before opening the store. Fronts that connect before anyone accepts wait in the socket's backlog.
    The lock's descriptor is close-on-exec: a child that only forks must close it, or it outlives a killed owner.
    """

    def __init__(self, home: str, *, kind: Kind, version: str, wait_s: float = _LOCK_PATIENCE_S) -> None:
        self.home, self.kind, self.version = homes.make_home(home), kind, version
        self.socket_path = homes.socket_path(self.home)
        self.started_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._wait_s = wait_s
        self._lock = -1
        self._listener: socket.socket | None = None

    @property
    def listener(self) -> socket.socket:
        if self._listener is None:
            raise RuntimeError("the home is not owned: use `with Owner(...)`")
        return self._listener

    def __enter__(self) -> Self:
        self._lock = self._take_lock()
        try:
            with homes.At(self.socket_path):
                self._listener = self._bind()
            with homes.At(homes.info_path(self.home)):
                self._write_info()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def lost_file(self) -> str | None:
        """The lock's path when the home was deleted or moved: the lock that is held here then keeps no other process out."""
        path = homes.lock_path(self.home)
        return None if self._lock < 0 or is_same(path, os.fstat(self._lock)) else path

    def withdraw(self) -> None:
        """Remove the socket and daemon.json, so that no front connects any more. The home stays owned.

        Removes nothing when the home was deleted: the files that are there now belong to another owner.
        """
        if self._listener is None or self.lost_file() is not None:
            return
        for path in (self.socket_path, homes.info_path(self.home)):
            _unlink(path)

    def close(self) -> None:
        """Withdraw and stop listening. Clients that wait in the backlog see the end and try again."""
        self.withdraw()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _release(self) -> None:
        self.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _take_lock(self) -> int:
        fd = os.open(homes.lock_path(self.home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_up = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    os.close(fd)
                    info = read_info(self.home) or {}
                    raise HomeInUse(self.home, info.get("pid"), info.get("kind")) from None
            time.sleep(0.01)

    def _bind(self) -> socket.socket:
        homes.make_socket_folder(self.home)
        _unlink(self.socket_path)  # only the holder of the lock comes here, so what is left is stale
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)  # no other user may connect, not even before a chmod
        try:
            listener.bind(self.socket_path)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        return listener

    def _write_info(self) -> None:
        info = {
            "pid": os.getpid(),
            "version": self.version,
            "socket": self.socket_path,
            "started_at": self.started_at,
            "kind": self.kind,
        }
        path = homes.info_path(self.home)
        draft = f"{path}.new"  # always the same: only the holder of the lock writes it, so none is left for good
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(info, file)
        os.replace(draft, path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
