"""Benchmarks that count run to their end and say what the pages say; times on a busy machine are nobody's to assert."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not (_ROOT / "benchmarks").is_dir(), reason="the benchmarks are in a checkout only")


def _ran(*words: str) -> dict[str, Any]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("REPERTOIRE_")}
    done = subprocess.run(
        [sys.executable, *words, "--quick", "--json"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_survive_runs_as_a_file_and_finds_every_effect_once() -> None:
    outcomes = _ran("benchmarks/survive.py")["outcomes"]
    assert {outcome["killed"] for outcome in outcomes} == {"server", "worker"}
    assert {outcome["system"] for outcome in outcomes} == {"Repertoire, a file", "Repertoire, created by a tool"}
    assert [outcome["verdict"] for outcome in outcomes] == ["exact"] * 4, outcomes


def test_code_mode_needs_fewer_requests_and_tokens_than_one_tool_at_a_time() -> None:
    figures = {figure["what"]: figure for figure in _ran("-m", "benchmarks", "codemode")["figures"]}
    requests = figures["requests to the model: code over one at a time"]
    assert (requests["value"], requests["bare"]) == (3, 11)
    assert figures["tokens read, all requests together: code over one at a time"]["ratio"] < 0.6
    assert figures["tokens read, without the tool list: code over one at a time"]["ratio"] < 0.05


def test_the_benchmarks_of_tools_run_to_their_end() -> None:
    for name in ("tools", "code", "children"):
        assert _ran("-m", "benchmarks", name, "--pairs", "1")["figures"], name
