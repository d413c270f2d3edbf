"""TrustRules: what may be created, run and called, by the trust of versions and the setting `authoring`; used by the service, app gives
its check to the runner.

1. A version is trusted if it is the operator's, or if a person has approved this very text. Anything else is untrusted.
2. Under `approval` nothing of an untrusted version is loaded or run. Under `sandboxed` it runs in the sandbox. `off` refuses new ones;
   those that exist run where the sandbox is real. Without a setting, a simple one may run in pydantic-monty where there is no sandbox.
3. A trusted run calls trusted versions only: it would hand its arguments to code that nobody has read, and believe the answer.
4. An untrusted run calls untrusted versions, and of the trusted ones those that say `callable_by_untrusted` or that the setting
   `untrusted_workflows` names.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from fnmatch import fnmatchcase
from typing import Final, Literal

from ..engine.interpreted import Interpreted
from ..errors import NotApproved, Refused, WorkflowNotAllowed
from ..model.workflow_version import WorkflowVersion
from ..sandbox.layers import NOT_A_BOUNDARY, Isolation
from ..settings import Settings

logger = logging.getLogger(__name__)

Authoring = Literal["off", "sandboxed", "approval"]
TRUSTED: Final = "none: trusted, with the files and the network of the server's user"
INTERPRETED: Final = "interpreted: pydantic-monty, which reaches no file, network or process"


class TrustRules:
    def __init__(
        self, settings: Settings, isolation: Callable[[], Awaitable[Isolation]], interpreted: Interpreted
    ) -> None:
        """`isolation` gives the walls around untrusted runs here. The first call starts the process that builds them; it raises OSError."""
        self._settings = settings
        self._isolation = isolation
        self._interpreted = interpreted

    async def authoring(self) -> Authoring:
        return self._settings.authoring or ("sandboxed" if await self._is_isolated() else "approval")

    def check_authoring(self, what: str) -> None:
        """Raises Refused where clients may not do this."""
        if self._settings.authoring == "off":
            raise Refused(f"This server does not let clients {what}.", code="authoring_off")

    async def check_code(self) -> None:
        """Raises Refused where clients may not run code that has no name."""
        self.check_authoring("run code of their own")
        if not self._interpreted.is_there and await self.authoring() == "approval":
            raise Refused(
                "This server runs only what a person has approved.",
                "Create it as a workflow with create_workflow: it is kept as a draft, and a person can approve that.",
                code="approval_required",
            )

    async def may_run(self, version: WorkflowVersion) -> bool:
        if version.is_trusted or self._settings.authoring == "sandboxed":
            return True
        if self._settings.authoring == "" and self._interpreted.could_take(version):
            return True
        return self._settings.authoring != "approval" and await self._is_isolated()

    async def waits_else(self, version: WorkflowVersion) -> bool:
        """True for a version that would wait for approval if the interpreter could not run it."""
        simple = self._settings.authoring == "" and self._interpreted.could_take(version)
        return simple and not await self._is_isolated()

    async def isolation_of(self, version: WorkflowVersion) -> str:
        """What stands around the version's runs, in one short text."""
        if version.is_trusted:
            return TRUSTED
        if await self._interpreted.takes(version):
            return INTERPRETED
        try:
            return (await self._isolation()).label
        except OSError:
            return f"none: {NOT_A_BOUNDARY}"

    async def check_may_run(self, version: WorkflowVersion) -> None:
        """Raises NotApproved."""
        if not await self.may_run(version):
            raise NotApproved(
                f"This server runs only what a person has approved, and {version.name} {version.short} waits for that.",
                "Code that is run once cannot be approved: create it as a workflow, and a person approves that."
                if version.is_unnamed
                else f"Ask a person for: repertoire approve {version.name} {version.short}",
            )

    async def _is_isolated(self) -> bool:
        try:
            return (await self._isolation()).is_real
        except OSError:
            logger.exception("starting a process for untrusted code")
            return False

    def check_may_call(self, caller: WorkflowVersion, callee: WorkflowVersion) -> None:
        """Raises WorkflowNotAllowed."""
        if not self.may_call(caller, callee):
            raise WorkflowNotAllowed(*refusal_of_call(caller, callee))

    def may_call(self, caller: WorkflowVersion, callee: WorkflowVersion) -> bool:
        return may_call(caller, callee, self._settings.untrusted_workflows)


def may_call(caller: WorkflowVersion, callee: WorkflowVersion, untrusted_workflows: Collection[str]) -> bool:
    """Whether a run of the caller may call a workflow that is this version."""
    if caller.is_trusted:
        return callee.is_trusted
    if not callee.is_trusted or callee.options.callable_by_untrusted:
        return True
    return any(fnmatchcase(callee.name, one) for one in untrusted_workflows)


def refusal_of_call(caller: WorkflowVersion, callee: WorkflowVersion) -> tuple[str, str]:
    """The sentence, and what to do about it."""
    if caller.is_trusted:
        return (
            f"{caller.name} may not call {callee.name}: it came through a tool, and nobody has approved its version {callee.short}.",
            f"Ask a person for: repertoire approve {callee.name} {callee.short}",
        )
    approve = "" if caller.is_unnamed else f", or approves the caller: repertoire approve {caller.name} {caller.short}"
    return (
        f"{caller.name} may not call {callee.name}: it came through a tool, and such code may call only trusted workflows that allow it.",
        f'The operator writes __workflow__ = {{"callable_by_untrusted": True}} into it, or lists it in untrusted_workflows{approve}.',
    )
