"""The front: the process that an MCP host starts as `repertoire serve`. It finds or starts the home's daemon and passes lines.

Standard library only and little of it: every host pays for this process, and so does each short probe of a client. It decides nothing.
options.py reads the arguments, connect.py finds or starts the daemon, pump.py passes the lines, reconnect.py says when to try again,
host_pipe.py reads and writes the host's lines, open_requests.py knows what to do when the daemon is lost, installed_version.py which
version is started. The other end of the socket is daemon/server.py.
"""

from __future__ import annotations

import os
import sys

from repertoire import home as homes
from repertoire.front.connect import Dial
from repertoire.front.options import USAGE, FrontOptions
from repertoire.front.pump import Front, complain


def run(argv: list[str], program: list[str] | None = None) -> int:
    """Be the front. `program` starts a daemon, given `--home`. Returns the exit status."""
    if sys.platform == "win32":
        return complain("Windows is not supported yet: the daemon needs Unix sockets and file locks.", 2)
    for fd in (0, 1, 2):  # a closed one would be taken by our socket
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    try:
        options = FrontOptions(argv)
    except ValueError as error:
        return complain(f"{error}\n{USAGE}", 2)
    except OSError as error:
        return complain(f"the home cannot be used: {homes.message_of(error)}", 1)
    try:
        os.environ.update(options.environ)
        config = ["--config", options.config] if options.config else []
        return Front(Dial(options.home, options.hello(), program or daemon_program(), config)).run()
    except KeyboardInterrupt:
        return 130


def daemon_program() -> list[str]:
    return [sys.executable, "-P", "-m", "repertoire.daemon_process"]
