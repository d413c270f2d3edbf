"""Home: the paths of a home's files and of its daemon's socket, and advice for errors of the disk; used everywhere.

Standard library only. The front imports it, so it must stay light: no pathlib, no tempfile.
"""

from __future__ import annotations

import errno
import os
import sys

REPORT_FD = "REPERTOIRE_REPORT_FD"
"""A variable in the environment of a daemon that a front starts: the descriptor to which it writes why it cannot start."""

_SOCKET_PATH_MAX = 100
"""Bytes. Linux allows 108 and macOS 104 in a Unix socket's address."""


_ADVICE = {
    errno.ENOSPC: "The disk is full: make room on it, then start again.",
    errno.EDQUOT: "This user's share of the disk is used up: make room, then start again.",
    errno.EFBIG: "The size of files is limited: raise the limit (ulimit -f), then start again.",
    errno.EROFS: "Make its disk writable, or use another --home.",
    errno.EACCES: "Make it readable and writable by this user, or use another --home.",
    errno.EPERM: "Make it readable and writable by this user, or use another --home.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n), then start again.",
    errno.ENFILE: "Too many files are open on this machine: close some, then start again.",
    errno.EIO: "The disk does not work: use another --home.",
}


class At:
    """Gives an OSError of the `with` block this path: errors of writing and binding name none."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            error.filename = self._path


def advice(error: BaseException) -> str:
    """A sentence that says what to do about an OSError; "" where that is unknown."""
    return _ADVICE.get(error.errno or 0, "") if isinstance(error, OSError) else ""


def message_of(error: OSError) -> str:
    """The error with its advice."""
    return f"{error}. {advice(error)}".strip()


def default_home() -> str:
    """$REPERTOIRE_HOME, else the platform's folder for user data, as `platformdirs` would name it."""
    if chosen := os.environ.get("REPERTOIRE_HOME"):
        return os.path.abspath(os.path.expanduser(chosen))
    if sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    else:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(base, "repertoire")


def make_home(home: str) -> str:
    """Create the home, readable by this user only, and return its real path. An existing home of ours is made private too."""
    os.makedirs(home, mode=0o700, exist_ok=True)
    real = os.path.realpath(home)
    found = os.stat(real)
    if sys.platform != "win32" and found.st_mode & 0o077 and found.st_uid == os.getuid():
        os.chmod(real, 0o700)
    return real


def socket_path(home: str) -> str:
    """The daemon's socket: in the home, or in a private folder of its own when the home's path is too long for a socket.

    That folder does not depend on XDG_RUNTIME_DIR: two hosts with different environments must find the same daemon.
    """
    path = os.path.join(home, "daemon.sock")
    if len(os.fsencode(path)) <= _SOCKET_PATH_MAX:
        return path
    import hashlib

    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:24]
    return os.path.join(f"/tmp/repertoire-{os.getuid()}", f"{digest}.sock")


def make_socket_folder(home: str) -> None:
    """Create the socket's folder, when it is not the home. Raises PermissionError when another user could have made it.

    Everyone may write to /tmp. So a folder that others can write to could hold another user's "daemon".
    """
    folder = os.path.dirname(socket_path(home))
    if folder == home:
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or found.st_mode & 0o170000 != 0o040000:
        raise PermissionError(f"{folder} is not a folder of this user alone; remove it or choose a shorter --home")


def lock_path(home: str) -> str:
    """The one process that owns the home holds this lock until it ends."""
    return os.path.join(home, "owner.lock")


def is_owned(home: str) -> bool:
    """Whether a live process owns the home. The only way to ask is to take the lock, so owners try more than once."""
    import fcntl

    fd = os.open(lock_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def start_lock_path(home: str) -> str:
    """The front that starts a daemon holds this lock, so that ten fronts start one daemon."""
    return os.path.join(home, "start.lock")


def newest_path(home: str) -> str:
    """`newest.json`: {version, program, pythonpath} of the newest Repertoire that has served this home, for fronts that start it."""
    return os.path.join(home, "newest.json")


def info_path(home: str) -> str:
    """`daemon.json`: {pid, version, socket, started_at, kind} of the owner, for people and scripts; never a lock."""
    return os.path.join(home, "daemon.json")


def log_path(home: str) -> str:
    return os.path.join(home, "logs", "daemon.log")


def scratch_path(home: str) -> str:
    """The working folders of runs. Anything in it when the home is opened is left over from before."""
    return os.path.join(home, "scratch")


def artifacts_path(home: str) -> str:
    """The folder of artifacts: their contents, and what bodies are just handing over."""
    return os.path.join(home, "artifacts")


def workspaces_path(home: str) -> str:
    """The folder of workspaces: one folder for each run whose body uses files or the shell of a harness."""
    return os.path.join(home, "workspaces")


def records_path(database: str) -> str:
    """The folder of long results, beside the database."""
    return os.path.join(os.path.dirname(database), "records")


def content_path(artifacts: str, hash: str) -> str:
    """The file of a content, by the sha256 of its bytes."""
    return os.path.join(artifacts, "files", hash[:2], hash)


def incoming_path(artifacts: str, run_id: str, call_path: str) -> str:
    """The file in which one call of a body hands a content over. Its name is made of nothing that a body can choose."""
    import hashlib

    digest = hashlib.sha256(f"{run_id}:{call_path}".encode("utf-8", "replace")).hexdigest()
    return os.path.join(artifacts, "incoming", digest[:32])


def trash_path(home: str) -> str:
    """Workflow files that were deleted at the command line, as NAME.VERSION.py."""
    return os.path.join(home, "trash")


def database_path(home: str) -> str:
    return os.path.join(home, "repertoire.db")
