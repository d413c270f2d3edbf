"""Failures: the errors of an agent's run that are the model's or the tools' doing. Used by `agent_run`; bodies may catch them.

A refusal of the platform is not one of them: `ambient.note_refusal` has that, and no body can hide it.
"""

from __future__ import annotations


class AgentError(RuntimeError):
    """An agent's run ended without an answer."""


class ReplyMismatch(AgentError):
    """The model's reply was not what `response_model` says, also after corrections. `reply` is its last one."""

    def __init__(self, message: str, reply: str = "") -> None:
        super().__init__(message)
        self.reply = reply


class EndlessLoop(AgentError):
    """The model asked for tools again and again, and gave no answer."""
