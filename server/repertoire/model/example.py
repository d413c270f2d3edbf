"""Example: arguments of a workflow with the expected result; used by publishing. A workflow is published only when its examples hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from .workflow_version import Finding

Match = Literal["exact", "subset", "schema", "approx"]
"""exact: the same JSON. subset: objects may have more keys. schema: `expect` is a JSON Schema. approx: numbers within `tolerance`."""


class Mock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The answer to a call of the body in an example: the call is not made. `call` is the name of a workflow, or `ask`,
    `workflows.search`, `tools.github.create_issue` and the like. Without `arguments` it answers every such call."""

    call: str
    arguments: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    result: Any = msgspec.UNSET
    error: str | None = None


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One example. Without `expect` and `expect_error` the run must complete, with any result. `expect_error` is part of the error's type, code
    or message. `tolerance` is relative, and for values near zero absolute."""

    arguments: dict[str, Any] = {}
    expect: Any = msgspec.UNSET
    expect_error: str | None = None
    match: Match = "exact"
    tolerance: Annotated[float, msgspec.Meta(ge=0)] = 1e-6
    mocks: tuple[Mock, ...] = ()


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The examples of a version, and their outcome when they were last run."""

    examples: tuple[Example, ...] = ()
    passed: int = 0
    problems: tuple[Finding, ...] = ()
    at: float = 0.0

    @property
    def holds(self) -> bool:
        return self.passed == len(self.examples)

    def summary(self) -> dict[str, int]:
        """{passed, failed}, or {not_run} while the server may not run them yet."""
        if self.examples and not self.at:
            return {"not_run": len(self.examples)}
        return {"passed": self.passed, "failed": len(self.examples) - self.passed}
