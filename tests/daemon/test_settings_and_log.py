"""Settings in force with a daemon and without one, and what the daemon's log says of runs."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repertoire.daemon.log_file import LogFile
from repertoire.settings import load
from support import shells
from support.daemons import until
from support.shells import READY, Shell

shell = shells.shell

LEAK = '"""Fail with a secret."""\n\ndef run(key: str) -> None:\n    raise ValueError(f"refused: {key}")\n'


@contextmanager
def host(shell: Shell) -> Iterator[None]:
    """A front that stays, so a daemon runs."""
    command = [sys.executable, "-P", "-m", "repertoire", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=shell.environ) as process:
        try:
            until(lambda: (shell.home / "daemon.json").exists())
            yield
        finally:
            shell("stop")
            process.kill()


def test_n17_n24_settings_that_the_daemon_ignores_are_said_and_its_log_has_starts_ends_and_errors(shell: Shell) -> None:
    (shell.home / "workflows" / "leak.py").write_text(LEAK)
    (shell.home / "repertoire.toml").write_text("page_size = 50\n")
    del shell.environ[READY]
    with host(shell):
        shell.environ["REPERTOIRE_RUN_TIMEOUT_S"] = "5"
        done = shell("run", "counter", "--json")
        run = json.loads(done.stdout)
        assert "run_timeout_s = 5.0 from REPERTOIRE_RUN_TIMEOUT_S is ignored" in done.stderr
        assert "runs with 300.0" in done.stderr and "repertoire stop" in done.stderr and "page_size" not in done.stderr
        told = shell.json("config")
        rows = {row["setting"]: row for row in told["settings"]}
        assert rows["run_timeout_s"] == {"setting": "run_timeout_s", "value": 300.0, "source": "default"}
        assert rows["page_size"]["source"] == str(shell.home / "repertoire.toml") and len(told["ignored"]) == 1
        assert rows["home"]["source"] == "--home" and told["pid"] is not None
        failed = shell("run", "leak", "--payload", '{"key": "sk-secret"}', "--json")
        failed_id = json.loads(failed.stdout)["run_id"]
    log = (shell.home / "logs" / "daemon.log").read_text()
    for pattern in (
        r"repertoire\.daemon: version \S+ starts, pid \d+",
        rf"repertoire\.runs: {run['run_id']} started, version [0-9a-f]{{12}}, session {run['session_id']}",
        rf"repertoire\.runs: {run['run_id']} completed after [\d.]+ s$",
        rf"repertoire\.runs: {failed_id} failed after [\d.]+ s: ValueError \(\w+\) in line 4$",
        r"repertoire\.daemon: pid \d+ ends: it was stopped",
    ):
        assert len(re.findall(pattern, log, re.MULTILINE)) == 1, (pattern, log)
    assert "sk-secret" not in log and "Traceback" not in log
    assert {row["setting"]: row["source"] for row in shell.json("config", "--changed")["settings"]} == {
        "home": "REPERTOIRE_HOME", "page_size": str(shell.home / "repertoire.toml"), "run_timeout_s": "REPERTOIRE_RUN_TIMEOUT_S",
    }  # fmt: skip


def test_n17_each_source_of_a_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "repertoire.toml").write_text('page_size = 5\nauthoring = "off"\nroots = ["/a"]\n')
    environ = {"REPERTOIRE_AUTHORING": "open", "REPERTOIRE_WORKER_ENV": "A,B"}
    rows = {row["setting"]: row for row in load(home=str(tmp_path), environ=environ).rows()}
    file = str(tmp_path / "repertoire.toml")
    assert [rows[name]["source"] for name in ("page_size", "authoring", "roots", "home", "workers")] == [
        file, "REPERTOIRE_AUTHORING", file, "--home", "default",
    ]  # fmt: skip
    assert rows["worker_env"] == {"setting": "worker_env", "value": ["A", "B"], "source": "REPERTOIRE_WORKER_ENV"}
    given = load(home=str(tmp_path), environ={}, roots=("/b",)).rows()
    assert [row["source"] for row in given if row["setting"] == "roots"] == ["--workflows"]


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_log_that_grows_is_renamed_while_the_daemon_lives(tmp_path: Path, is_ours: bool) -> None:
    path = tmp_path / "daemon.log"
    path.touch()
    code = (
        "import logging, sys; from repertoire.daemon.log_file import LogFile\n"
        f"logging.basicConfig(handlers=[LogFile({str(path)!r}, max_bytes=1000, every=10)])\n"
        "for n in range(95): logging.warning('line %d %s', n, 'x' * 40)\n"
    )
    with (path if is_ours else tmp_path / "elsewhere").open("a") as stderr:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code], stderr=stderr, check=True, env=environ)
    kept = [one for one in (tmp_path / "daemon.log.1", path) if one.exists()]
    text = "".join(one.read_text() for one in kept)
    assert ("line 94 " in text) == is_ours and len(kept) == (2 if is_ours else 1)
    assert isinstance(LogFile(str(path)), logging.Handler)
