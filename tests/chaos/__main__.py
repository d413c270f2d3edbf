"""`python -m tests.chaos`: rounds of random faults until the time is over; every violation is printed with the seed that repeats it."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from . import load, tools
from .checks import left_in_the_end, violations
from .driver import Round
from .faults import KINDS, small_disk
from .processes import adopt, processes

_PARTS: Final = (*KINDS, "key", "cancel", "publish", "ask", "sleep", "make", "run", "threads")


class Campaign:
    """Rounds with one seed, and what they came to."""

    def __init__(self, words: argparse.Namespace) -> None:
        self.seed: int = words.seed if words.seed is not None else random.SystemRandom().randrange(10**6)
        self.keep, self.seconds = Path(words.keep) if words.keep else None, words.round_s
        self.without = frozenset(words.without)
        self.totals: Counter[str] = Counter()
        self.broken = 0

    def round(self, number: int) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{number}-"))
        chance = random.Random(f"{self.seed} {number}")
        began = time.monotonic()
        found = self._played(folder, chance)
        self._report(number, found, folder, time.monotonic() - began)

    def _played(self, folder: Path, chance: random.Random) -> list[str]:
        with ExitStack() as stack:
            home, kinds = self._home(folder, chance, stack)
            play = Round(folder, home, chance, kinds, self.without)
            found = []
            try:
                try:
                    play.run(self.seconds)
                finally:
                    play.close()
            except Exception:
                found.append(f"the round broke off: {traceback.format_exc()}")
            found += violations(home, play.traces.folder, play.ledger)
            found += left_in_the_end(home, folder / "tmp")
            self._count(play)
            if found:
                shutil.copytree(home, folder / "home-after", ignore=shutil.ignore_patterns("*.sock", "filler"))
        return found

    def _home(self, folder: Path, chance: random.Random, stack: ExitStack) -> tuple[Path, dict[str, float]]:
        """The home, and the faults that it is for: a disk is full only where the home has one of its own."""
        kinds = {kind: weight for kind, weight in KINDS.items() if kind not in self.without}
        wanted = chance.random() < 0.5 and "disk" in kinds
        home = folder / "disk" if wanted else folder / "home"
        if not wanted or not stack.enter_context(small_disk(home)):
            if wanted:
                print(
                    "NOT DONE: no file system can be mounted here, so no disk gets full; run this as root", flush=True
                )
            home.mkdir(mode=0o700, exist_ok=True)
            kinds.pop("disk", None)
        if kinds and chance.random() < 0.5:  # some rounds are mostly about one kind
            kinds[chance.choice(sorted(kinds))] += sum(kinds.values())
        return home, kinds

    def _count(self, play: Round) -> None:
        self.totals += play.faults.done
        self.totals["runs"] += play.query("SELECT count(*) FROM run")[0][0]
        self.totals["effects"] += sum(line.startswith("= ") for line in play.traces.lines())
        self.totals["requests"] += len(play.ledger.requests)
        self.totals.update({f"answers {what}": count for what, count in play.ledger.answers.items()})

    def _report(self, number: int, found: list[str], folder: Path, seconds: float) -> None:
        self.totals["rounds"] += 1
        again = f"--seed {self.seed} --round {number}"
        print(
            f"round {number}: {'ok' if not found else f'{len(found)} VIOLATIONS'} ({seconds:.0f} s, {again})",
            flush=True,
        )
        for text in found[:40]:
            print(f"  VIOLATION ({again}): {text}", flush=True)
        self.broken += len(found)
        if found:
            kept = folder
            if self.keep is not None:
                self.keep.mkdir(parents=True, exist_ok=True)
                kept = Path(shutil.move(folder, self.keep))
            print(
                f"  to look at: {kept}/work/traces, {kept}/home-after/repertoire.db, {kept}/home-after/logs", flush=True
            )
        else:
            shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "mode",
        nargs="?",
        choices=["load", "tools"],
        help="load: many HTTP clients instead of faults; tools: runs that call tools",
    )
    parser.add_argument("--runs", type=int, default=tools.RUNS, help=f"of the mode tools (default {tools.RUNS})")
    parser.add_argument("--minutes", type=float, default=3.0, help="begin no further round after this (default 3)")
    parser.add_argument("--seed", type=int, help="of all choices; by default a random one, which is printed")
    parser.add_argument("--round", type=int, help="play only this round of the seed")
    parser.add_argument("--round-s", type=float, default=20.0, help="seconds of faults in each round (default 20)")
    parser.add_argument(
        "--without", action="append", default=[], choices=_PARTS, help="leave this out; may be repeated"
    )
    parser.add_argument("--keep", help="a folder for what rounds with violations have left")
    words = parser.parse_args()
    adopt()
    assert not processes(), "this process has children already"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        modes = {None: _campaign, "load": _load, "tools": _tools}
        return modes[words.mode](words)
    finally:
        _end_all()


def _load(words: argparse.Namespace) -> int:
    return _verdict(load.play(60 * words.minutes, words.seed or 0))


def _tools(words: argparse.Namespace) -> int:
    seed = words.seed if words.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-tools-"))
    found = tools.ToolRuns(folder, seed).play(words.runs)
    if not found:
        shutil.rmtree(folder)
    return _verdict([*found, *([f"to look at: {folder}"] if found else [])])


def _verdict(found: list[str]) -> int:
    for text in found[:40]:
        print(f"VIOLATION: {text}")
    print("no violation" if not found else f"{len(found)} VIOLATIONS")
    return 1 if found else 0


def _campaign(words: argparse.Namespace) -> int:
    campaign = Campaign(words)
    print(f"seed {campaign.seed}", flush=True)
    end, number = time.monotonic() + 60 * words.minutes, words.round or 1
    while True:
        campaign.round(number)
        number += 1
        if words.round is not None or time.monotonic() >= end:
            break
    print(", ".join(f"{what} {count}" for what, count in sorted(campaign.totals.items())))
    print("no violation" if not campaign.broken else f"{campaign.broken} VIOLATIONS, seed {campaign.seed}")
    return 1 if campaign.broken else 0


def _end_all() -> None:
    """Whatever breaks us off, nothing that we have started goes on."""
    while left := processes():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
