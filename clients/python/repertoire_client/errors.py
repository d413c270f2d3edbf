"""What a call raises."""

from __future__ import annotations

from typing import Any

from mcp.shared.exceptions import MCPError


class RepertoireCallError(Exception):
    """A call that did not become a run, or a result that a run does not have.

    `code` is stable and made for programs (`unknown_workflow`, `name_taken`, `refused`, ...; `protocol_error` and `not_connected`
    are this client's own); `message` and `hint` are sentences; `line` is a line of the source that was sent. `run_id` names the
    run in question where there is one: after a lost connection `runs.get(error.run_id)` may still have it.
    """

    def __init__(
        self, code: str, message: str, hint: str | None = None, line: int | None = None, run_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.line = line
        self.run_id = run_id

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" {self.hint}" if self.hint else "")


def of_answer(error: dict[str, Any] | None, run_id: str | None = None) -> RepertoireCallError:
    """From the `error` of an answer."""
    error = error or {"message": "The call failed without saying why."}
    return RepertoireCallError(
        error.get("code", "error"), error["message"], error.get("hint"), error.get("line"), run_id
    )


def of_protocol(error: MCPError) -> RepertoireCallError:
    """From an error of the protocol: the daemon stopped, the tool is unknown, the connection ended."""
    data = error.data if isinstance(error.data, dict) else {}
    return RepertoireCallError("protocol_error", error.message, run_id=data.get("run_id"))
