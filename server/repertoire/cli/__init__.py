"""The command line: `main` runs every command except a plain `serve`, which is the front's; used by the console script.

commands.py, runs.py and workflows.py define the commands, program.py what they share. home_client.py carries out a verb, by
control_client.py where a daemon runs. output.py and run_tree.py print. No rules of the product here: these are in service/.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Exits with 0, 1 (it failed) or 2 (wrong usage)."""
    from ..errors import RepertoireError
    from ..home import advice
    from . import commands as _commands  # noqa: F401  # each adds its commands to the program
    from . import output
    from . import runs as _runs  # noqa: F401  # likewise
    from . import sessions as _sessions  # noqa: F401  # likewise
    from . import status as _status  # noqa: F401  # likewise
    from . import workflows as _publishing  # noqa: F401  # likewise
    from .control_client import ControlError, NoDaemon
    from .program import app

    try:
        app(prog_name="repertoire")
    except (RepertoireError, ControlError) as error:
        output.error(error.message, error.hint)
        found = getattr(error, "details", {}).get("findings", [])
        output.findings("", [finding for finding in found if finding["message"] not in error.message])
        sys.exit(1)
    except (ConnectionError, NoDaemon) as error:
        output.error(f"the daemon cannot be reached: {error}", "`repertoire status` says more.")
        sys.exit(1)
    except OSError as error:  # of the home's folder or disk; a command names any other file itself
        output.error(str(error), advice(error) or "`repertoire doctor` checks the home; --home names another.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
