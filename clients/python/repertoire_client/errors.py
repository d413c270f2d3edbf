"""What a call raises."""

from __future__ import annotations

from typing import Any

from mcp.shared.exceptions import MCPError


class RepertoireCallError(Exception):
    """A call that did not become a run, or a result that a run does not have.

    `code` is stable and made for programs (`unknown_workflow`, `name_taken`, `refused`, ...; `protocol_error` and `not_connected`
    are this client's own); `message` and `hint` are sentences; `line` is a line of the source that was sent. `run_id` names the
    run in question where there is one: after a lost connection `runs.get(error.run_id)` may still have it. `details` are what a
    refused source needs besides: its `findings`, and the `version` under which it is kept as a draft.
    """

    def __init__(
        self, code: str, message: str, hint: str | None = None, line: int | None = None, run_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.line = line
        self.run_id = run_id
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" {self.hint}" if self.hint else "")


def of_answer(
    error: dict[str, Any] | None, run_id: str | None = None, details: dict[str, Any] | None = None
) -> RepertoireCallError:
    """From the `error` of an answer, and what else the answer says."""
    error = error or {"message": "The call failed without saying why."}
    return RepertoireCallError(
        error.get("code", "error"), error["message"], error.get("hint"), error.get("line"), run_id, details
    )


def of_protocol(error: MCPError) -> RepertoireCallError:
    """From an error of the protocol: the daemon stopped, the tool is unknown, the connection ended."""
    data = error.data if isinstance(error.data, dict) else {}
    return RepertoireCallError("protocol_error", error.message, run_id=data.get("run_id"))
