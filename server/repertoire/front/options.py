"""Options: the arguments of `repertoire serve`, checked by hand; used by the front. Standard library only: argparse is slow to import."""

from __future__ import annotations

import json
import os

from repertoire import home as homes
from repertoire.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = (
    "usage: repertoire serve [--home DIR] [--workflows DIR]... [--session NAME] [--config FILE] [--mcp FILE] [--tools DIR]...\n"
    "                        [--embedded | --http HOST:PORT]"
)


class FrontOptions:
    """The arguments; paths are absolute. Raises ValueError with the sentence for the user."""

    def __init__(self, argv: list[str]) -> None:
        home, session, config, mcp, roots, tools = homes.default_home(), "", "", "", [], []
        words = iter(argv)
        for word in words:
            name, given, value = word.partition("=")
            if name not in ("--home", "--workflows", "--session", "--config", "--mcp", "--tools"):
                raise ValueError(f"repertoire serve does not know {word!r}")
            if not given:
                value = next(words, "")
            if not value:
                raise ValueError(f"{name} needs a value")
            if name == "--home":
                home = value
            elif name == "--session":
                session = value
            elif name == "--config":
                config = _existing(value, name, os.path.isfile)
            elif name == "--mcp":
                mcp = _existing(value, name, os.path.isfile)
            elif name == "--tools":
                tools.append(_existing(value, name, os.path.isdir))
            else:
                roots.append(_existing(value, name, os.path.isdir))
        self.session, self.config, self.roots = session, config, roots
        self.environ = {"REPERTOIRE_MCP": mcp} if mcp else {}
        """Settings for a daemon that is started. One that runs already keeps its own."""
        if tools:
            self.environ["REPERTOIRE_TOOLS"] = ",".join(tools)
        self.home = homes.make_home(os.path.abspath(os.path.expanduser(home)))

    def hello(self) -> bytes:
        """The first line to the daemon."""
        said = {"mode": "mcp", "version": VERSION, "roots": self.roots, "cwd": _cwd()}
        if self.session:
            said["session"] = self.session
        return json.dumps(said).encode() + b"\n"


def _existing(path: str, option: str, exists: Callable[[str], bool]) -> str:
    real = os.path.abspath(os.path.expanduser(path))
    if not exists(real):
        raise ValueError(f"{option} {path}: there is no such {'file' if exists is os.path.isfile else 'folder'}")
    return os.path.realpath(real)


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
