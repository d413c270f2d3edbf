"""Artifacts at the command line: listed, shown, saved from files and pipes, deleted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support import shells
from support.shells import Shell

shell = shells.shell


def test_artifacts_are_saved_shown_and_deleted(shell: Shell, tmp_path: Path) -> None:
    assert shell.json("artifacts") == []
    (tmp_path / "rows.json").write_text('{"rows": [1, 2]}')
    (tmp_path / "logo.png").write_bytes(bytes(range(256)))
    said = shell.ok("artifacts", "save", "data/rows.json", str(tmp_path / "rows.json"), "-d", "Rows.")
    assert said == "saved data/rows.json, application/json, 16 bytes\n"
    shell.ok("artifacts", "save", "logo.png", str(tmp_path / "logo.png"))
    rows = {row["name"]: row for row in shell.json("artifacts")}
    assert [(name, row["kind"], row["size"]) for name, row in rows.items()] == [
        ("data/rows.json", "json", 16),
        ("logo.png", "bytes", 256),
    ]
    assert [row["name"] for row in shell.json("artifacts", "list", "--prefix", "data/")] == ["data/rows.json"]
    assert shell.ok("artifacts", "show", "data/rows.json") == '{"rows": [1, 2]}'
    assert shell.json("artifacts", "show", "data/rows.json")["description"] == "Rows."
    shell.ok("artifacts", "show", "logo.png", "-o", str(tmp_path / "copy.png"))
    assert (tmp_path / "copy.png").read_bytes() == bytes(range(256))
    assert (
        shell.ok("artifacts", "save", "notes.txt", "-", input="from a pipe\n")
        == "saved notes.txt, text/plain, 12 bytes\n"
    )
    assert shell.ok("artifacts", "delete", "notes.txt", "--yes") == "deleted notes.txt\n"


def test_what_cannot_be_is_told(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for words, message in {
        ("show", "none"): "There is no artifact 'none'",
        ("delete", "none", "--yes"): "There is no artifact 'none'",
        ("save", "../up", str(tmp_path / "file")): "cannot be an artifact's name",
        ("save", "a", str(tmp_path / "nothing")): "There is no file",
        ("save", "a", str(tmp_path)): "There is no file",
        ("save", "a", str(tmp_path / "file"), "--type", "image"): "is no MIME type",
    }.items():
        refused = shell("artifacts", *words)
        assert refused.returncode in (1, 2) and message in refused.stderr, (words, refused.stderr)
    assert shell.json("artifacts") == []


def test_help_does_not_open_a_home(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "repertoire", "artifacts", "save", "-h"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0 and "Save a file as an artifact" in done.stdout


def test_debug_reads_artifacts_and_changes_none(shell: Shell, tmp_path: Path) -> None:
    source = '''"""Keep."""

def run() -> list:
    had = artifacts.load("a.txt")
    artifacts.save("a.txt", "changed")
    now_has = artifacts.load("a.txt")
    deleted = artifacts.delete("a.txt")
    try:
        artifacts.load("a.txt")
    except RuntimeError as error:
        return [had, now_has, deleted, error.code, artifacts.exists("none")]
'''
    (shell.home / "workflows" / "keep.py").write_text(source)
    (tmp_path / "a.txt").write_text("kept")
    shell.ok("artifacts", "save", "a.txt", str(tmp_path / "a.txt"))
    assert json.loads(shell.ok("debug", "keep")) == ["kept", "changed", True, "unknown_artifact", False]
    assert shell.ok("artifacts", "show", "a.txt") == "kept"
