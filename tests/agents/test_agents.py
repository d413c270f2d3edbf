"""Agents in a plain script, with models of functions: what reaches the model, streams, tools, structured answers, history, faults."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

from repertoire import Agent, RunResponse, Workflow
from repertoire.agents.failures import EndlessLoop, ReplyMismatch
from repertoire.values.refusals import NotAvailable
from support.function_models import Reply, Scripted, calling, echo, results_of


class Article(BaseModel):
    title: str
    words: int


MODEL_TEXT = '{\n  "title": "é 🙂",\n  "words": 2\n}'


# What reaches the model.


def test_options_reach_the_model() -> None:
    model = echo()
    agent = Agent(
        model=model, name="Ada Bot", description="You are kind.", goal="Help.", role="helper", instructions=["Be brief.", "Be kind."],
        success_criteria="It helps.", expected_output="One line.", additional_context="It is late.", markdown=True,
        add_datetime_to_instructions=True, add_name_to_instructions=True, timezone_identifier="Europe/Paris", show_tool_calls=True,
        context={"city": "Oslo"}, add_context=True,
    )  # fmt: skip
    response = agent.run("hi")
    said = model.told[0] or ""
    for text in (
        "You are kind.", "<your_goal>\nHelp.", "<your_role>\nhelper", "- Be brief.\n- Be kind.", "It helps.", "One line.", "It is late.",
        "Use markdown", "The current time is ", "Your name is: Ada Bot",
    ):  # fmt: skip
        assert text in said, said
    assert model.asked == ['hi\n\n<context>\n{\n  "city": "Oslo"\n}\n</context>']
    assert (
        response.content == f"re: {model.asked[0]}"
        and response.agent_name == "Ada Bot"
        and response.status == "completed"
    )
    assert response.metrics is not None and response.metrics["requests"] == 1
    assert [(one.role, one.content) for one in response.messages or ()] == [
        ("user", model.asked[0]),
        ("assistant", response.content),
    ]


def test_instructions_may_be_a_function_and_a_system_message_replaces_everything() -> None:
    model = echo()
    agent = Agent(model=model, instructions=lambda agent: [f"I am {agent.name}"], name="ada")
    agent.run("x")
    agent.system_message = "only this"
    agent.run("x")
    Agent(model=model).run("x")
    assert model.told == ["<instructions>\nI am ada\n</instructions>", "only this", None]


def test_names_of_the_state_are_put_into_instructions() -> None:
    model = echo()

    class Keeps(Workflow):
        agent = Agent(
            model=model, instructions="The user is {name}; {unknown} and {'a': 1} stay.", add_state_in_messages=True
        )

        def run(self) -> RunResponse:
            self.session_state["name"] = "Ada"
            return RunResponse(content=self.agent.run("x").content)

    assert Keeps().run().content == "re: x"
    assert "The user is Ada; {unknown} and {'a': 1} stay." in (model.told[0] or "")


@pytest.mark.parametrize(
    ("message", "text"),
    [({"role": "user", "content": "hi"}, "hi"), ({"a": 1}, '{\n  "a": 1\n}'), (Article(title="é 🙂", words=2), MODEL_TEXT),
     (["a", "b"], "a\nb"), ("\ud83d half, \ud83d\ude42 whole", "\ufffd half, 🙂 whole"), ("x" * 200_000, "x" * 200_000)],
    ids=["message", "dict", "model", "list", "surrogate", "long"],
)  # fmt: skip
def test_any_message_becomes_text(message: Any, text: str) -> None:
    model = echo()
    Agent(model=model).run(message)
    assert model.asked == [text]


def test_unknown_options_say_what_to_use(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        TypeError,
        match=r"Agent\(\) has no parameter 'output_schema' \(response_model\), 'system_prompt' \(system_message\)",
    ):
        Agent(system_prompt="x", output_schema=Article)
    assert Agent(model=echo()).run("x", temprature=1).content and "no parameter 'temprature'" in caplog.text
    with pytest.raises(NotAvailable, match="only text"):
        Agent(model=echo()).run("x", images=["a.png"])


def test_options_without_effect_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(model=echo(), name="ada", reasoning=True, memory=None, knowledge=False, debug_mode=True)
    agent.run("x")
    agent.run("y")
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "ada: the option reasoning has no effect here: use a model that reasons, or ask for the steps in instructions"
    ]


# Streams.


def test_a_stream_gives_pieces_and_run_response_holds_the_whole() -> None:
    agent = Agent(model=echo())
    pieces = list(agent.run("one two", stream=True))
    assert [(one.content, one.event) for one in pieces] == [
        (word, "RunResponseContent") for word in ("re: ", "one ", "two ")
    ]
    assert agent.run_response.content == "re: one two "
    assert [one.content for one in Agent(model=echo(), stream=True).run("a")] == ["re: ", "a "]


def test_a_stream_with_steps_tells_begin_tools_and_end() -> None:
    agent = Agent(model=calling("add", {"x": 1}), tools=[add], stream_intermediate_steps=True)
    events = [(one.event, one.content) for one in agent.run("go", stream=True)]
    assert events[0] == ("RunStarted", None) and events[-1] == ("RunCompleted", "got ['2'] ")
    assert [name for name, _ in events] == [
        "RunStarted", "ToolCallStarted", "ToolCallCompleted", "RunResponseContent", "RunResponseContent", "RunCompleted",
    ]  # fmt: skip


def test_a_model_that_cannot_stream_gives_its_text_in_one_piece() -> None:
    class Plain(FunctionModel):
        from pydantic_ai.models import Model

        request_stream = Model.request_stream

    agent = Agent(model=Plain(lambda *_: ModelResponse(parts=[TextPart("a b")])))
    assert [one.content for one in agent.run("x", stream=True)] == ["a b"]


def test_a_consumer_that_stops_cancels_the_run() -> None:
    cancelled: list[bool] = []

    async def endless(messages: Any, info: Any) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        finally:
            cancelled.append(True)

    agent = Agent(model=FunctionModel(stream_function=endless))
    pieces = agent.run("go", stream=True)
    assert next(pieces).content == "x"
    pieces.close()
    assert cancelled == [True] and agent.run_response is None

    async def stop() -> None:
        async for _ in agent.arun("go", stream=True):
            break
        items = agent.arun("go", stream=True)
        await anext(items)
        await items.aclose()

    asyncio.run(stop())
    assert cancelled == [True] * 3


async def _async_forms(agent: Agent) -> list[Any]:
    return [
        (await agent.arun("a")).content,
        "".join([one.content async for one in agent.arun("b", stream=True)]),
        "".join([one.content async for one in await agent.arun("c", stream=True)]),
        agent.run("sync in a loop").content,
        "".join(one.content for one in agent.run("d", stream=True)),
    ]


def test_async_forms_and_sync_calls_inside_of_a_loop() -> None:
    assert asyncio.run(_async_forms(Agent(model=echo()))) == [
        "re: a",
        "re: b ",
        "re: c ",
        "re: sync in a loop",
        "re: d ",
    ]


# One object, many runs.


def test_one_agent_in_threads_and_under_gather() -> None:
    agent = Agent(model=echo())

    def ask(text: str) -> tuple[str, str]:
        response = agent.run(text)
        return response.content, agent.run_response.content

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, map(str, range(16)))) == [(f"re: {one}", f"re: {one}") for one in range(16)]

    async def task(text: str) -> str:
        await agent.arun(text)
        await asyncio.sleep(0)
        return str(agent.run_response.content)

    async def together() -> list[str]:
        return await asyncio.gather(*(task(str(one)) for one in range(8)))

    assert asyncio.run(together()) == [f"re: {one}" for one in range(8)]


def test_two_interleaved_streams_of_one_agent_stay_apart() -> None:
    class Tells(Workflow):
        agent = Agent(model=echo())

        def run(self, text: str) -> Iterator[RunResponse]:
            yield from self.agent.run(text, stream=True)
            self.session_state["said"] = self.agent.run_response.content

    one, two = Tells(session_id="one"), Tells(session_id="two")
    pieces = [piece.content for pair in zip(one.run(text="a b"), two.run(text="c d"), strict=True) for piece in pair]
    assert pieces == ["re: ", "re: ", "a ", "c ", "b ", "d "]
    assert (one.session_state["said"], two.session_state["said"]) == ("re: a b ", "re: c d ")


# Tools.


def add(x: int, y: int = 1) -> int:
    """Add two numbers.

    Args:
        x: The first.
        y: The second.
    """
    asyncio.run(asyncio.sleep(0))  # a sync tool of a sync run is outside of any loop
    return x + y


def test_tools_are_called_with_checked_arguments_and_are_in_the_response() -> None:
    agent = Agent(model=calling("add", {"x": "41"}), tools=[add])
    response = agent.run("go")
    assert response.content == "got ['42']"
    assert [(one.tool_name, one.tool_args, one.result, one.tool_call_error) for one in response.tools or ()] == [
        ("add", {"x": "41"}, "42", False)
    ]
    assert response.formatted_tool_calls == ["add(x='41')"]
    assert asyncio.run(agent.arun("go")).content == "got ['42']"


def test_a_tool_gets_its_agent_and_runs_where_the_caller_is() -> None:
    seen: list[Any] = []

    def look(agent: Agent, what: str) -> dict[str, Any]:
        seen.append((agent.name, threading.current_thread() is threading.main_thread()))
        return {"what": what, "at": None}

    async def alook(what: str) -> str:
        await asyncio.sleep(0)
        return what

    assert (
        Agent(name="ada", model=calling("look", {"what": "up"}), tools=[look]).run("go").content
        == """got ['{"what": "up", "at": null}']"""
    )
    assert seen == [("ada", True)]
    assert Agent(model=calling("alook", {"what": "up"}), tools=[alook]).run("go").content == "got ['up']"

    async def pieces(what: str):  # type: ignore[no-untyped-def]
        for letter in what:
            yield letter

    assert Agent(model=calling("pieces", {"what": "up"}), tools=[pieces]).run("go").content == "got ['up']"


def test_calls_that_were_refused_to_the_model_are_errors_in_the_response() -> None:
    for tool, arguments in (("nothere", {"x": 1}), ("add", {"y": "no number"})):
        told = Agent(model=calling(tool, arguments), tools=[add]).run("go").tools or []
        assert [(one.tool_name, one.tool_call_error) for one in told] == [(tool, True)], told


def test_an_agent_that_has_run_can_be_copied() -> None:
    agent = Agent(model="gpt-4o", name="Ada", tools=[add])
    agent.model = echo()
    agent.run("a")
    agent.model = None
    for copied in (copy.copy(agent), copy.deepcopy(agent)):
        copied.model = echo()
        assert (copied.name, copied.run("b").content, agent.run_response.content) == ("Ada", "re: b", "re: a")


def test_a_tool_that_raises_tells_the_model_and_a_missing_package_ends_the_run() -> None:
    def fails(why: str) -> str:
        raise ValueError(f"no {why}")

    def missing() -> str:
        raise ImportError("Search needs the package ddgs: pip install ddgs")

    response = Agent(model=calling("fails", {"why": "luck"}), tools=[fails]).run("go")
    assert response.content == "got ['Error: ValueError: no luck']" and (response.tools or [])[0].tool_call_error
    with pytest.raises(NotAvailable, match="pip install ddgs"):
        Agent(model=calling("missing", {}), tools=[missing]).run("go")
    with pytest.raises(TypeError, match="a dict is no tool"):
        Agent(model=echo(), tools=[{"type": "web_search"}]).run("x")


def test_an_endless_loop_of_tools_ends() -> None:
    forever = Scripted(lambda messages: [ToolCallPart("add", {"x": 1})])
    with pytest.raises(EndlessLoop, match=r"looper has made 50 requests .* tool_call_limit"):
        Agent(name="looper", model=forever, tools=[lambda: 1, add]).run("go")

    calls: list[int] = []

    def count() -> str:
        calls.append(1)
        return "more"

    def until_told(messages: list[ModelMessage]) -> Reply:
        results = results_of(messages)
        return "enough" if results and "limit of 2" in results[0] else [ToolCallPart("count", {})]

    assert Agent(model=Scripted(until_told), tools=[count], tool_call_limit=2).run("go").content == "enough"
    assert len(calls) == 2


# Structured answers.


def test_a_structured_answer_is_corrected_and_then_given_up_with_the_last_reply() -> None:
    said = iter(["no", '{"title": "x"}', '```json\n{"title": "x", "words": 3}\n```'])
    agent = Agent(model=Scripted(lambda _: next(said)), response_model=Article)
    response = agent.run("go")
    assert response.content == Article(title="x", words=3) and response.content_type == "Article"

    stubborn = Scripted(lambda _: "never")
    with pytest.raises(
        ReplyMismatch,
        match=r"(?s)reader: .* no Article, also after 3 corrections: .*Its last reply: never",
    ) as caught:
        Agent(name="reader", model=stubborn, response_model=Article).run("go")
    assert caught.value.reply == "never" and len(stubborn.asked) == 4
    assert "Field required" in agent.model.asked[-1]


def test_a_structured_answer_may_come_by_the_output_tool_and_as_a_stream() -> None:
    model = Scripted(lambda _: [ToolCallPart("final_result", {"title": "x", "words": 3})])
    agent = Agent(model=model, response_model=Article, structured_outputs=True)
    assert agent.run("go").content.words == 3
    assert [one.content for one in agent.run("go", stream=True)] == [Article(title="x", words=3)]
    assert Agent(model=echo(), response_model=Article, parse_response=False).run("go").content == "re: go"
    assert Agent(model=Scripted(lambda _: '["a", "b"]'), response_model=list[str], use_json_mode=True).run(
        "go"
    ).content == ["a", "b"]


# History, retries.


def test_history_is_that_of_the_session_and_only_where_it_is_asked_for() -> None:
    model = echo()
    agent = Agent(
        model=model,
        add_history_to_messages=True,
        num_history_runs=2,
        add_messages=[{"role": "user", "content": "first"}],
    )
    for text in ("a", "b", "c"):
        agent.run(text, session_id="one")
    agent.run("d", session_id="two")
    assert model.turns[2] == ["a", "re: a", "b", "re: b", "first", "c"]
    assert model.turns[3] == ["first", "d"]
    forgetful = Agent(model=model)
    forgetful.run("a")
    forgetful.run("b")
    assert model.turns[-1] == ["b"]


def test_retries_ask_again() -> None:
    tried: list[int] = []

    def reply(messages: list[ModelMessage]) -> Reply:
        tried.append(1)
        if len(tried) < 3:
            raise OSError("gone")
        return "there"

    agent = Agent(model=Scripted(reply), retries=2, delay_between_retries=0.001)
    assert agent.run("x").content == "there"
    tried.clear()
    with pytest.raises(OSError, match="gone"):
        agent.run("x", retries=1)


# Refusals.


class Swallows(Workflow):
    """The pattern of files that catch everything around their agent."""

    agent = Agent(model="nobody:knows-this")

    def run(self, topic: str) -> RunResponse:
        for _ in range(2):
            try:
                return RunResponse(content=self.agent.run(topic).content)
            except Exception:
                continue
        return RunResponse(content=f"Sorry, nothing found on {topic}")


def test_a_swallowed_refusal_fails_the_run_of_a_script() -> None:
    workflow = Swallows()
    with pytest.raises(NotAvailable, match="nobody:knows-this"):
        workflow.run(topic="tea")
    assert workflow.run_response.status == "failed"


def test_without_pydantic_ai_an_agent_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(NotAvailable, match=r"pip install 'pydantic-ai-slim\["):
        Agent(model="openai:gpt-4o-mini").run("x")


def test_print_response_shows_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(model=echo())
    agent.print_response("tea")
    agent.print_response("milk", stream=True, show_message=True)
    asyncio.run(agent.aprint_response("water", markdown=True))
    shown = capsys.readouterr().out
    assert "re: tea" in shown and "re: milk" in shown and "re: water" in shown
    with pytest.raises(NotAvailable, match="terminal"):
        agent.cli_app()
