"""Fuzzing for a few seconds: whatever comes from untrusted code is taken or refused, and nothing else happens."""

from __future__ import annotations

import random
import socket

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repertoire.engine.frame_check import Rules
from repertoire.engine.worker_channel import WorkerChannel
from repertoire.errors import Refused
from repertoire.limits import Limits
from repertoire.registry.source import parse
from repertoire.wire import Done, Task, encode

from . import frames, sources

REAL = sources.real_sources()
bounded = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SEED = st.integers(0, 2**32)


@bounded
@given(SEED)
def test_hostile_frames_are_taken_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    frames.check(frames.hostile_bytes(chance), chance)


@bounded
@given(st.binary(max_size=300), SEED)
def test_bytes_are_refused(data: bytes, seed: int) -> None:
    frames.check(len(data).to_bytes(4, "little") + data, random.Random(seed))


@settings(bounded, max_examples=25)
@given(SEED)
def test_hostile_sources_are_read_or_refused(seed: int) -> None:
    sources.check(sources.hostile_source(random.Random(seed), REAL))


@settings(bounded, max_examples=20)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    sources.check(text)


@pytest.mark.parametrize("unit", sources.REPEATED)
def test_a_unit_that_repeats_is_read_or_refused(unit: str) -> None:
    sources.check(sources.repeated(unit, 250, "x = "))


@pytest.mark.parametrize("unit", ["a()\n", "[[]],\n", "a\n", "x=1;"])
def test_a_source_of_nothing_but_signs_is_refused_before_it_is_parsed(unit: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(unit * (sources.MOST_BYTES // len(unit) - 1), sources.MOST_BYTES)
    assert caught.value.reason == "source_too_large" and "words and signs" in caught.value.message


@pytest.mark.anyio
async def test_a_hostile_worker_ends_its_own_channel_and_another_one_answers() -> None:
    for seed in range(15):
        theirs, ours = zip(*(socket.socketpair() for _ in range(2)), strict=True)
        hostile, other = [await WorkerChannel.over(one) for one in ours]
        for channel in (hostile, other):
            channel.begin(Rules.of(Limits(), trusted=False, is_reused=False))
            channel.send(Task("run", "key", "{}"))
        theirs[0].sendall(frames.hostile_bytes(random.Random(seed)))
        theirs[1].sendall(encode(Done("1")))
        theirs[0].close()
        with anyio.fail_after(20):
            while await hostile.receive() is not None:
                pass
            assert await other.receive() == Done("1")
        assert hostile.is_over
        hostile.close()
        other.close()
        theirs[1].close()
