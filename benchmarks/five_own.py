"""Five steps, for `survive`: copied into a home and replaced there. The fourth waits until it may go on."""

import os
import time
from pathlib import Path

from repertoire import step

VERSION = "v1"
FOLDER = Path("@FOLDER@")


def effect(n: int) -> int:
    if n == 4:
        (FOLDER / "pid").write_text(str(os.getpid()))
        (FOLDER / "at four").touch()  # three steps are recorded: this one has begun
        while not (FOLDER / "go").exists():
            time.sleep(0.01)
    with open(FOLDER / "effects", "a") as file:
        file.write(f"{VERSION} {n}\n")
    return n


def run() -> list[str]:
    """Do five things, one after the other."""
    return [f"{VERSION} {step(effect, n)}" for n in range(1, 6)]
