"""One short round of the chaos campaign: it plays, and finds nothing. CI plays it longer, and docs/chaos.md says what it checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.checks import traces
from chaos.tools import repeated

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 600.0


@pytest.mark.timeout(_PATIENCE_S + 30)
@pytest.mark.skipif(sys.platform != "linux", reason="the campaign reads /proc")
def test_a_round_of_random_faults_breaks_no_promise() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "0", "--round-s", "15"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_PATIENCE_S)
    print(done.stdout)  # the seed is in it
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no violation" in done.stdout and "rounds 1" in done.stdout


@pytest.mark.timeout(_PATIENCE_S + 30)
@pytest.mark.skipif(sys.platform != "linux", reason="the campaign reads /proc")
def test_no_recorded_call_of_a_tool_is_repeated_whatever_is_killed() -> None:
    """CHAOS_TOOL_RUNS=200 plays as many runs as the command does by itself."""
    command = [sys.executable, "-m", "tests.chaos", "tools", "--runs", os.environ.get("CHAOS_TOOL_RUNS", "10")]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_PATIENCE_S)
    print(done.stdout)  # the seed is in it
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no violation" in done.stdout


def test_a_call_that_is_made_after_its_record_is_seen() -> None:
    assert list(repeated(["+ t1.1", "+ t1.1", "= t1.1", "$ t1.1", "+ t1.2"])) == []
    (said,) = repeated(["+ t1.1", "= t1.1", "$ t1.1", "+ t1.1"])
    assert said == "t1.1 was made again in line 4 of the traces; in line 3 it was recorded"


@pytest.mark.parametrize(
    "lines, found",
    [
        (["+ a.1", "= a.1", "! 1 kill", "? 1", "+ a.1", "= a.1"], ""),
        (["+ a.1", "= a.1", "+ a.1"], "nothing had died"),
        (["! 1 kill", "? 1", "+ a.1", "= a.1", "+ a.1"], "nothing had died"),
        (["+ a.1", "= a.1", "$ a.1", "! 1 kill", "? 1", "+ a.1"], "it was recorded"),
        (["( a 1", "# a 2"], "two bodies"),
    ],
)
def test_the_campaign_sees_what_is_done_once_too_often(lines: list[str], found: str) -> None:
    said = list(traces(lines))
    assert len(said) == bool(found) and all(found in text for text in said), said
