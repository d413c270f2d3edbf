"""The real front, started with the command line of the fake house; FAKE_VERSION is the version of both."""

from __future__ import annotations

import os
import sys

from repertoire import front
from repertoire.front import connect, options
from repertoire.version import VERSION

HOUSE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_house.py")

if __name__ == "__main__":
    for module in (connect, options):
        vars(module)["VERSION"] = os.environ.get("FAKE_VERSION", VERSION)
    sys.exit(front.run(sys.argv[1:], program=[sys.executable, HOUSE, "--version", vars(connect)["VERSION"]]))
