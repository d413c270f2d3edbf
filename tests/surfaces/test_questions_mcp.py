"""What a run asks, put to the person behind an MCP client: elicitation, multi-round-trip, tasks/update, and answer_run for all others."""

from __future__ import annotations

import asyncio
import os
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
from repertoire.surfaces.mcp.state_key import state_key
from support.mcp_calls import call, create, eventually
from support.tasks_client import Task, Tasks, begin, listening, until, update
from support.transports import Way, http_server

pytestmark = pytest.mark.anyio

ENVIRON = {"REPERTOIRE_INLINE_DEADLINE_S": "3", "REPERTOIRE_WORKERS": "4"}
LEGACY = ["memory-legacy", "stdio-legacy", "http-legacy", "sse-legacy"]
MODERN = ["memory-modern", "stdio-modern", "http-modern"]

ORDER = '''"""Order something, after asking how many."""
from repertoire import ask

def run(title: str) -> str:
    copies = ask(f"How many of {title}?", {"type": "integer", "minimum": 1, "multipleOf": 2})
    return f"{copies} of {title}"
'''
TWO = '''"""Ask two things at once."""
import asyncio

from repertoire import ask

async def run(wait_s: float = 0) -> dict[str, str]:
    await asyncio.sleep(wait_s)
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "kind": {"type": "string", "enum": ["cat", "dog"]}},
        "required": ["name"],
    }
    first, second = await asyncio.gather(ask("The first?", schema), ask("The second?", schema))
    return {first["name"]: first.get("kind", "none"), second["name"]: second.get("kind", "none")}
'''
NO_FORM = '''"""Ask for what no form can hold."""
from repertoire import ask

def run() -> int:
    rows = ask("Which rows?", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}})
    return len(rows)
'''


def on(names: list[str]) -> pytest.MarkDecorator:
    """For a test: `way` is each of these. Tests of one way share its server."""
    return pytest.mark.parametrize("way", names, indirect=True, scope="module")


on_legacy, on_modern, on_every = on(LEGACY), on(MODERN), on(LEGACY + MODERN)


class Person:
    """The user behind a client: gives one answer after the other to what is shown, and remembers it."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.shown: list[types.ElicitRequestFormParams] = []
        self.asked = anyio.Event()

    async def __call__(self, context: object, params: Any) -> types.ElicitResult:
        self.shown.append(params)
        self.asked.set()
        answer = self._answers.pop(0)
        if isinstance(answer, anyio.Event):
            await answer.wait()
            answer = "cancel"
        if isinstance(answer, str):
            return types.ElicitResult(action=answer)  # type: ignore[arg-type]  # decline or cancel
        return types.ElicitResult(action="accept", content=answer)


async def runs_of_tool(client: Client, workflow: str) -> list[str]:
    return [run["run_id"] for run in (await call(client, "list_runs", {"workflow": workflow}))["runs"]]


async def ended(client: Client, run_id: str) -> dict[str, Any]:
    return await call(client, "get_run", {"run_id": run_id, "wait_s": 3})


@on_every
async def test_a_person_is_asked_while_the_call_waits(way: Way) -> None:
    """On 2025-11-25 by a request of the server, on 2026-07-28 in a second round: the SDK's client shows both alike."""
    person = Person({"answer": 4})
    async with way.client(elicitation_callback=person) as client:
        await create(client, "order", ORDER)
        answer = await call(client, "order", {"title": "Dune"})
        assert answer["status"] == "completed" and answer["result"] == "4 of Dune"
        assert [shown.message for shown in person.shown] == ["How many of Dune?"]
        assert person.shown[0].requested_schema == {
            "type": "object", "properties": {"answer": {"type": "integer", "minimum": 1}}, "required": ["answer"],
        }  # fmt: skip
        assert (await runs_of_tool(client, "order"))[:1] == [answer["run_id"]]


@on_modern
async def test_both_rounds_are_one_run(way: Way) -> None:
    async with way.client(elicitation_callback=Person({"answer": 2})) as client:
        await create(client, "order_once", ORDER)
        answer = await call(client, "run_workflow", {"name": "order_once", "arguments": {"title": "It"}})
        assert answer["result"] == "2 of It"
        assert await runs_of_tool(client, "order_once") == [answer["run_id"]]


@on_every
async def test_an_answer_that_does_not_fit_is_asked_for_again(way: Way) -> None:
    person = Person({"answer": 3}, {"answer": 6})
    async with way.client(elicitation_callback=person) as client:
        await create(client, "order", ORDER)
        answer = await call(client, "order", {"title": "Emma"})
        assert answer["result"] == "6 of Emma" and len(person.shown) == 2
        assert person.shown[1].message != person.shown[0].message and "How many of Emma?" in person.shown[1].message


@pytest.mark.parametrize("refusal", ["decline", "cancel"])
@on_every
async def test_who_declines_leaves_the_question_open(way: Way, refusal: str) -> None:
    async with way.client(elicitation_callback=Person(refusal)) as client:
        await create(client, "order", ORDER)
        answer = await call(client, "order", {"title": "Ulysses"})
        await is_open(client, answer, "How many of Ulysses?")
        answered = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": 8})
        assert not answered["is_error"] and answered["run_id"] == answer["run_id"]
        assert (await ended(client, answer["run_id"]))["result"] == "8 of Ulysses"


async def is_open(client: Client, answer: dict[str, Any], question: str) -> None:
    assert answer["status"] == "input_required" and answer["result"] is None and not answer["is_error"]
    (asked,) = answer["questions"]
    assert asked["question"] == question and set(asked) >= {"id", "question", "schema", "asked_at", "expires_at"}
    assert "answer_run(run_id, answer)" in answer["message"]
    seen = await call(client, "get_run", {"run_id": answer["run_id"]})
    assert seen["status"] == "input_required" and seen["questions"] == answer["questions"]

    async def listed() -> bool:
        waiting = await call(client, "list_runs", {"status": "input_required"})
        return answer["run_id"] in [run["run_id"] for run in waiting["runs"]]

    await eventually(listed)  # as soon as it is parked


@on_every
async def test_a_client_that_cannot_ask_gets_the_question_as_data(way: Way) -> None:
    async with way.client() as client:
        await create(client, "order", ORDER)
        answer = await call(client, "order", {"title": "Faust"})
        await is_open(client, answer, "How many of Faust?")
        (question,) = answer["questions"]
        refused = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": "many"})
        assert refused["is_error"] and refused["error"]["code"] == "invalid_arguments"
        given = {"run_id": answer["run_id"], "answer": 10, "question_id": question["id"]}
        assert not (await call(client, "answer_run", given))["is_error"]
        assert (await ended(client, answer["run_id"]))["result"] == "10 of Faust"
        again = await call(client, "answer_run", given)
        assert again["is_error"] and again["error"]["code"] == "invalid_arguments"
        unknown = await call(client, "answer_run", {"run_id": "workflow:order:nobody", "answer": 2})
        assert unknown["is_error"] and unknown["error"]["code"] == "unknown_run"


@on_every
async def test_several_questions_at_once(way: Way) -> None:
    person = Person({"name": "Tom", "kind": "cat"}, {"name": "Rex"})
    async with way.client(elicitation_callback=person) as client:
        await create(client, "two", TWO)
        answer = await call(client, "two")
        assert sorted(shown.message for shown in person.shown) == ["The first?", "The second?"]
        assert person.shown[0].requested_schema["properties"]["kind"] == {"type": "string", "enum": ["cat", "dog"]}
        assert answer["result"] == {"Tom": "cat", "Rex": "none"}


@on_every
async def test_several_questions_are_answered_by_their_ids(way: Way) -> None:
    async with way.client() as client:
        await create(client, "two", TWO)
        answer = await call(client, "two")
        first, second = answer["questions"]
        assert "question_id" in answer["message"]
        unclear = await call(client, "answer_run", {"run_id": answer["run_id"], "answer": {"name": "Tom"}})
        assert unclear["is_error"] and unclear["error"]["code"] == "invalid_arguments"
        given = {"run_id": answer["run_id"], "answer": {"name": "Tom"}, "question_id": first["id"]}
        left = await call(client, "answer_run", given)
        assert left["status"] == "input_required" and left["questions"] == [second]
        await call(client, "answer_run", {"run_id": answer["run_id"], "answer": {"name": "Rex"}})
        assert (await ended(client, answer["run_id"]))["result"] == {"Tom": "none", "Rex": "none"}


@on_every
async def test_what_fits_into_no_form_is_answered_with_answer_run(way: Way) -> None:
    person = Person()
    async with way.client(elicitation_callback=person) as client:
        await create(client, "rows", NO_FORM)
        answer = await call(client, "rows")
        await is_open(client, answer, "Which rows?")
        assert person.shown == []
        await call(client, "answer_run", {"run_id": answer["run_id"], "answer": [[1], [2, 3]]})
        assert (await ended(client, answer["run_id"]))["result"] == 2


@on_legacy
async def test_a_question_that_was_answered_elsewhere_does_not_hold_up_the_call(way: Way) -> None:
    forever = anyio.Event()
    person = Person(forever)
    async with way.client(elicitation_callback=person) as client:
        await create(client, "shared_question", ORDER)
        answers: list[dict[str, Any]] = []

        async def order() -> None:
            answers.append(await call(client, "shared_question", {"title": "Dracula"}))

        async with anyio.create_task_group() as group:
            group.start_soon(order)
            with anyio.fail_after(10):
                await person.asked.wait()
            (run_id,) = await runs_of_tool(client, "shared_question")
            await call(client, "answer_run", {"run_id": run_id, "answer": 2})
        assert answers[0]["result"] == "2 of Dracula"
        forever.set()


async def asked(client: Client, name: str, **arguments: Any) -> types.InputRequiredResult:
    """The first round, left to the test."""
    answer = await begin(client, name, arguments)
    assert isinstance(answer, types.InputRequiredResult), answer
    assert answer.request_state is not None and answer.input_requests
    return answer


@on_modern
async def test_the_state_is_bound_to_the_call_and_cannot_be_changed(way: Way) -> None:
    async with way.client(elicitation_callback=Person()) as client:
        await create(client, "order", ORDER)
        first = await asked(client, "order", title="Emil")
        assert first.request_state is not None and "workflow" not in first.request_state
        (number,) = first.input_requests or {}
        responses: Any = {number: types.ElicitResult(action="accept", content={"answer": 2})}
        wrong = [
            ({"title": "Emil"}, first.request_state[:-2] + "AA"),
            ({"title": "Emil"}, "workflow:order:01ARZ3NDEKTSV4RRFFQ69G5FAV"),
            ({"title": "Another"}, first.request_state),
        ]
        for arguments, state in wrong:
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await begin(client, "order", arguments, input_responses=responses, request_state=state)
        echoed: dict[str, Any] = {"input_responses": responses, "request_state": first.request_state}
        right = await begin(client, "order", {"title": "Emil"}, **echoed)
        assert right.structured_content["result"] == "2 of Emil"
        again = await begin(client, "order", {"title": "Emil"}, **echoed)
        assert again.structured_content == right.structured_content  # the same run, which has ended


async def test_the_state_of_somebody_else_is_refused(tmp_path: Path) -> None:
    async with open_app(load(home=str(tmp_path), environ=ENVIRON)) as app:

        def server(who: str) -> Any:
            caller = Caller(principal=who)
            limits = app.settings.limits
            return build_server(app.service, limits, app.changes, lambda ctx: caller, state_key=app.state_key)

        person = Person()
        async with (
            Client(server("owner"), elicitation_callback=person) as mine,
            Client(server("other"), elicitation_callback=person) as theirs,
        ):
            await create(mine, "order", ORDER)
            first = await asked(mine, "order", title="Kim")
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await begin(theirs, "order", {"title": "Kim"}, request_state=first.request_state)


def test_the_key_of_a_home_is_kept_and_private(tmp_path: Path) -> None:
    key = state_key(str(tmp_path))
    assert len(key) == 32 and state_key(str(tmp_path)) == key
    assert os.stat(tmp_path / "request-state.key").st_mode & 0o777 == 0o600
    (tmp_path / "request-state.key").write_bytes(b"torn")
    assert len(state_key(str(tmp_path))) == 32


async def test_the_second_round_may_come_after_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with http_server(home, ENVIRON) as url:
        async with Client(f"{url}/mcp", elicitation_callback=Person()) as client:
            await create(client, "order", ORDER)
            first = await asked(client, "order", title="Heidi")
    (number,) = first.input_requests or {}
    responses: Any = {number: types.ElicitResult(action="accept", content={"answer": 2})}
    with http_server(home, ENVIRON) as url:
        async with Client(f"{url}/mcp", elicitation_callback=Person()) as client:
            answer = await begin(
                client, "order", {"title": "Heidi"}, input_responses=responses, request_state=first.request_state
            )
            assert answer.structured_content["result"] == "2 of Heidi"
            assert await runs_of_tool(client, "order") == [answer.structured_content["run_id"]]


@on_modern
async def test_a_task_asks_and_goes_on_when_all_is_answered(way: Way) -> None:
    async with way.client(extensions=[Tasks()], elicitation_callback=Person()) as client:
        await create(client, "two", TWO)
        task = await begin(client, "two", {"wait_s": 1})
        assert isinstance(task, Task)
        waiting = await until(client, task["taskId"], "input_required")
        first, second = waiting["inputRequests"]
        assert waiting["statusMessage"] in ("The first? / The second?", "The second? / The first?")
        request = waiting["inputRequests"][first]
        assert request["method"] == "elicitation/create"
        assert request["params"]["requestedSchema"]["required"] == ["name"]
        for refused in ({"action": "decline"}, {"action": "cancel"}):
            await update(client, task["taskId"], **{first: refused})
        with pytest.raises(MCPError) as bad:
            await update(client, task["taskId"], **{first: {"action": "accept", "content": {"kind": "bird"}}})
        assert bad.value.code == -32602
        assert set((await until(client, task["taskId"], "input_required"))["inputRequests"]) == {first, second}
        await update(client, task["taskId"], **{first: {"action": "accept", "content": {"name": "Tom"}}})
        assert set((await until(client, task["taskId"], "input_required"))["inputRequests"]) == {second}
        await update(client, task["taskId"], **{second: {"action": "accept", "content": {"name": "Rex"}}})
        done = await until(client, task["taskId"], "completed")
        assert done["result"]["structuredContent"]["result"] == {"Tom": "none", "Rex": "none"}


@on_modern
async def test_a_question_within_the_first_moment_comes_before_the_task(way: Way) -> None:
    source = ORDER.replace("    return", "    import time\n    time.sleep(1)\n    return")
    async with way.client(extensions=[Tasks()], elicitation_callback=Person()) as client:
        await create(client, "then_slow", source)
        first = await asked(client, "then_slow", title="Momo")
        (number,) = first.input_requests or {}
        responses: Any = {number: types.ElicitResult(action="accept", content={"answer": 2})}
        task = await begin(
            client, "then_slow", {"title": "Momo"}, input_responses=responses, request_state=first.request_state
        )
        assert isinstance(task, Task) and "requestState" not in task.wire
        done = await until(client, task["taskId"], "completed")
        assert done["result"]["structuredContent"]["result"] == "2 of Momo"
        assert await runs_of_tool(client, "then_slow") == [task["taskId"]]


@on_modern
async def test_a_tasks_questions_are_shown_only_to_who_can_fill_forms(way: Way) -> None:
    async with way.client(extensions=[Tasks()]) as client:
        await create(client, "two", TWO)
        task = await begin(client, "two", {"wait_s": 1})
        waiting = await until(client, task["taskId"], "input_required")
        assert waiting["inputRequests"] == {} and "The first?" in waiting["statusMessage"]
        await call(client, "cancel_run", {"run_id": task["taskId"]})


@on_modern
async def test_a_listener_hears_that_a_task_asks(way: Way) -> None:
    tasks = Tasks()
    async with way.client(extensions=[tasks], elicitation_callback=Person()) as client:
        await create(client, "two", TWO)
        task = await begin(client, "two", {"wait_s": 1})
        async with listening(client, task["taskId"]):

            async def heard(status: str) -> bool:
                return any(heard["status"] == status for heard in tasks.heard)

            await eventually(lambda: heard("input_required"))
            requests = next(heard["inputRequests"] for heard in tasks.heard if heard.get("inputRequests"))
            numbers = await open_questions(client, task["taskId"], requests)
            for number, name in zip(numbers, ("Tom", "Rex"), strict=True):
                await update(client, task["taskId"], **{number: {"action": "accept", "content": {"name": name}}})
            await eventually(lambda: heard("completed"))


async def open_questions(client: Client, task_id: str, known: dict[str, Any]) -> list[str]:
    """Both: the second may have been asked a moment after the first was told of."""
    while len(known) < 2:
        await asyncio.sleep(0.05)
        known = (await until(client, task_id, "input_required"))["inputRequests"]
    return list(known)
