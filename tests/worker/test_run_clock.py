"""Time, chance and ids as a workflow file sees them: recorded or seeded, so that a run that is replayed sees them again."""

from __future__ import annotations

import asyncio
import copy
import datetime
import pickle
import random
import sys
import textwrap
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from repertoire.worker.replay.run_clock import RunClock
from repertoire.worker.replay.seeded_random import _UuidGenerator
from repertoire.worker.source.shims import builtins_for
from repertoire.worker.source.transform import compile_source

NOW = 1_795_256_571.318281  # 2026-11-21T10:22:51.318281Z
SLEPT: list[float] = []


class Journal:
    """Gives what was recorded, then what is so."""

    def __init__(self, recorded: tuple[float, ...] = ()) -> None:
        self.values = list(recorded)
        self.next = 0

    def read_clock(self, live: Callable[[], float], /) -> float:
        if self.next == len(self.values):
            self.values.append(live())
        self.next += 1
        return self.values[self.next - 1]


def run(source: str, journal: Journal, seed: str = "run") -> Any:
    names: dict[str, Any] = {"__builtins__": builtins_for(RunClock(seed, journal, SLEPT.append)), "__name__": "flow"}
    exec(compile_source(textwrap.dedent(source), "<flow>"), names)
    return names["result"]


EVERYTHING = """
    import time, random, uuid, datetime as dt
    from time import time as now, perf_counter
    from datetime import datetime, date
    def ids():
        import uuid as ids_of
        return [ids_of.uuid4(), uuid.uuid1()]
    class Mine(datetime): ...
    random.shuffle(order := list(range(20)))
    result = [
        time.time(), time.time_ns(), time.monotonic(), time.monotonic_ns(), time.perf_counter(), perf_counter(),
        time.perf_counter_ns(), now(), time.gmtime(), time.localtime(None), time.ctime(), time.asctime(),
        time.strftime("%H:%M:%S"), datetime.now(), dt.datetime.now(dt.timezone.utc), datetime.utcnow(), datetime.today(),
        date.today(), Mine.now(tz=dt.timezone.utc), time.clock_gettime(time.CLOCK_REALTIME),
        time.clock_gettime_ns(time.CLOCK_MONOTONIC), random.random(), random.choice("abcdef"), random.Random().random(),
        order, *ids(),
    ]
"""


def test_a_replayed_run_sees_the_same_values() -> None:
    first = Journal()
    seen = run(EVERYTHING, first)
    assert run(EVERYTHING, Journal(tuple(first.values))) == seen
    assert run(EVERYTHING, Journal(tuple(first.values)), seed="other")[21:] != seen[21:]
    assert run(EVERYTHING, Journal()) != seen


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("time.time()", NOW),
        ("round(time.time_ns() / 1000)", 1_795_256_571_318_281),
        ("datetime.datetime.now(datetime.timezone.utc).isoformat()", "2026-11-21T10:22:51.318281+00:00"),
        ("datetime.datetime.utcnow().isoformat()", "2026-11-21T10:22:51.318281"),
        ("datetime.datetime.now()", datetime.datetime.fromtimestamp(NOW)),
        ("datetime.datetime.today()", datetime.datetime.fromtimestamp(NOW)),
        ("datetime.date.today()", datetime.date.fromtimestamp(NOW)),
        ("list(map(lambda now: now(), [datetime.datetime.now]))", [datetime.datetime.fromtimestamp(NOW)]),
        ("time.gmtime()", time.gmtime(NOW)),
        ("time.gmtime(0)", time.gmtime(0)),
        ("time.localtime()", time.localtime(NOW)),
        ("time.ctime()", time.ctime(NOW)),
        ("time.asctime(time.gmtime(0))", time.asctime(time.gmtime(0))),
        ("time.strftime('%Y-%m-%d', time.gmtime())", "2026-11-21"),
        ("time.strftime('%Y-%m-%d', time.gmtime(0))", "1970-01-01"),
    ],
)
def test_one_read_is_turned_into_what_was_asked_for(expression: str, expected: Any) -> None:
    assert run(f"import time, datetime\nresult = {expression}", Journal((NOW,))) == expected


@pytest.mark.parametrize("microsecond", [0, 1, 249_999, 500_001, 999_999])
def test_a_float_of_seconds_keeps_the_microseconds(microsecond: int) -> None:
    for year in (1970, 2026, 2099):
        moment = datetime.datetime(year, 11, 21, 10, 22, 51, microsecond, datetime.UTC)
        source = "from datetime import datetime, UTC\nresult = datetime.now(UTC)"
        assert run(source, Journal((moment.timestamp(),))) == moment


def test_the_class_stays_the_real_one() -> None:
    assert run("from datetime import datetime, date\nresult = datetime, date", Journal()) == (
        datetime.datetime,
        datetime.date,
    )


def test_only_code_of_the_file_sees_the_run_s_clock() -> None:
    source = """
        import time, importlib, logging
        result = time.time(), logging.LogRecord("", 0, "", 0, "", (), None).created, importlib.import_module("time")
    """
    ours, theirs, module = run(source, Journal((5.0,)))
    assert ours == 5.0
    assert abs(theirs - time.time()) < 60
    assert module is time is sys.modules["time"]


def test_a_class_s_own_now_is_left_to_it() -> None:
    source = """
        import datetime
        class Fixed(datetime.datetime):
            @classmethod
            def now(cls, tz=None): return "own", super().now(datetime.timezone.utc).year
        class Clock:
            now = staticmethod(lambda: "clock")
        result = Fixed.now(), Clock.now(), Clock().now(), datetime.datetime(1, 1, 1).now(datetime.timezone.utc).year
    """
    assert run(source, Journal((NOW, NOW))) == (("own", 2026), "clock", "clock", 2026)


def test_clocks_that_measure_never_go_back_after_a_resume() -> None:
    far = time.monotonic() + 1e6  # recorded on a machine that had been up for longer
    journal = Journal((far, far + 1))
    before, between, after, last = run("import time\nresult = [time.monotonic() for _ in range(4)]", journal)
    assert (before, between) == (far, far + 1)
    assert between <= after <= last < between + 60


def test_sleep_goes_where_the_run_wants_it() -> None:
    SLEPT.clear()
    assert run("from time import sleep\nresult = sleep(1.5)", Journal()) is None
    assert SLEPT == [1.5]
    with pytest.raises(ValueError, match="non-negative"):
        run("import time\ntime.sleep(-1)", Journal())


def test_chance_is_seeded_and_may_be_seeded_anew() -> None:
    source = """
        import random
        random.seed(7)
        first = random.random(), random.gauss(0, 1)
        random.seed()
        result = first, random.getrandbits(64), random.Random(7).random(), random.Random().random()
    """
    first, again, own, unseeded = run(source, Journal())
    real = random.Random(7)
    assert first == (real.random(), real.gauss(0, 1))
    assert own == first[0]
    assert run(source, Journal()) == (first, again, own, unseeded)
    assert run(source, Journal(), seed="other")[1] != again


def test_ids_and_numbers_do_not_disturb_each_other() -> None:
    with_ids = run("import random, uuid\nuuid.uuid4(); result = random.random()", Journal())
    assert run("import random\nresult = random.random()", Journal()) == with_ids


def test_the_class_of_generators_passes_for_the_real_one() -> None:
    shim = run("import random as r\nresult = r", Journal())
    assert isinstance(shim.Random(), random.Random)
    assert isinstance(random.Random(), shim.Random)
    assert isinstance(shim.SystemRandom(), shim.Random)
    assert not isinstance(1, shim.Random)
    assert issubclass(random.SystemRandom, shim.Random)
    assert shim.SystemRandom is random.SystemRandom

    class Abstract(shim.Random, ABC):  # type: ignore[misc, name-defined]
        @abstractmethod
        def draw(self) -> float: ...

    class Dice(Abstract):
        def draw(self) -> float:
            return float(self.random())

    assert isinstance(Dice(3), Abstract)
    assert not isinstance(random.Random(), Dice)
    assert Dice(3).draw() == random.Random(3).random()
    generator = shim.Random(3)
    stored = pickle.loads(pickle.dumps(generator))
    assert type(stored) is random.Random
    assert stored.random() == copy.deepcopy(generator).random() == generator.random()


def test_ids_are_well_formed_and_in_order() -> None:
    ids = _UuidGenerator(random.Random(1), lambda: NOW, 1 << 40)
    made = {1: ids.uuid1(), 4: ids.uuid4(), 6: ids.uuid6(), 7: ids.uuid7(), 8: ids.uuid8(1, 2, 3)}
    assert {number: one.version for number, one in made.items()} == dict(zip(made, made, strict=True))
    assert {one.variant for one in made.values()} == {uuid.RFC_4122}
    assert made[1].time == round(NOW * 1e7) + 0x01B21DD213814000
    assert made[7].int >> 80 == int(NOW * 1000)
    assert made[8] == uuid.UUID("00000000-0001-8002-8000-000000000003")
    assert ids.uuid1(node=5, clock_seq=6).fields[3:] == (0x80, 6, 5)
    for make in (ids.uuid6, ids.uuid7):
        several = [make() for _ in range(50)]
        assert several == sorted(set(several))


def test_uuid_s_other_names_are_the_real_ones() -> None:
    shim = run("import uuid\nresult = uuid", Journal())
    assert (shim.UUID, shim.uuid5, shim.NAMESPACE_DNS) == (uuid.UUID, uuid.uuid5, uuid.NAMESPACE_DNS)
    assert (shim.__name__, shim.__spec__, shim.__doc__) == ("uuid", uuid.__spec__, uuid.__doc__)
    assert type(shim) is ModuleType


def test_every_form_of_import_gives_one_module() -> None:
    source = """
        import random as r, time as t
        from random import *
        from time import time, sleep as rest
        def inner():
            import random, time
            return random, time
        result = inner() == (r, t), (choice, random) == (r.choice, r.random), t.time is time, rest is t.sleep, __import__("time") is t
    """
    assert run(source, Journal()) == (True, True, True, True, True)


def test_functions_of_the_run_can_be_copied_and_leave_it_when_pickled() -> None:
    source = """
        import time, uuid, datetime
        result = time.sleep, time.time, uuid.uuid4, datetime.datetime.now
    """
    functions = run(source, Journal())
    real = (time.sleep, time.time, uuid.uuid4, datetime.datetime.now)
    assert copy.deepcopy(functions) == functions == copy.copy(functions)
    assert pickle.loads(pickle.dumps(functions)) == real
    assert [f.__name__ for f in functions] == [f.__name__ for f in real]


def test_without_a_run_everything_is_real() -> None:
    names: dict[str, Any] = {"__builtins__": builtins_for(None)}
    exec(compile_source("import time, random, uuid, datetime\nnow = datetime.datetime.now", "<flow>"), names)
    assert (names["time"], names["random"], names["uuid"]) == (time, random, uuid)
    assert names["now"] == datetime.datetime.now


def test_process_time_and_the_clock_of_the_loop_stay_real() -> None:
    source = """
        import asyncio, time
        async def main():
            started = asyncio.get_running_loop().time()
            await asyncio.sleep(0.001)
            return asyncio.get_running_loop().time() > started
        result = asyncio.run(main()), time.process_time(), time.thread_time()
    """
    journal = Journal()
    assert run(source, journal)[0] is True
    assert journal.values == []
    assert asyncio.iscoroutinefunction(run("import time\nresult = time.sleep", journal)) is False
