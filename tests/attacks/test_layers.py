"""Each layer alone stops what it is there for: all others are switched off, and its own attacks are still refused.

A zygote of untrusted code is started without a server around it. The same attacks are shown to reach what they want where no layer
stands. A layer that this kernel lacks is named, and its test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import pytest

from repertoire import wire
from repertoire.engine.sandboxed_zygote import SandboxedZygotes
from repertoire.engine.scratch_folders import Scratch
from repertoire.engine.zygote_client import ZygoteClient
from repertoire.limits import Limits
from repertoire.sandbox.layers import LAYERS, LayerName
from support.workers import Line, Worker

from . import interpreters
from .bodies import batch, one
from .canaries import Canaries
from .tables import ATTACKS

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.uname().sysname != "Linux", reason="the sandbox is Linux's")]

_LIMITS: Final = Limits(
    worker_memory_mb=300, worker_file_mb=64, worker_open_files=128, scratch_mb=16, scratch_files=2000, workers=1
)
_NONE: Final = Limits(
    worker_memory_mb=0, worker_file_mb=0, worker_open_files=0, scratch_mb=1024, scratch_files=200_000, workers=1
)
_BY_ID: Final = {attack.id: attack for attack in ATTACKS}


class Case(NamedTuple):
    """The layers that stand, the first of which is shown, and the attacks that it stops."""

    layers: tuple[LayerName, ...]
    attacks: tuple[str, ...]
    for_root: bool = False
    """It is for a server that is root: another user has no rights that this layer could take."""


CASES: Final = (
    Case(
        ("landlock", "no_new_privs"),
        ("files.user_home", "files.list_user_home", "files.write_shared", "files.symlink", "files.by_machine_code"),
    ),
    Case(
        ("seccomp", "no_new_privs"),
        (
            "network.inet", "network.unix_family", "processes.fork", "processes.program", "processes.signal_canary", "kernel.io_uring",
            "kernel.user_namespace",
        ),
    ),
    Case(("namespaces",), ("network.tcp", "processes.signal_canary", "processes.environ_of_canary", "kernel.shared_memory")),
    Case(("limits",), ("memory.one_file", "memory.catches")),
    Case(("scratch", "namespaces"), ("memory.disk",)),
    Case(("user", "namespaces"), ("files.user_home", "files.write_secret"), for_root=True),
    Case(("capabilities", "namespaces"), ("processes.rights", "kernel.mount", "processes.real_time"), for_root=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def canaries() -> Iterator[Canaries]:
    folder = Path(tempfile.mkdtemp(prefix="layers-", dir="/tmp"))
    made = Canaries(folder, None, {})
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def standing(
    layers: tuple[str, ...], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ZygoteClient]:
    """A zygote with these layers only. Skips the test where one of them cannot stand, and names it."""
    off = [name for name in LAYERS if name not in layers]
    monkeypatch.setenv("REPERTOIRE_SANDBOX_WITHOUT", ",".join([*off, "bubblewrap"]))
    async with anyio.create_task_group() as tasks:
        zygotes = SandboxedZygotes(_LIMITS if "scratch" in layers else _NONE, 1, Scratch(str(scratch)), (), tasks)
        try:
            client = await zygotes.get("plain")
            states = {layer.name: layer for layer in (await zygotes.isolation()).layers}
            for name in layers:
                if states[name].state != "active":
                    pytest.skip(f"NOT TESTED: this machine lacks the layer {name}: {states[name].detail}")
            assert [name for name in off if states[name].state == "active"] == []
            yield client
        finally:
            await zygotes.close()


async def outcomes_of(client: ZygoteClient, ids: tuple[str, ...], canaries: Canaries, limits: Limits) -> dict[str, str]:
    """Try these attacks in forks of this zygote: the probes in one, each other in one of its own."""
    attacks = [_BY_ID[id] for id in ids]
    probes = [attack for attack in attacks if attack.kind == "probe"]
    found: dict[str, str] = {}
    if probes:
        source = batch([attack.code for attack in probes], [attack.id for attack in probes])
        found |= json.loads((await _run(client, source, canaries, limits)).result)
    for attack in attacks:
        if attack not in probes:
            frame = await _run(client, one(attack.code, raw=attack.is_raw), canaries, limits)
            found[attack.id] = _outcome(frame, is_raw=attack.is_raw)
    return found


async def _run(client: ZygoteClient, source: str, canaries: Canaries, limits: Limits) -> Any:
    """The last frame of a fork that runs this source."""
    targets = {**canaries.targets(), "daemon": os.getpid()}
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _, child = await client.fork(theirs, limits, once=True)
        worker = Worker(Line(ours))
        ours.settimeout(120)  # created code has the lowest priority
        run = partial(worker.run, source, {"t": targets}, cwd=child.scratch, home=child.scratch)
        return await anyio.to_thread.run_sync(run)


def _outcome(frame: Any, *, is_raw: bool) -> str:
    if isinstance(frame, wire.Done):
        result = json.loads(frame.result)
        return f"completed {result!r}" if is_raw else str(result)
    return f"failed {frame.fault.code}" if isinstance(frame, wire.Failed) else "failed worker_lost"


async def test_without_any_layer_the_attacks_reach_what_they_want(
    canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the tests below would prove nothing."""
    cases = [case for case in CASES if os.getuid() == 0 or not case.for_root]
    ids = tuple(dict.fromkeys(id for case in cases for id in case.attacks if id != "kernel.user_namespace"))
    async with standing((), tmp_path, monkeypatch) as client:
        outcomes = await outcomes_of(client, ids, canaries, _NONE)
    stopped = {id: outcome for id, outcome in outcomes.items() if _BY_ID[id].is_contained_by(outcome)}
    assert not stopped, "they are stopped without any layer"
    canaries.forget()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.layers[0])
async def test_a_layer_alone_stops_its_attacks(
    canaries: Canaries, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.for_root and os.getuid() != 0:
        pytest.skip("this user has no rights that the layer could take")
    async with standing(case.layers, tmp_path, monkeypatch) as client:
        limits = _LIMITS if "limits" in case.layers else _NONE
        outcomes = await outcomes_of(client, case.attacks, canaries, limits)
    reached = {id: outcome for id, outcome in outcomes.items() if not _BY_ID[id].is_contained_by(outcome)}
    assert not reached, f"{case.layers[0]} alone does not stop them"
    assert canaries.problems() == []


def test_the_same_holds_for_an_unprivileged_user() -> None:
    """Runs this file's tests again as another user."""
    if os.getuid() != 0:
        pytest.skip("this user is unprivileged already")
    try:
        python = interpreters.command(interpreters.NOBODY)
    except OSError as error:
        pytest.skip(f"NOT TESTED: {error}")
    done = subprocess.run(
        [*python, "-P", "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-k", "layer", __file__],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=170,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
