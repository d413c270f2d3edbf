"""Every attack of the tables is contained: the answer is an expected one, no canary was touched, nothing is left, others are served."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import interpreters
from .attack import Attack
from .bodies import batch, one
from .pending import PENDING
from .server import Server
from .tables import ATTACKS, TABLES

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="the sandbox is Linux's")


_WHOEVER_RUNS = ("results", "texts", "schemas")
"""Subjects whose attacks are on the server's reading, and need no rights."""


class Trials:
    """A server, and the outcomes of the probes that were tried in it: a subject's probes are one run."""

    def __init__(self, server: Server, *, is_main: bool) -> None:
        self.server = server
        self.is_main = is_main
        self._outcomes: dict[str, str] = {}

    def outcome(self, attack: Attack) -> str:
        if attack.kind == "outside":
            return str(attack.code(self.server))
        if attack.kind == "alone":
            source = one(attack.code, raw=attack.is_raw, timeout_s=attack.timeout_s)
            answer = self.server.run(source, {"t": self.server.targets()})
            result = answer.get("result")
            return result if not attack.is_raw and isinstance(result, str) else self.server.outcome(answer)
        if attack.id not in self._outcomes:
            self._try_all([each for each in ATTACKS if each.kind == "probe" and each.subject == attack.subject])
        return self._outcomes[attack.id]

    def _try_all(self, attacks: list[Attack]) -> None:
        source = batch([each.code for each in attacks], [each.id for each in attacks])
        answer = self.server.run(source, {"t": self.server.targets()})
        broken = f"the probes did not come to their end: {str(answer)[-3000:]}"
        self._outcomes |= answer.get("result") or dict.fromkeys([each.id for each in attacks], broken)


@pytest.fixture(scope="module", params=["this user", "an unprivileged user"])
def trials(request: pytest.FixtureRequest) -> Iterator[Trials]:
    user = None
    if request.param == "an unprivileged user":
        if os.getuid() != 0:
            pytest.skip("this user is unprivileged already")
        user = interpreters.NOBODY
    folder = Path(
        tempfile.mkdtemp(prefix="attacks-", dir="/tmp")
    )  # short, for sockets; pytest's own folders are root's alone
    folder.chmod(0o755)
    try:
        server = Server(folder, user)
        try:
            yield Trials(server, is_main=user is None)
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_attack_is_contained(trials: Trials, attack: Attack) -> None:
    if not trials.is_main and (attack.is_costly or attack.subject in _WHOEVER_RUNS):
        pytest.skip("it was tried as the other user; it takes a second, or the rights of the user are nothing to it")
    with trials.server.bystanders() as problems:
        outcome = trials.outcome(attack)
    problems += trials.server.problems()
    if not attack.is_contained_by(outcome):
        problems.append(f"it came to: {outcome}")
    pending = PENDING.get(attack.id) or PENDING.get(attack.subject)
    if pending is None:
        assert not problems, f"{attack.id} {attack.tries}: {problems}"
    elif problems:
        pytest.xfail(f"{pending}: {problems}")


def test_the_database_is_whole_after_all_of_them(trials: Trials) -> None:
    assert trials.server.canaries.check_database() == "ok"
    assert trials.server.bystander.call("run_workflow", name="echo", arguments={"number": 3})["result"] == 3


def test_the_tables_are_sound() -> None:
    ids = [attack.id for attack in ATTACKS]
    assert len(set(ids)) == len(ids) >= 80
    assert len({attack.tries for attack in ATTACKS}) == len(ids)
    assert set(PENDING) <= {*ids, *(table.subject for table in TABLES)}
