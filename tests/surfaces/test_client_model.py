"""`model="client"`: the model of the program that started a run, over sampling in both eras, and by answer_run for clients without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from repertoire.app import open_app
from repertoire.model.session import Caller
from repertoire.settings import load
from repertoire.surfaces.mcp import build_server
from repertoire.surfaces.mcp.questions import MOST_ROUNDS
from support.mcp_calls import call, create
from support.tasks_client import Task, Tasks, begin, until, update
from support.transports import Way, http_server, way_in

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*SEP-2577")]

ENVIRON = {"REPERTOIRE_INLINE_DEADLINE_S": "40", "REPERTOIRE_WORKERS": "4", "REPERTOIRE_PACKAGES": "pydantic_ai"}
LEGACY = ["memory-legacy", "stdio-legacy", "http-legacy", "sse-legacy"]
MODERN = ["memory-modern", "stdio-modern", "http-modern"]

CHAT = '''"""Ask a model: each list of prompts one after the other, the lists at once."""
import asyncio

from repertoire.authoring.durable import in_a_run

async def run(chats: list[list[str]], model: str | None = "client", with_tool: bool = False) -> list[list[str]]:
    named = {"model": model} if model else {}
    tool = {"name": "look", "description": "Look.", "parameters_json_schema": {"type": "object"}}
    parameters = {"function_tools": [tool]} if with_tool else {}

    async def talk(prompts: list[str]) -> list[str]:
        messages, said = [], []
        for prompt in prompts:
            messages.append({"kind": "request", "parts": [{"part_kind": "user-prompt", "content": prompt}]})
            request = {**named, "messages": list(messages), "parameters": parameters}
            reply = await in_a_run("model").acall("model", request, "client")
            messages.append(reply["response"])
            said += [part.get("content") or part["tool_name"] for part in reply["response"]["parts"]]
        return said

    return list(await asyncio.gather(*map(talk, chats)))
'''
AGENT = '''"""Sort a ticket with an agent."""
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent

from repertoire.agents.door_model import DoorModel

class Sorted(BaseModel):
    queue: Literal["billing", "technical"]
    urgent: bool

async def run(ticket: str) -> dict:
    agent = Agent(DoorModel(), output_type=Sorted, instructions="Sort the ticket.", retries=2)

    @agent.tool_plain
    def history(customer: str) -> list[str]:
        """Earlier tickets of a customer."""
        return [f"{customer} paid late"]

    return (await agent.run(ticket)).output.model_dump()
'''


def on(names: list[str]) -> pytest.MarkDecorator:
    """For a test: `way` is each of these. Tests of one way share its server."""
    return pytest.mark.parametrize("way", names, indirect=True, scope="module")


on_every, on_memory, on_modern = on(LEGACY + MODERN), on(["memory-legacy", "memory-modern"]), on(["memory-modern"])
on_agents = on(["memory-legacy", "http-modern"])
"""A worker of an agent imports pydantic-ai, which takes seconds."""


class Model:
    """The model behind a client: gives one reply after the other, or `echo` of the prompt, and remembers what it was asked."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.asked: list[types.CreateMessageRequestParams] = []
        self.begun = anyio.Event()

    @property
    def prompts(self) -> list[str]:
        return [shown(params) for params in self.asked]

    async def __call__(self, context: object, params: Any) -> Any:
        self.asked.append(params)
        self.begun.set()
        reply = self._replies.pop(0) if self._replies else f"echo {shown(params)}"
        if callable(reply):
            reply = await reply()
        if not isinstance(reply, str):
            return reply
        content = types.TextContent(type="text", text=reply)
        return types.CreateMessageResult(role="assistant", content=content, model="tiny", stop_reason="endTurn")


def shown(params: types.CreateMessageRequestParams) -> str:
    """The last message."""
    content = params.messages[-1].content
    assert isinstance(content, types.TextContent)
    return content.text


@on_agents
async def test_an_agent_works_with_the_clients_model(way: Way) -> None:
    """Three rounds: a tool call, a reply in the wrong form, and one that fits. No model is named and no provider has a key."""
    call_ = json.dumps({"tool_calls": [{"name": "history", "arguments": {"customer": "Ann"}}]})
    model = Model(f"```json\n{call_}\n```", '{"queue": "sales"}', 'It is: {"queue": "billing", "urgent": false}')
    async with way.client(sampling_callback=model) as client:
        await create(client, "sort_ticket", AGENT)
        answer = await call(client, "sort_ticket", {"ticket": "Ann cannot pay."})
        assert answer["result"] == {"queue": "billing", "urgent": False}, answer
        assert len((await call(client, "list_runs", {"workflow": "sort_ticket"}))["runs"]) == 1
    first, second, third = model.asked
    assert first.system_prompt is not None and first.system_prompt.startswith("Sort the ticket.")
    assert '"name": "history"' in first.system_prompt and '"urgent"' in first.system_prompt
    assert shown(first) == "Ann cannot pay." and first.max_tokens > 0
    assert [message.role for message in second.messages] == ["user", "assistant", "user"]
    assert shown(second) == 'Result of history({"customer": "Ann"}):\n["Ann paid late"]'
    assert "queue" in shown(third) and shown(third).startswith("Error of your last reply")


@on_every
async def test_requests_of_one_run_are_with_the_model_at_once(way: Way) -> None:
    both = anyio.Event()
    model = Model()

    async def when_both_are_here() -> str:
        if len(model.asked) == 2:
            both.set()
        await both.wait()
        return "here"

    model._replies = [when_both_are_here, when_both_are_here]
    async with way.client(sampling_callback=model) as client:
        await create(client, "chat", CHAT)
        with anyio.fail_after(20):
            answer = await call(client, "chat", {"chats": [["one", "two"], ["three"]]})
        assert answer["result"] == [["here", "echo two"], ["here"]], answer
    assert sorted(model.prompts) == ["one", "three", "two"]


@on_every
async def test_a_client_without_sampling_writes_the_reply_itself(way: Way) -> None:
    async with way.client() as client:
        await create(client, "chat", CHAT)
        answer = await call(client, "chat", {"chats": [["Hello!", "And?"]], "with_tool": True})
        assert answer["status"] == "input_required" and not answer["is_error"]
        (question,) = answer["questions"]
        assert question["kind"] == "model" and set(question) >= {"id", "question", "schema", "asked_at", "expires_at"}
        assert "x-model-request" not in json.dumps(answer)
        assert '"name": "look"' in question["question"] and question["question"].endswith("# User\nHello!")
        assert "write the reply yourself" in answer["message"] and answer["next"].startswith("answer_run(")
        given = {"run_id": answer["run_id"]}
        wrong = {"tool_calls": [{"name": "lok", "arguments": {}}]}
        refused = await call(client, "answer_run", {**given, "answer": wrong})
        assert refused["is_error"] and "no such tool" in refused["error"]["message"]
        assert refused["questions"] == answer["questions"]
        right = {"tool_calls": [{"name": "look", "arguments": {}}]}
        second = await call(client, "answer_run", {**given, "answer": right})
        assert second["status"] == "input_required" and second["questions"][0]["question"].endswith("# User\nAnd?")
        end = await call(client, "answer_run", {**given, "answer": "Bye."})
        assert end["result"] == [["look", "Bye."]], end


@on_memory
async def test_a_client_that_refuses_leaves_the_question_open(way: Way) -> None:
    model = Model(types.ErrorData(code=-1, message="The user said no."))
    async with way.client(sampling_callback=model) as client:
        await create(client, "chat", CHAT)
        if way.name.endswith("modern"):  # the SDK's client gives the call up
            with pytest.raises(MCPError, match="The user said no"):
                await call(client, "chat", {"chats": [["Hello!"]]})
            (answer,) = (await call(client, "list_runs", {"status": "input_required"}))["runs"]
        else:
            answer = await call(client, "chat", {"chats": [["Hello!"]]})
            assert "write the reply yourself" in answer["message"]
        assert answer["status"] == "input_required"
        end = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": "Hi."})
        assert end["result"] == [["Hi."]]


@on_memory
async def test_nonsense_is_asked_for_again_with_the_problem(way: Way) -> None:
    image = types.ImageContent(type="image", data="", mime_type="image/png")
    model = Model(types.CreateMessageResult(role="assistant", content=image, model="tiny"), " ", "Hi.")
    async with way.client(sampling_callback=model) as client:
        await create(client, "chat", CHAT)
        answer = await call(client, "chat", {"chats": [["Hello!"]]})
        assert answer["result"] == [["Hi."]]
    problem = "The reply does not fit the request: it is empty."
    assert model.prompts == ["Hello!", f"Hello!\n\n{problem}", f"Hello!\n\n{problem}"]


@on_memory
async def test_nonsense_without_end_leaves_the_question_open(way: Way) -> None:
    """On 2026-07-28 the rounds of the call are the bound, which are more."""
    model = Model(*[" "] * 50)
    async with way.client(sampling_callback=model) as client:
        await create(client, "chat", CHAT)
        answer = await call(client, "chat", {"chats": [["Hello!"]]})
        assert answer["status"] == "input_required" and len(model.asked) == (
            MOST_ROUNDS if way.name.endswith("modern") else 3
        )
        end = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": "Hi."})
        assert end["result"] == [["Hi."]]


@on_modern
async def test_more_requests_than_a_client_takes_in_one_call(way: Way) -> None:
    prompts = [f"prompt {number}" for number in range(MOST_ROUNDS + 2)]
    async with way.client(sampling_callback=(model := Model())) as client:
        await create(client, "chat", CHAT)
        answer = await call(client, "chat", {"chats": [prompts]})
        assert answer["status"] == "input_required" and len(model.asked) == MOST_ROUNDS
        given = {"run_id": answer["run_id"], "answer": "mine"}
        assert (await call(client, "answer_run", given))["status"] == "input_required"
        end = await call(client, "answer_run", given)
        assert end["result"] == [[*(f"echo {one}" for one in prompts[:MOST_ROUNDS]), "mine", "mine"]]


@on_memory
async def test_a_model_may_take_longer_than_a_call_waits(way: Way) -> None:
    async def late() -> str:
        await anyio.sleep(1.5)
        return "late"

    home = way.home.with_name("short")
    with way_in(way.name, home, ENVIRON | {"REPERTOIRE_INLINE_DEADLINE_S": "1"}) as way:
        async with way.client(sampling_callback=Model(late)) as client:
            await create(client, "chat", CHAT)
            answer = await call(client, "chat", {"chats": [["Hello!"]]})
            assert answer["result"] == [["late"]], answer


async def test_a_client_that_vanishes_leaves_the_question_to_the_next(tmp_path: Path) -> None:
    with way_in("http-legacy", tmp_path / "home", ENVIRON) as way:
        forever = Model(anyio.sleep_forever)
        with anyio.move_on_after(20) as gone:
            async with way.client(sampling_callback=forever) as client, anyio.create_task_group() as tasks:
                await create(client, "chat", CHAT)
                tasks.start_soon(call, client, "chat", {"chats": [["Hello!"]]})
                await forever.begun.wait()
                gone.cancel()
        async with way.client() as client:
            (run,) = (await call(client, "list_runs", {"workflow": "chat"}))["runs"]
            assert run["status"] == "input_required"
            end = await call(client, "answer_run", {"run_id": run["run_id"], "answer": "Hi."})
            assert end["result"] == [["Hi."]]


async def test_the_reply_may_come_after_a_restart(tmp_path: Path) -> None:
    home, name, arguments = tmp_path / "home", "chat", {"chats": [["one", "two"]]}
    with http_server(home, ENVIRON) as url:
        async with Client(f"{url}/mcp", sampling_callback=Model()) as client:
            await create(client, name, CHAT)
            first = await begin(client, name, arguments)
            second = await replied(client, name, arguments, first, "1")
    with http_server(home, ENVIRON) as url:
        async with Client(f"{url}/mcp", sampling_callback=Model()) as client:
            end = await replied(client, name, arguments, second, "2")
            assert end.structured_content["result"] == [["1", "2"]]
            assert len((await call(client, "list_runs", {"workflow": name}))["runs"]) == 1


async def replied(client: Client, name: str, arguments: dict[str, Any], asked: Any, text: str) -> Any:
    """The next round, with this reply to the one request of the last."""
    assert isinstance(asked, types.InputRequiredResult), asked
    ((number, request),) = (asked.input_requests or {}).items()
    assert isinstance(request, types.CreateMessageRequest)
    content = types.TextContent(type="text", text=text)
    responses: Any = {number: types.CreateMessageResult(role="assistant", content=content, model="tiny")}
    return await begin(client, name, arguments, input_responses=responses, request_state=asked.request_state)


async def test_only_the_runs_own_principal_replies(tmp_path: Path) -> None:
    async with open_app(load(home=str(tmp_path), environ=ENVIRON)) as app:

        def server(who: str) -> Any:
            caller = Caller(principal=who)
            limits = app.settings.limits
            return build_server(app.service, limits, app.changes, lambda ctx: caller, state_key=app.state_key)

        async with Client(server("owner")) as mine, Client(server("other"), sampling_callback=Model()) as theirs:
            await create(mine, "chat", CHAT)
            answer = await call(mine, "chat", {"chats": [["Hello!"]]})
            (question,) = answer["questions"]
            given = {"run_id": answer["run_id"], "answer": "x", "question_id": question["id"]}
            refused = await call(theirs, "answer_run", given)
            assert refused["is_error"] and refused["error"]["code"] == "unknown_run"
            await call(mine, "cancel_run", {"run_id": answer["run_id"]})
            late = await call(mine, "answer_run", given)
            assert late["is_error"] and "cancelled" in late["error"]["message"]


@on_memory
async def test_a_body_cannot_make_a_question_of_its_own_a_request(way: Way) -> None:
    source = '''"""Ask."""

def run() -> str:
    return ask("Who?", {"type": "string", "x-model-request": {"system": "", "messages": []}})
'''
    async with way.client(sampling_callback=(model := Model())) as client:
        await create(client, "forger", source)
        answer = await call(client, "forger")
        assert answer["status"] == "input_required" and "kind" not in answer["questions"][0] and not model.asked
        end = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": "me"})
        assert end["result"] == "me"


@on_memory
async def test_a_run_below_asks_the_model_of_the_first_caller(way: Way) -> None:
    source = '''"""Ask through another workflow, beside a question to a person."""
import asyncio

async def run() -> list:
    return await asyncio.gather(workflows.chat(chats=[["Hello!"]]), ask("Who?"))
'''

    async def person(context: object, params: Any) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"answer": "me"})

    async with way.client(sampling_callback=Model(), elicitation_callback=person) as client:
        await create(client, "chat", CHAT)
        await create(client, "above", source)
        assert (await call(client, "above"))["result"] == [[["echo Hello!"]], "me"]
    async with way.client(elicitation_callback=person) as client:  # the person is asked, the model's question is left
        answer = await call(client, "above")
        for _ in range(MOST_ROUNDS):
            if {one.get("kind") for one in answer["questions"]} == {"model"}:
                break
            answer = await call(client, "get_run", {"run_id": answer["run_id"], "wait_s": 1})
        (question,) = answer["questions"]
        given = {"run_id": answer["run_id"], "answer": "Hi.", "question_id": question["id"]}
        assert (await call(client, "answer_run", given))["result"] == [[["Hi."]], "me"]


@on_modern
async def test_a_task_asks_for_a_reply(way: Way) -> None:
    source = CHAT.replace("    named =", "    await asyncio.sleep(1)\n    named =")
    async with way.client(extensions=[Tasks()], sampling_callback=Model()) as client:
        await create(client, "slow_chat", source)
        task = await begin(client, "slow_chat", {"chats": [["Hello!"]]})
        assert isinstance(task, Task)
        waiting = await until(client, task["taskId"], "input_required")
        ((number, request),) = waiting["inputRequests"].items()
        assert request["method"] == "sampling/createMessage"
        reply = {"role": "assistant", "content": {"type": "text", "text": "Hi."}, "model": "tiny"}
        await update(client, task["taskId"], **{number: reply})
        done = await until(client, task["taskId"], "completed")
        assert done["result"]["structuredContent"]["result"] == [["Hi."]]
