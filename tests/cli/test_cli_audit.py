"""`repertoire audit`: who did what, as a table, as JSON, and as it happens; with and without a daemon."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from support import shells
from support.shells import Shell

shell = shells.shell


def test_the_log_is_listed_filtered_followed_and_cut(shell: Shell) -> None:
    assert "Nothing was done yet." in shell("audit").stderr
    shell.ok("create", "again", str(shell.home / "workflows" / "echo_it.py"))  # no daemon runs
    shell.ok("run", "echo_it", "number=4711")  # it starts the daemon
    shell("run", "echo_it", "number=many")
    said = shell.ok("audit", "--json")
    failed, started, ended, _, created = json.loads(said)
    assert (created["action"], created["workflow"], created["client"]) == (
        "created",
        "again",
        "repertoire command line",
    )
    assert (failed["status"], started["action"], ended["status"]) == ("failed", "started", "completed")
    assert len(started["arguments_sha256"]) == 64 and started["run_id"] == failed["run_id"] and started["session_id"]
    assert "4711" not in said and "many" not in said

    heading, *rows = shell.ok("audit", "--workflow", "echo_it").splitlines()
    assert heading.split() == ["AT", "ACTION", "WHO", "WORKFLOW", "VERSION", "RUN", "STATUS"] and len(rows) == 4
    assert rows[0].split()[1] == "ended" and rows[0].split()[-1] == "failed"
    assert shell.json("audit", "--who", "COMMAND", "--since", "1h", "--action", "started", "-n", "1") == [started]
    for words in (("--action", "seen"), ("--since", "yesterday")):
        assert shell("audit", *words).returncode == 2, words

    command = [sys.executable, "-P", "-m", "repertoire", "audit", "--follow", "--json", "--limit", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=shell.environ, cwd=shell.home) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline()) == failed
        shell.ok("run", "echo_it", "number=1")
        assert [json.loads(following.stdout.readline())["action"] for _ in range(2)] == ["started", "ended"]
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130

    assert "7 lines of the audit log" in shell.ok("gc", "--audit-before", "0s", "--dry-run")
    assert shell.json("gc", "--audit-before", "0s")["audit"] >= 7
    cut = shell.json("audit")
    assert [line["action"] for line in cut] in (["audit_cut"], ["audit_cut", "runs_deleted"])
    assert cut[0]["client"] == "repertoire command line" and cut[0]["subject"].startswith("lines before 2")
