"""The command line. `main` is reached from the console script for everything but a plain `serve`, which is the front's."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with 0, 1 (it failed) or 2 (it was called wrongly)."""
    from ..errors import RepertoireError
    from ..home import advice
    from . import commands as _commands  # noqa: F401  # each adds its commands to the program
    from . import output
    from . import runs as _runs  # noqa: F401  # likewise
    from . import workflows as _publishing  # noqa: F401  # likewise
    from .control_client import ControlError, NoDaemon
    from .program import app

    try:
        app(prog_name="repertoire")
    except (RepertoireError, ControlError) as error:
        output.error(error.message, error.hint)
        told = getattr(error, "details", {}).get("findings", [])
        output.findings("", [finding for finding in told if finding["message"] not in error.message])
        sys.exit(1)
    except (ConnectionError, NoDaemon) as error:
        output.error(f"the daemon cannot be reached: {error}", "`repertoire status` says more.")
        sys.exit(1)
    except OSError as error:  # the home's folder or disk; anything else that a command opens says so itself
        output.error(str(error), advice(error) or "`repertoire doctor` checks the home; --home names another.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
