"""Trials of the sandbox: each gets out where there is no sandbox, and none where one is claimed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repertoire.sandbox.trials import TRIALS, Targets, outcome_of
from support.services import opened

_UNCERTAIN = {"root", "capabilities", "new privileges"}
"""Whether these succeed without a sandbox depends on the user and the container of the tests."""
_OUTSIDE = """
import json, os, sys

trials, targets = json.load(sys.stdin)
for name, source in trials.items():
    if os.fork() == 0:
        os.chdir(targets["home"] + "/run-1")
        scope = {"__name__": "trial"}
        exec(compile(source, name, "exec"), scope)
        print(json.dumps([name, scope["run"](**targets)]), flush=True)
        os._exit(0)
    os.wait()
"""


def test_each_trial_gets_out_where_there_is_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "run-1").mkdir(parents=True)
    (home / "run-2").mkdir()
    (home / "database").write_text("secret")
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.chdir(home)
        unix.bind("socket")
        unix.listen()
        targets = Targets(
            home=str(home),
            secret=str(home / "database"),
            unix_socket=os.path.relpath(home / "socket", home / "run-1"),
            port=server.getsockname()[1],
            pid=os.getpid(),
            memory_mb=256,
            scratch_mb=1,
        )
        sources = {trial.name: trial.source for trial in TRIALS}
        done = subprocess.run(
            [sys.executable, "-c", _OUTSIDE],
            input=json.dumps([sources, targets._asdict()]),
            capture_output=True,
            text=True,
            env={"SECRET": "1"},
        )
    answers = {name: outcome_of(answer) for name, answer in map(json.loads, done.stdout.splitlines())}
    assert answers.keys() == sources.keys(), done.stderr
    inside = {name: detail for name, (outcome, detail) in answers.items() if outcome != "done"}
    assert inside.keys() <= _UNCERTAIN, inside
    assert "SECRET" in answers["environment"][1]
    assert sorted(path.name for path in home.iterdir()) == ["database", "run-1", "run-2", "socket"]


@pytest.mark.anyio
async def test_no_trial_gets_out_of_a_sandbox_that_is_claimed(tmp_path: Path) -> None:
    async with opened(tmp_path / "home") as app:
        found = await app.service.sandbox.examine()
    trials = {one["name"]: one for one in found["trials"]}
    assert trials.keys() == {trial.name for trial in TRIALS}
    assert trials["memory bomb"]["outcome"] == "refused"
    if found["is_real"]:
        assert [one for one in found["trials"] if one["outcome"] == "done"] == []
        active = {layer["name"] for layer in found["layers"] if layer["state"] == "active"}
        assert all(active.intersection(one["layers"]) for one in found["trials"] if one["layers"])
    else:
        assert found["isolation"].startswith("none")


@pytest.mark.parametrize("answer", [None, {}, {"done": 1}, {"gone": "x"}, {"done": "a", "refused": "b"}, ["done"]])
def test_an_answer_that_is_none_of_a_trial_is_unclear(answer: Any) -> None:
    assert outcome_of(answer)[0] == "unclear"
