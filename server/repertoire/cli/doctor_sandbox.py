"""Rows of `repertoire doctor` about the sandbox: what is claimed, layer by layer, and what trials in real sandboxes have found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class SandboxRow(NamedTuple):
    check: str
    ok: bool
    message: str
    hint: str | None = None


def sandbox_rows(answer: Mapping[str, Any], authoring: str) -> Iterator[SandboxRow]:
    """`answer`: the answer of the verb `isolation`. `authoring`: the setting.

    A missing layer is no failure, as unapproved code then waits for approval. A failure is a sandbox that does not hold what it says, or
    one that the settings demand and this machine cannot give.
    """
    is_real = bool(answer["is_real"])
    active = {layer["name"] for layer in answer["layers"] if layer["state"] == "active"}
    yield _isolation_row(answer, authoring)
    for layer in answer["layers"]:
        told = f": {layer['detail']}" if layer["detail"] else ""
        remedy = layer["remedy"] if layer["state"] != "active" else ""
        yield SandboxRow("sandbox layer", True, f"{layer['name']} is {layer['state']}{told}", remedy or None)
    for trial in answer["trials"]:
        yield _trial_row(trial, is_real, active)


def _isolation_row(answer: Mapping[str, Any], authoring: str) -> SandboxRow:
    if answer["is_real"]:
        return SandboxRow("sandbox", True, answer["isolation"])
    if authoring == "sandboxed":
        hint = 'Install what the layers below name, or set authoring to "approval" or "off".'
        return SandboxRow(
            "sandbox", False, f'authoring is "sandboxed", and there is no sandbox: {answer["isolation"]}', hint
        )
    return SandboxRow(
        "sandbox", True, answer["isolation"], "Code that came through a tool waits for a person's approval here."
    )


def _trial_row(trial: Mapping[str, Any], is_real: bool, active: set[str]) -> SandboxRow:
    if trial["outcome"] == "refused":
        return SandboxRow("sandbox trial", True, f"cannot {trial['aim']} ({trial['detail']})")
    if trial["outcome"] == "unclear":
        return SandboxRow("sandbox trial", True, f"not tried: {trial['aim']} ({trial['detail']})")
    claimed = [name for name in trial["layers"] if name in active]
    hint = f"Reported as active, and should stop it: {', '.join(claimed)}." if claimed else None
    return SandboxRow("sandbox trial", not is_real, f"can {trial['aim']}: {trial['detail']}", hint)
