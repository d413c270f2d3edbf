"""kill -9 at any time: workers and servers, chosen and timed by chance, while twenty runs are under way.

SURVIVE_SEED repeats the choices of a run of this test, though not what the machine did meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from repertoire import home as homes
from repertoire.daemon.home_lock import read_info
from support.daemons import until
from support.faults import query
from support.survivals import effects
from support.survive_house import House

RUNS = 20
KILLS = 10
LONGEST_S = 0.4
"""Between two kills: a run takes about a second."""


def test_twenty_runs_survive_ten_kills_at_random_times(tmp_path: Path) -> None:
    seed = int(os.environ.get("SURVIVE_SEED") or random.SystemRandom().randrange(10**6))
    print(f"SURVIVE_SEED={seed}")
    house = House(tmp_path)
    try:
        _survive(house, random.Random(seed))
    finally:
        house.close()


def _survive(house: House, chance: random.Random) -> None:
    house.start()
    it = house.host()
    for n in range(RUNS):
        it.ask("tools/call", name="chance", arguments={"folder": str(house.folder), "name": f"r{n}"})
    until(lambda: len(house.runs()) == RUNS)
    for _ in range(KILLS):
        time.sleep(chance.random() * LONGEST_S)
        if house.over:
            break
        if chance.random() < 0.6:
            _kill_a_worker(house, chance)
        else:
            os.kill(until(lambda: read_info(str(house.home)))["pid"], signal.SIGKILL)
            until(lambda: not homes.is_owned(str(house.home)))
            house.note()
            house.start()
    house.attend()
    _check(house)


def _kill_a_worker(house: House, chance: random.Random) -> None:
    until((house.folder / "pids").exists)
    pids = [int(line) for line in (house.folder / "pids").read_text().splitlines()]
    chance.shuffle(pids)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        break
    house.note()


def _check(house: House) -> None:
    done = Counter(effects(house.folder))
    assert {name: done[name] for name in house.committed} == house.committed, "no committed call twice"
    rows = query(house.home, "SELECT id, status, result, arguments, error FROM run")
    assert len(rows) == RUNS
    expected = set()
    for run_id, status, result, arguments, error in rows:
        assert status == "completed", (run_id, error)
        name = json.loads(arguments)["name"]
        order, *threads = json.loads(result)
        assert sorted(order) == [0, 1, 2, 3] and threads == [f"{name} thread 0", f"{name} thread 1"]
        calls = [
            json.loads(text)["result"]
            for (text,) in query(house.home, "SELECT result FROM call WHERE run_id = ? AND op = 'step'", run_id)
        ]
        assert len(calls) == len(set(calls)) == 4 * 4 + 4 + 2
        last = [call.split()[2] for call in calls if len(call.split()) == 4]
        assert last == [str(n) for n in order]
        expected |= set(calls)
    assert expected <= set(done)
    # Ids and chance are the same for what was in flight and is done again. Only a later time, or what timers alone had decided, may differ.
    assert all(len(name.split()) == 4 for name in set(done) - expected), set(done) - expected
    house.check_events()
    house.check_store()
