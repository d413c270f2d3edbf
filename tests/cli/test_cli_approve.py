"""`repertoire approve` as a person uses it: the list, the text, the question at a terminal, and taking an approval back."""

from __future__ import annotations

import subprocess
import sys

from support import shells
from support.publishing import DOUBLE
from support.shells import Shell
from support.terminals import Terminal

shell = shells.shell


def test_a_person_approves_a_version_and_takes_it_back(shell: Shell) -> None:
    shell.environ |= {
        "REPERTOIRE_AUTHORING": "approval",
        "REPERTOIRE_SEARCH_MODEL": "off",
        "REPERTOIRE_READY_WORKFLOWS": "false",
    }
    script = f"""
from repertoire_client import RepertoireCallError, SyncRepertoireClient
with SyncRepertoireClient.stdio({str(shell.home)!r}) as repertoire:
    try:
        repertoire.workflows.create("double", {DOUBLE!r})
    except RepertoireCallError as error:
        print(error.code, error.details["version"])
"""
    said = subprocess.run([sys.executable, "-c", script], env=shell.environ, capture_output=True, text=True, timeout=60)
    code, version = said.stdout.split()
    assert code == "approval_required", said.stderr
    assert version in shell.ok("approve", "--list")
    refused = shell("publish", "double", version)
    assert refused.returncode == 1 and f"repertoire approve double {version}" in refused.stderr
    refused = shell("approve", "double")
    assert refused.returncode == 2 and "--yes" in refused.stderr and "return n * 2" in refused.stdout
    assert f"repertoire approve double {version}" in shell.ok("inbox")

    terminal = Terminal(shell, "approve", "double")
    terminal.until("return n * 2")
    terminal.until("[y/N]")
    terminal.type("n\n")
    terminal.until("Nothing was done")
    assert terminal.end() == 1 and shell("run", "double", "n=2").returncode == 1
    terminal = Terminal(shell, "approve", "double", version[:8])
    terminal.until("[y/N]")
    terminal.type("y\n")
    terminal.until("is approved, and it is published")
    assert terminal.end() == 0
    assert shell.ok("run", "double", "n=2") == "4\n"
    shown = shell.ok("show", "double")
    assert "trust: approved" in shown and "(command line)" in shown and "approved" in shell.ok("list")
    assert "is no longer approved" in shell.ok("approve", "double", "--revoke")
    refused = shell("run", "double", "n=2")
    assert refused.returncode == 1 and f"repertoire approve double {version}" in refused.stderr
    assert shell("approve").returncode == 2
    refused = shell("approve", "echo_it", "--yes")
    assert refused.returncode == 1 and "trusted already" in refused.stderr
    shell("stop")
