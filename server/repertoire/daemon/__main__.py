"""`python -m repertoire.daemon --home DIR [--config FILE]`: what a front starts."""

from __future__ import annotations

import argparse
import logging
import sys

from repertoire import app
from repertoire.daemon.owner import HomeInUse
from repertoire.daemon.serve import EX_TEMPFAIL
from repertoire.errors import RepertoireError, cause_of


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="repertoire.daemon")
    parser.add_argument("--home", required=True)
    parser.add_argument("--config")
    chosen = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app.run_daemon(chosen.home, config=chosen.config)
    except HomeInUse as error:
        logging.getLogger("repertoire.daemon").info("%s", error)
        return EX_TEMPFAIL
    except Exception as error:  # the process edge
        cause = cause_of(error)
        if not isinstance(cause, (RepertoireError, OSError)):
            raise
        # Something is wrong with the home: the front shows this line to the host.
        logging.getLogger("repertoire.daemon").error("%s %s", cause, getattr(cause, "hint", None) or "")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
