"""Team: several agents under a leader, which is a model too. `mode` says how they work together. Used by workflow files and scripts.

- `coordinate`, the default: the leader gives tasks to members, as often as it wants, and writes the answer from theirs.
- `route`: the leader gives the whole message to one member, whose answer is the team's.
- `collaborate`: all members get the task at the same time, and the leader writes one answer from theirs.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..classes.events import TeamRunResponse
from ..classes.response import RunResponse
from . import agent_run, options, responses, tools
from .agent import Agent

if TYPE_CHECKING:
    from pydantic_ai import RunContext

MODES: Final = ("coordinate", "route", "collaborate")
_HOW: Final = {
    "coordinate": "Give a task to the member that fits it best, with transfer_task_to_member. Give as many tasks as you need. "
    "Then answer the user yourself, from what the members have said.",
    "route": "Give the user's message to the member that fits it best, with forward_task_to_member. Its answer goes to the user.",
    "collaborate": "Give the task to all members with run_member_agents. Then write one answer from what they have said.",
}


class Team(Agent):
    """Several agents, its `members`. The other options are those of an agent, and are the leader's."""

    _fields: ClassVar[frozenset[str]] = options.names(of_team=True)
    response_kind: ClassVar[type[RunResponse]] = TeamRunResponse

    def __init__(self, members: Sequence[Any] | None = None, **given: Any) -> None:
        mode = given.pop("mode", None) or MODES[0]
        if mode not in MODES:
            raise ValueError(f"Team(mode={mode!r}): there are {', '.join(MODES)}")
        super().__init__(members=members, mode=mode, **given)

    @property
    def chosen_model(self) -> Any:
        """The leader's model: the team's own, else the first member's."""
        if self.model is not None:
            return self.model
        return next((one.chosen_model for one in self.members or () if one.chosen_model is not None), None)

    def mode_key(self) -> Any:
        return self.mode, [id(one) for one in self.members or ()]

    def sections(self) -> Sequence[str]:
        shown = "\n".join(_described(name, one) for name, one in self._by_id().items())
        return [
            *super().sections(),
            f"<how_to_work>\n{_HOW[self.mode]}\n</how_to_work>",
            f"<members>\n{shown}\n</members>",
        ]

    def output_type(self) -> Any:
        from pydantic_ai import ToolOutput

        own = super().output_type()
        if self.mode != "route":
            return own
        given = _renamed(self._forward, "forward_task_to_member")
        return [ToolOutput(given, name="forward_task_to_member"), *(own if isinstance(own, list) else [own])]

    def own_tools(self) -> Sequence[Callable[..., Any]]:
        if self.mode == "coordinate":
            return [_renamed(self._transfer, "transfer_task_to_member")]
        return [_renamed(self._run_all, "run_member_agents")] if self.mode == "collaborate" else []

    async def _transfer(self, ctx: RunContext[Any], member_id: str, task: str, expected_output: str = "") -> str:
        """Give a task to one member and get its answer.

        Args:
            member_id: The member.
            task: The whole task. The member sees nothing else.
            expected_output: What the answer should look like.
        """
        member = self._by_id().get(member_id)
        if member is None:
            return self._unknown(member_id)

        async def perform() -> str:
            return responses.text_of((await self._ask(ctx.deps, member, task, expected_output)).content)

        return await ctx.deps.call_tool(perform)  # type: ignore[no-any-return]  # of an AgentRun

    async def _forward(self, ctx: RunContext[Any], member_id: str, expected_output: str = "") -> Any:
        """Give the user's message to one member, whose answer is the final one.

        Args:
            member_id: The member.
            expected_output: What the answer should look like.
        """
        from pydantic_ai import ModelRetry

        member = self._by_id().get(member_id)
        if member is None:
            raise ModelRetry(self._unknown(member_id))
        return (await self._ask(ctx.deps, member, ctx.prompt, expected_output)).content

    async def _run_all(self, ctx: RunContext[Any], task: str) -> str:
        """Give the task to all members at the same time, and get all answers.

        Args:
            task: The whole task. The members see nothing else.
        """
        members = self._by_id()

        async def perform(member: Any) -> str:
            return responses.text_of((await self._ask(ctx.deps, member, task, "")).content)

        told = await asyncio.gather(*(tools.told_to_model(partial(perform, one)) for one in members.values()))
        return "\n\n".join(f"{name}: {text}" for name, text in zip(members, told, strict=True))

    async def _ask(self, run: Any, member: Any, task: Any, expected_output: str) -> RunResponse:
        message = str(task)
        if expected_output:
            message += f"\n\n<expected_output>\n{expected_output}\n</expected_output>"
        if self.share_member_interactions and run.member_responses:
            said = "\n".join(f"{one.agent_name}: {responses.text_of(one.content)}" for one in run.member_responses)
            message += f"\n\n<other_members>\n{said}\n</other_members>"
        response = await agent_run.AgentRun(member, message, run.outlet, session_id=run.session_id).perform()
        member.run_response = response
        run.member_responses.append(response)
        return response

    def _by_id(self) -> dict[str, Any]:
        """The members by id. Two with the same name get numbers."""
        found: dict[str, Any] = {}
        for member in self.members or ():
            name, number = member.member_id, 2
            while name in found:
                name, number = f"{member.member_id}_{number}", number + 1
            found[name] = member
        return found

    def _unknown(self, member_id: str) -> str:
        return f"Error: there is no member {member_id!r}. There are {', '.join(self._by_id())}."


def _renamed(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function for the method, with the name that the model sees."""
    from pydantic_ai import RunContext

    async def call(ctx: RunContext[Any], /, *args: Any, **kwargs: Any) -> Any:
        return await method(ctx, *args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = method.__doc__
    vars(call)["__signature__"] = inspect.signature(method)
    call.__annotations__ = {**inspect.get_annotations(method), "ctx": RunContext[Any]}
    return call


def _described(name: str, member: Any) -> str:
    lines = [f"- member_id: {name}"]
    told = {"role": member.role, "description": member.description, "tools": ", ".join(tools.names_of(member))}
    lines += [f"  {what}: {text}" for what, text in told.items() if text]
    if isinstance(member, Team):
        lines.append(f"  a team of: {', '.join(member._by_id())}")
    return "\n".join(lines)
