"""The command line: `main` runs every command except a plain `serve`, which is the front's; used by the console script.

The modules in `_COMMANDS` define the commands, program.py what they share. home_client.py carries out a verb, by control_client.py where a
daemon runs. output.py and run_tree.py print. No rules of the product here: these are in service/.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "run": ("run", "exec", "rerun"),
    "runs": ("resume", "answer", "runs", "logs", "cancel", "gc"),
    "inbox": ("inbox",),
    "debug": ("debug",),
    "commands": ("serve", "list", "search", "stop", "doctor", "install", "demo"),
    "workflows": ("show", "create", "publish", "pin", "unpin", "delete"),
    "approve": ("approve",),
    "tools": ("tools",),
    "packages": ("packages",),
    "sessions": ("sessions",),
    "artifacts": ("artifacts",),
    "status": ("status",),
    "audit": ("audit",),
    "config": ("config",),
}
"""The commands of each module. Help shows the commands of a section in this order."""


def modules_for(words: list[str]) -> list[str]:
    """The modules that a call needs: one if its first word is a command, else all. So no command pays for the imports of another."""
    if words[:1] == ["--home"]:
        words = words[2:]
    elif words and words[0].startswith("--home="):
        words = words[1:]
    wanted = [module for module, names in _COMMANDS.items() if words and words[0] in names]
    return wanted or list(_COMMANDS)


def main() -> None:
    """Run the command line. Exits with 0, or a code of `program.Code`, or 130 after Ctrl-C."""
    from ..errors import BadArguments, RepertoireError
    from ..home import advice
    from . import output
    from .control_client import ControlError, NoDaemon
    from .program import Code, app

    for module in modules_for(sys.argv[1:]):
        import_module(f".{module}", __name__)
    try:
        app(prog_name="repertoire")
    except (RepertoireError, ControlError) as error:
        output.error(error.message, error.hint)
        found = getattr(error, "details", {}).get("findings", [])
        output.findings("", [finding for finding in found if finding["message"] not in error.message])
        sys.exit(Code.USAGE if error.code == BadArguments.code else Code.FAILED)
    except (ConnectionError, NoDaemon) as error:
        output.error(f"the daemon cannot be reached: {error}", "`repertoire status` says more.")
        sys.exit(Code.FAILED)
    except OSError as error:  # of the home's folder or disk; a command names any other file itself
        output.error(str(error), advice(error) or "`repertoire doctor` checks the home; --home names another.")
        sys.exit(Code.FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
