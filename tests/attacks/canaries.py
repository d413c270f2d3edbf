"""Canaries: what an attack would like to reach: files, a process, listeners, with secrets in them; tells whether anybody was there.

They belong to the user of the server. So only the sandbox is between them and an attack.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import select
import socket
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, Final

_IPC_CREAT: Final = 0o1000
_IPC_RMID: Final = 0


class Canaries:
    def __init__(self, folder: Path, owner: int | None, workflows: dict[str, str]) -> None:
        """`owner`: the user of the server. None: the user of the test. `workflows`: the files of the operator, by name."""
        self.token = f"canary-{secrets.token_hex(12)}"
        """In every canary, and in the environment of the server. It must be in no answer."""
        self.folder = folder
        self.user_home = folder / "user"
        self.home = self.user_home / ".local" / "share" / "repertoire"
        self.secret = self.user_home / ".ssh" / "id_ed25519"
        self.shared = folder / "shared"
        for one in (self.secret.parent, self.home / "workflows", self.shared):
            one.mkdir(parents=True)
        self.secret.write_text(f"{self.token}\n")
        self.secret.chmod(0o600)
        for name, source in workflows.items():
            (self.home / "workflows" / f"{name}.py").write_text(source)
        self.home.chmod(0o700)
        self.shared.chmod(0o777)
        who: dict[str, Any] = {} if owner is None else {"user": owner, "group": owner, "extra_groups": ()}
        self.process = subprocess.Popen(["sleep", "900"], env={"CANARY_SECRET": self.token}, **who)
        self.memory = _shared_memory(self.token, owner)
        self._listeners = self._listen(folder)
        if owner is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner, owner)
        self._before = self._state()

    def environ(self) -> dict[str, str]:
        return {
            "HOME": str(self.user_home),
            "REPERTOIRE_HOME": str(self.home),
            "CANARY_SECRET": self.token,
            "AWS_SECRET_ACCESS_KEY": self.token,
        }

    def targets(self) -> dict[str, Any]:
        """What the attacks are told."""
        ports = {name: one.getsockname()[1] for name, one in self._listeners.items() if name.startswith(("tcp", "udp"))}
        return {
            **ports,
            "abstract": self._listeners["abstract"].getsockname().decode().lstrip("\0"),
            "unix": self._listeners["unix"].getsockname(),
            "secret": str(self.secret),
            "user_home": str(self.user_home),
            "home": str(self.home),
            "shared": str(self.shared),
            "canary": self.process.pid,
            "memory": self.memory,
        }

    def problems(self) -> list[str]:
        """What has happened to the canaries. Nothing of it may."""
        found = [f"somebody came to the listener {name}" for name, one in self._listeners.items() if _has_guest(one)]
        if self.process.poll() is not None:
            found.append(f"the process ended with {self.process.returncode}")
        now = self._state()
        return found + [
            f"{name} was {before!r} and is {now[name]!r}"
            for name, before in self._before.items()
            if now[name] != before
        ]

    def forget(self) -> None:
        """Let what has happened so far be as it was meant to."""
        for one in self._listeners.values():
            while _has_guest(one):
                if one.type == socket.SOCK_DGRAM:
                    one.recv(65536)
                else:
                    one.accept()[0].close()
        self._before = self._state()

    def check_database(self) -> str:
        """The database's own check, and the rows of a table that only the server writes."""
        with sqlite3.connect(f"file:{self.home / 'repertoire.db'}?mode=ro", uri=True) as database:
            return str(database.execute("pragma quick_check").fetchone()[0])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for one in self._listeners.values():
            one.close()
        if self.memory:
            ctypes.CDLL(None).shmctl(_memory_id(self.memory), _IPC_RMID, None)

    def _state(self) -> dict[str, Any]:
        found = self.secret.stat()
        return {
            "the secret": (self.secret.read_text().strip() == self.token, found.st_mode, found.st_nlink, found.st_uid),
            "the folder of the secret": sorted(os.listdir(self.secret.parent)),
            "the user's home": sorted(os.listdir(self.user_home)),
            "the folder of workflows": sorted(os.listdir(self.home / "workflows")),
            "the folder of everybody": sorted(os.listdir(self.shared)),
            "the priority of the process": os.getpriority(os.PRIO_PROCESS, self.process.pid),
        }

    def _listen(self, folder: Path) -> dict[str, socket.socket]:
        made = {
            "tcp": socket.socket(socket.AF_INET),
            "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "unix": socket.socket(socket.AF_UNIX),
            "abstract": socket.socket(socket.AF_UNIX),
        }
        for name in ("tcp", "udp"):
            made[name].bind(("127.0.0.1", 0))
        made["unix"].bind(str(folder / "u.sock"))
        made["abstract"].bind(f"\0guest-{secrets.token_hex(6)}")
        for name, one in made.items():
            if name != "udp":
                one.listen()
        (folder / "u.sock").chmod(0o777)
        return made


def _has_guest(listener: socket.socket) -> bool:
    return bool(select.select([listener], [], [], 0)[0])


def _shared_memory(token: str, owner: int | None) -> int:
    """A segment of System V shared memory with the token in it, which the owner may read; its key. 0: this kernel has none."""
    libc, key = ctypes.CDLL(None), 1 + secrets.randbelow(2**31 - 2)
    made = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
    if made < 0:
        return 0
    libc.shmat.restype = ctypes.c_void_p
    libc.shmdt.argtypes = [ctypes.c_void_p]
    address = libc.shmat(made, None, 0)
    ctypes.memmove(address, token.encode(), len(token))
    libc.shmdt(address)
    return key


def _memory_id(key: int) -> int:
    found: int = ctypes.CDLL(None).shmget(key, 0, 0)
    return found
