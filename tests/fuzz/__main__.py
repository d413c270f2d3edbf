"""`python -m tests.fuzz --minutes N`: hostile frames and sources until the time is over. A defect is printed with the seed that repeats it."""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from . import frames, sources


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of fuzzing (default 1)")
    parser.add_argument("--seed", type=int, help="of the first input; by default a random one")
    parser.add_argument("--count", type=int, default=sys.maxsize, help="so many inputs at most")
    words = parser.parse_args()
    seed = words.seed if words.seed is not None else random.SystemRandom().randrange(10**9)
    real = sources.real_sources()
    end, done, defects = time.monotonic() + 60 * words.minutes, Counter[str](), 0
    for number in range(seed, seed + words.count):
        if time.monotonic() > end or defects >= 10:
            break
        defects += _try(done, "frames", number, _fuzz_frames)
        if number % 20 == 0:
            defects += _try(done, "sources", number, lambda chance: sources.check(sources.hostile_source(chance, real)))
    print(", ".join(f"{what} {count}" for what, count in sorted(done.items())), f"from seed {seed}; {defects} defects")
    return 1 if defects else 0


def _fuzz_frames(chance: random.Random) -> bool:
    return frames.check(frames.hostile_bytes(chance), chance)


def _try(done: Counter[str], what: str, seed: int, check: Callable[[random.Random], bool]) -> int:
    """1: a defect."""
    began = time.process_time()
    try:
        passed = check(random.Random(seed))
    except Exception:
        print(f"DEFECT of {what}, --seed {seed} --count 1:\n{traceback.format_exc()}", flush=True)
        return 1
    done[f"{what} {'taken' if passed else 'refused'}"] += 1
    if (took := time.process_time() - began) > 10:
        print(f"SLOW: {what} took {took:.1f} s, --seed {seed} --count 1", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
