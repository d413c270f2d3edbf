"""The command line as people know it: real processes, and a terminal of 80 cells where that matters."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support import shells
from support.shells import Shell
from support.terminals import WIDTH, plain, shown_at, widest

shell = shells.shell

WIDE = '"""' + "何かを数える道具です。" * 12 + '"""\n\ndef run() -> int:\n    return 1\n'
FAILS = '"""Fail."""\n\ndef run(why: str) -> None:\n    raise ValueError(why)\n'
ASKS = '"""Ask."""\n\ndef run() -> bool:\n    return ask("Go on?", {"type": "boolean"})\n'


def test_n7_n21_tables_fit_a_terminal_and_cut_no_number(shell: Shell) -> None:
    (shell.home / "workflows" / "wide_one.py").write_text(WIDE)
    (shell.home / "workflows" / "fails.py").write_text(FAILS)
    shell.ok("run", "wide_one")
    shell("run", "fails", "why=no")
    listed = shown_at(shell, "list")
    assert widest(listed) <= WIDTH and "…" in listed
    (line,) = [line for line in plain(listed).splitlines() if line.startswith("wide_one")]
    assert len(line.split()[1]) == 12  # the version is whole
    shown = shown_at(shell, "runs")
    assert widest(shown) <= WIDTH and "\x1b[31mfailed" in shown and "\x1b[32mcompleted" in shown
    rows = [row for row in plain(shown).splitlines() if "wide_one" in row]
    assert re.fullmatch(r"01\w{10}  wide_one  completed  \d+ s ago  [\d.]+ m?s", rows[0].strip()), rows
    assert re.search(r"T\d\d:\d\d:\d\d.\d{3}Z$", shell.json("runs")[0]["created_at"])


def test_n8_n9_a_run_is_shown_with_what_it_was_given_and_gave(shell: Shell) -> None:
    (shell.home / "workflows" / "fails.py").write_text(FAILS)
    shell.ok("run", "echo_it", "number=7", "--session", "mine")
    shell("run", "fails", "why=bad luck")
    rows = {row["workflow"]: row["run_id"] for row in shell.json("runs")}
    whole = rows["echo_it"].rpartition(":")[2]
    shown = shell.ok("show", whole[:14].lower()).splitlines()
    assert shown[0].startswith(rows["echo_it"]) and "completed" in shown[0]
    assert [line.split()[0] for line in shown[1:]] == ["arguments", "result", "session", "client", "version", "begun"]
    assert shown[1].endswith('{"number": 7}') and shown[2].endswith(" 7") and " mine s_" in shown[3]
    assert shown[4].endswith("repertoire command line") and re.search(r" [0-9a-f]{12}$", shown[5])
    failed = shell.ok("show", "last")
    assert failed.startswith(rows["fails"]) and re.search(r"error +ValueError: bad luck \(.*fails.py:4\)", failed)
    assert shell.json("show", "last")["arguments"] == {"why": "bad luck"}
    several = shell("show", whole[:1])
    assert several.returncode == 2 and rows["fails"] in several.stderr and rows["echo_it"] in several.stderr
    assert "failed: bad luck" in shell.ok("logs", "last")


def test_n10_n11_what_is_wrong_is_said_with_its_place_and_in_commands(shell: Shell) -> None:
    (shell.home / "workflows" / "broken.py").write_text('"""x"""\n\ndef run(:\n')
    broken = shell("run", "broken")
    assert broken.returncode == 1 and "broken.py, line 3: Syntax error" in broken.stderr
    status = shell("runs", "--status", "typo")
    assert status.returncode == 2 and "working, input_required, completed, failed, cancelled" in status.stderr
    unknown = shell("run", "nobody")
    assert (
        unknown.returncode == 1 and "`repertoire search QUERY`" in unknown.stderr and "_workflows" not in unknown.stderr
    )


def test_n6_n12_n13_arguments_in_every_form_and_exit_codes(shell: Shell) -> None:
    (shell.home / "workflows" / "asks.py").write_text(ASKS)
    home = ("--home", str(shell.home))
    shell.environ["REPERTOIRE_HOME"] = str(shell.home / "another")
    assert shell.ok(*home, "run", "echo_it", "--number", "7") == "7\n"
    assert shell.ok("run", "echo_it", "-", *home, input='{"number": 8}') == "8\n"
    wrong = shell("run", "echo_it", "number=x", *home)
    assert wrong.returncode == 2 and "wants an integer" in wrong.stderr and "logs" not in wrong.stderr
    assert re.search(
        r"echo_it takes:\n +number +an integer +required\n +For example: repertoire run echo_it number=1", wrong.stderr
    )
    asked = shell("run", "asks", *home)
    assert asked.returncode == 3 and "repertoire answer" in asked.stderr
    assert shell("run", "echo_it", "--numbre", "7", *home).returncode == 2
    helped = shell.ok("run", "-h")
    assert "Examples:\n  repertoire run add a=2 b=3" in helped and shell.ok("-h") == shell.ok()


def test_n12_a_detached_run_goes_on_and_the_shell_completes_its_id(shell: Shell) -> None:
    run_id = shell.ok("run", "echo_it", "number=7", "--detach").strip()
    try:
        followed = shell.ok("logs", "last", "--follow")
        assert "run_end" in followed and run_id == shell.json("show", "last")["run_id"]
        words = {"_REPERTOIRE_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
        shell.environ |= words | {"COMP_WORDS": "repertoire show 01"}
        assert shell.ok().split() == [run_id.rpartition(":")[2]]
        shell.environ |= words | {"COMP_WORDS": "repertoire run ech"}
        assert shell.ok().split() == ["echo_it"]
        for name in (*words, "COMP_WORDS"):
            del shell.environ[name]
    finally:
        shell("stop", "--force")


def test_n14_examples_are_given_like_a_payload(shell: Shell, tmp_path: Path) -> None:
    source = shell.home / "workflows" / "echo_it.py"
    examples = json.dumps([{"arguments": {"number": 1}, "expect": 2}])
    (tmp_path / "examples.json").write_text(examples)
    for given in (examples, f"@{tmp_path / 'examples.json'}"):
        refused = shell("create", "another", str(source), "--examples", given)
        assert refused.returncode == 1 and "1" in refused.stderr and not (source.parent / "another.py").exists()
    piped = shell("create", "another", str(source), "--examples", "-", input=examples.replace("2}", "1}"))
    assert piped.returncode == 0, piped.stderr
    path = shell("create", "more", str(source), "--examples", str(tmp_path / "examples.json"))
    assert path.returncode == 2 and f"For the file write @{tmp_path}" in path.stderr
