"""Rows of `repertoire doctor` about the sandbox; the platform and the answer are values here."""

from __future__ import annotations

from typing import Any

import pytest

from repertoire.cli.doctor_sandbox import sandbox_rows
from repertoire.sandbox.elsewhere import isolation_of
from repertoire.sandbox.layers import NOT_A_BOUNDARY


def _answer(*, is_real: bool, seccomp: str = "active", outcome: str = "refused") -> dict[str, Any]:
    seccomp_layer = {"name": "seccomp", "state": seccomp, "detail": "", "remedy": "pip install pyseccomp"}
    limits = {"name": "limits", "state": "active", "detail": "memory, files", "remedy": ""}
    trial = {
        "name": "fork bomb",
        "aim": "start processes",
        "layers": ["seccomp"],
        "outcome": outcome,
        "detail": "PermissionError",
    }
    label = "sandboxed: seccomp, limits" if is_real else "none: limits"
    return {"isolation": label, "is_real": is_real, "layers": [seccomp_layer, limits], "trials": [trial]}


def test_a_sandbox_that_holds_is_told_layer_by_layer() -> None:
    label, seccomp, limits, trial = sandbox_rows(_answer(is_real=True), "")
    assert label == ("sandbox", True, "sandboxed: seccomp, limits", None)
    assert seccomp == ("sandbox layer", True, "seccomp is active", None)
    assert limits.message == "limits is active: memory, files"
    assert trial == ("sandbox trial", True, "cannot start processes (PermissionError)", None)


def test_a_trial_that_gets_out_of_a_claimed_sandbox_fails_and_names_the_layer() -> None:
    *_, trial = sandbox_rows(_answer(is_real=True, outcome="done"), "")
    assert not trial.ok and trial.message.startswith("can start processes") and "seccomp" in (trial.hint or "")


def test_a_trial_that_could_not_be_made_is_told_and_no_failure() -> None:
    *_, trial = sandbox_rows(_answer(is_real=True, outcome="unclear"), "")
    assert trial.ok and trial.message.startswith("not tried: start processes")


@pytest.mark.parametrize("authoring", ["", "approval", "off"])
def test_without_a_sandbox_code_waits_for_approval_and_nothing_fails(authoring: str) -> None:
    rows = list(sandbox_rows(_answer(is_real=False, seccomp="missing", outcome="done"), authoring))
    assert all(row.ok for row in rows)
    assert "approval" in (rows[0].hint or "") and rows[1].hint == "pip install pyseccomp"


def test_settings_that_demand_a_sandbox_fail_where_there_is_none() -> None:
    label, *_ = sandbox_rows(_answer(is_real=False), "sandboxed")
    assert not label.ok and "there is no sandbox" in label.message


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_other_systems_claim_no_boundary(platform: str) -> None:
    isolation = isolation_of(platform)
    assert not isolation.is_real and isolation.label == f"none: {NOT_A_BOUNDARY}"
    assert all(layer.remedy or layer.state != "impossible" or layer.name == "limits" for layer in isolation.layers)
    assert {layer.name for layer in isolation.layers} >= {"namespaces", "seccomp", "landlock", "limits"}


def test_macos_has_limits_and_windows_has_none() -> None:
    limits = {name: next(x for x in isolation_of(name).layers if x.name == "limits") for name in ("darwin", "win32")}
    assert limits["darwin"].state == "active" and "memory" in limits["darwin"].detail
    assert limits["win32"].state == "impossible"
