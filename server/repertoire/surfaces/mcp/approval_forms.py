"""Approval forms: asks the person behind the client to approve a version that was refused for want of it; used by call_tool.py.

2025-11-25: a form while the call stays open. 2026-07-28: the call is answered with InputRequiredResult, and the client repeats it. The SDK
seals the state that comes back with it and binds it to the tool and its arguments, so the hash in it is of the text that was shown.

A client that shows no forms gets the refusal, which names the command. Not questions of runs: questions.py puts those.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from ...errors import Refused
from ...model.session import Caller
from ...service import Service
from ..shutdown import Shutdown
from .call_results import ToolResult, answer_with
from .elicitation_forms import Form, form_of
from .sdk_adapter import Context, can_fill_forms, is_modern

logger = logging.getLogger(__name__)

_APPROVE: Final = "approve: it runs with my rights"
_REFUSE: Final = "do not approve"
_ASKING: Final = ("create_workflow", "publish_workflow")
_STATE: Final = "approve "
_ID: Final = "approval"
_ABOUT: Final = "Code of an agent asks to be trusted. Read it: approved code has your files and your network.\n\n"


class ApprovalForms:
    def __init__(self, service: Service, ending: Shutdown) -> None:
        self._service = service
        self._ending = ending

    async def answer(
        self,
        ctx: Context,
        caller: Caller,
        params: types.CallToolRequestParams,
        given: Mapping[str, Any],
        make: Callable[[], Awaitable[ToolResult]],
    ) -> ToolResult:
        """The answer of a fixed tool's call, which `make` makes. `given` are its arguments."""
        if params.name not in _ASKING:
            return await make()
        name, state = str(given["name"]), params.request_state or ""
        if is_modern(ctx) and state.startswith(_STATE):
            response = (params.input_responses or {}).get(_ID)
            return await self._settle(caller, name, state.removeprefix(_STATE), response)
        try:
            return await make()
        except Refused as refused:
            if (asked := await self._ask(ctx, caller, name, refused)) is not None:
                return asked
            raise

    async def _ask(self, ctx: Context, caller: Caller, name: str, refused: Refused) -> ToolResult | None:
        """None: this refusal is about something else, or this client cannot ask."""
        if refused.reason != "approval_required" or "version" not in refused.details or not can_fill_forms(ctx):
            return None
        asked = await self._service.approvals.question(caller, name, refused.details["version"])
        if asked is None:
            return None
        text, hash = asked
        if is_modern(ctx):
            params = {"mode": "form", "message": _ABOUT + text, "requestedSchema": _form().schema}
            requests = {_ID: {"method": "elicitation/create", "params": params}}
            return {"resultType": "input_required", "inputRequests": requests, "requestState": _STATE + hash}
        response: types.ElicitResult | None = None
        try:
            with self._ending.scope():
                response = await ctx.session.elicit_form(_ABOUT + text, _form().schema, ctx.request_id)
        except (MCPError, ValidationError) as error:
            logger.info("the client could not ask for an approval of %s: %s", name, error)
        return None if response is None else await self._settle(caller, name, hash, response)

    async def _settle(self, caller: Caller, name: str, hash: str, response: Any) -> ToolResult:
        """Raises Refused where the person did not agree, or the version cannot be published."""
        accepted = isinstance(response, types.ElicitResult) and response.action == "accept"
        if not accepted or _form().answer(response.content) != _APPROVE:
            raise Refused(
                f"A person did not approve {name} {hash[:12]}.",
                "It is kept as a draft. Ask what to do instead.",
                code="approval_required",
            )
        return answer_with(await self._service.approvals.approve(caller, name, hash, "form"))


def _form() -> Form:
    form = form_of({"type": "string", "enum": [_REFUSE, _APPROVE]})
    assert form is not None
    return form
