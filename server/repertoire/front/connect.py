"""Connect: `Dial` connects a front to its home's daemon, says hello, and starts a daemon where none runs; used by the front.

Part of the front, so standard library only and little of it. Not the protocol after the hello: that is `Front`.
It starts the newest version that this home has seen (installed_version.py). So an old host never brings the old version back.
"""

from __future__ import annotations

import json
import os
import socket
import time

from repertoire import home as homes
from repertoire.front.installed_version import Program, newer_program, record_program
from repertoire.version import VERSION, as_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_READ_BYTES = 256 * 1024
_START_S = 30.0
"""How long a daemon may take to start, or another owner to answer us."""
_POLL_S = 0.01
_SUCCESSOR_S = 10.0
"""An older front that cannot start the newer version gives the newer front this long to do it."""
_MAX_KILLS = 3
"""A daemon that is killed while it starts is started again. After so many kills we take them as intended."""
_LOG_BYTES = 1024 * 1024
"""A longer log is renamed to daemon.log.1 when the next daemon starts."""
_RESPAWN_PAUSE_S = 0.1
"""The pause before a killed daemon is started again; longer each time."""
_TEMPFAIL = 75
"""The daemon's exit status for "somebody else owns the home"."""
_NO_PROGRAM = 127
"""The exit status of a child that could not become a daemon."""


class CannotConnect(Exception):
    """Raised when no daemon answers and none can be started; the message says why."""


class Dial:
    """Connects to the home's daemon, and starts one if none runs. Ten fronts at once start one daemon."""

    def __init__(self, home: str, hello: bytes, program: list[str], options: list[str] | None = None) -> None:
        """`program`: what starts a daemon of this version; `options` come after its `--home`."""
        self.home, self._hello = home, hello
        self._own = Program(VERSION, program, os.environ.get("PYTHONPATH", ""))
        self._options = options or []
        self._started = self._own
        self._is_newer_gone = False  # the newer version cannot be started any more
        self._kills = 0
        self._report = -1  # where the daemon tells why it cannot start
        self.log_path = homes.log_path(home)
        self._spawn_at = 0.0
        self._child = 0
        self._log_start = 0

    def leave_start_to(self, newer: str | None) -> None:
        """The daemon handed over to a newer front: let that one start its own version first."""
        if newer is not None and newer != VERSION and newer_program(self.home, VERSION) is None:
            self._spawn_at = time.monotonic() + _SUCCESSOR_S

    def open(self) -> tuple[socket.socket, bytes]:
        """A greeted connection and what came after the greeting's answer. Raises CannotConnect."""
        give_up = time.monotonic() + _START_S
        lock, self._kills = -1, 0
        try:
            homes.make_socket_folder(self.home)
            while True:
                if link := self._greet(give_up):
                    return link
                self._check_child()
                if time.monotonic() > give_up:
                    raise CannotConnect(f"no daemon answered within {_START_S:.0f} s")
                if lock < 0:
                    lock = self._take_start_lock()
                    if lock >= 0:
                        continue  # the front that held it before us has probably started one
                elif not self._child and time.monotonic() >= self._spawn_at and not homes.is_owned(self.home):
                    self._spawn()
                time.sleep(_POLL_S)
        except OSError as error:
            raise CannotConnect(homes.message_of(error)) from error
        finally:
            if lock >= 0:
                os.close(lock)
            self._disown()
            self._close_report()

    def _greet(self, give_up: float) -> tuple[socket.socket, bytes] | None:
        """None: no daemon listens, or it is just ending. A daemon that is still starting answers later, and we wait for it."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(max(0.1, give_up - time.monotonic()))
        answer = b""
        try:
            link.connect(homes.socket_path(self.home))
            link.sendall(self._hello)
            while b"\n" not in answer and len(answer) < _READ_BYTES:
                part = link.recv(_READ_BYTES)
                if not part:
                    raise ConnectionResetError
                answer += part
        except (FileNotFoundError, ConnectionError, TimeoutError):
            link.close()
            return None
        first, _, rest = answer.partition(b"\n")
        said = _object(first)
        if said.get("ok") is True:
            if not self._tell_environment(link, said.get("env")):
                link.close()
                return None
            link.setblocking(False)
            if as_numbers(str(said.get("version"))) < as_numbers(VERSION):
                record_program(self.home, self._own)  # it ends because of us: the next front must start our version
            return link, rest
        link.close()
        if said.get("retry"):
            return None
        if "reason" in said:
            raise CannotConnect(f"the daemon refused the connection: {said['reason']}")
        path = homes.socket_path(self.home)
        raise CannotConnect(f"what answers at {path} is not Repertoire; end the process that has it open")

    def _tell_environment(self, link: socket.socket, wanted: Any) -> bool:
        """Send the environment variables that bodies may see, with this host's values. False: the daemon has gone."""
        if wanted:
            values = {name: os.environ[name] for name in wanted if name in os.environ}
            try:
                link.sendall(json.dumps(values).encode() + b"\n")
            except (ConnectionError, TimeoutError):
                return False
        return True

    def _take_start_lock(self) -> int:
        """The lock's descriptor, or -1 while another front has it."""
        import fcntl

        homes.make_home(self.home)  # it may have been deleted under a front that stays
        fd = os.open(homes.start_lock_path(self.home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return -1
        return fd

    def _spawn(self) -> None:
        """Fork and exec in a session of its own. By hand: importing subprocess costs more than this whole module."""
        import signal

        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = self._open_log()
        self._log_start = os.fstat(log).st_size
        self._started = (None if self._is_newer_gone else newer_program(self.home, VERSION)) or self._own
        if self._started is self._own:
            record_program(self.home, self._own)
        self._close_report()
        self._report, theirs = os.pipe()
        os.set_blocking(self._report, False)
        self._child = os.fork()
        if self._child == 0:
            self._become(log, theirs)
        os.close(log)
        os.close(theirs)

    def _open_log(self) -> int:
        path = self.log_path
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > _LOG_BYTES:
            os.replace(path, path + ".1")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _become(self, log: int, report: int) -> NoReturn:
        try:
            os.set_inheritable(report, True)
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            command = [*self._started.command, "--home", self.home, *self._options]
            environment = {**self._started.environment(), homes.REPORT_FD: str(report)}
            os.chdir(self.home)  # the daemon outlives us and must not hold the host's folder
            os.execve(command[0], command, environment)
        except OSError as error:
            os.write(2, f"{self._started.command[0]}: {error}\n".encode())
        finally:
            os._exit(_NO_PROGRAM)

    def _check_child(self) -> None:
        if not self._child:
            return
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if not pid:
            return
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        if code == _TEMPFAIL or homes.is_owned(self.home):
            return
        said = self._read_report() or self._log_tail()
        if code < 0 and (kills := self._kills + 1) < _MAX_KILLS:
            self._kills = kills
            self._start_again(f"the daemon was killed by signal {-code} while it started", _RESPAWN_PAUSE_S * kills)
        elif self._started is not self._own and (code == _NO_PROGRAM or "No module named" in said):
            self._is_newer_gone = True
            self._start_again(f"version {self._started.version} cannot be started here any more", 0.0)
        else:
            raise CannotConnect(f"the daemon ended with status {code} while starting. {said}")

    def _start_again(self, why: str, pause_s: float) -> None:
        """Start a daemon once more, and say so in the log: it is the first place to look for the cause."""
        log = self._open_log()
        try:
            os.write(log, f"repertoire.front: {why}; it is started again\n".encode())
        except OSError:  # a full disk: the next daemon says so
            pass
        os.close(log)
        self._spawn_at = time.monotonic() + pause_s

    def _read_report(self) -> str:
        """The reason that the daemon reported before it ended; "" where it reported none."""
        try:
            return os.read(self._report, _READ_BYTES).decode(errors="replace")
        except OSError:
            return ""

    def _close_report(self) -> None:
        if self._report >= 0:
            os.close(self._report)
            self._report = -1

    def _log_tail(self) -> str:
        path = self.log_path
        with open(path, "rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode(errors="replace").splitlines()[-20:]
        return "\n".join([f"{path} says:" if lines else f"{path} says nothing.", *lines])

    def _disown(self) -> None:
        """The daemon is our child, but we do not wait for it: the kernel reaps it."""
        if self._child:
            import signal

            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            self._child = 0


def _object(text: bytes) -> dict[str, Any]:
    """The JSON object; an empty one where the text is something else."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
