"""The caller's own model: requests as text, and replies read back. The requests come from pydantic-ai itself."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from repertoire.errors import BadArguments, NoModel
from repertoire.service.completion_answer import CompletionAnswer, ToolCall, read_answer
from repertoire.service.completion_request import CompletionRequest, OutputForm, ToolForm, read_request
from support.completions import agent_requests, text, tool_call

LOOK = ToolForm("look", "Look up q.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]})
TICKET = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "urgent": {"type": "boolean"}},
    "required": ["title", "urgent"],
}
PLAIN = CompletionRequest("", ())
TOOLS = CompletionRequest("", (), (LOOK,))
STRUCTURED = CompletionRequest("", (), (), OutputForm(TICKET, "final_result"))
BOTH = CompletionRequest("", (), (LOOK,), OutputForm(TICKET, "final_result"))
OR_TEXT = CompletionRequest("", (), (), OutputForm(TICKET, "final_result", or_text=True))
JSON_TEXT = CompletionRequest("", (), (), OutputForm(TICKET))
CALL = CompletionAnswer("", (ToolCall("look", {"q": "x"}),))
MADE = CompletionAnswer("", (ToolCall("final_result", {"title": "a", "urgent": True}),))
VALUE = {"title": "a", "urgent": True}


class Ticket(BaseModel):
    title: str
    urgent: bool


def look(q: str) -> list[str]:
    """Look up q."""
    return [q, "b"]


def test_a_plain_request_is_its_messages() -> None:
    (request,) = agent_requests([text("hi")], "Hello!", instructions="Be brief.", system_prompt="You greet.")
    read = read_request(request)
    assert read.is_plain and read.instructions == "You greet.\n\nBe brief."
    assert [(one.role, one.text) for one in read.messages] == [("user", "Hello!")]
    assert read.answer_schema() == {"type": "string"}
    assert read.as_text().endswith("# System\nYou greet.\n\nBe brief.\n\n# User\nHello!")


def test_tools_and_schema_are_in_the_request_and_results_in_the_next_message() -> None:
    replies = [tool_call("look", {"q": "x"}), tool_call("final_result", VALUE)]
    first, second = map(read_request, agent_requests(replies, "Find x.", tools=[look], output_type=Ticket))
    assert '{"tool_calls": [{"name": NAME' in first.instructions and '"name": "look"' in first.instructions
    assert '"urgent"' in first.instructions and "final_result" not in first.instructions
    assert [(one.role, one.text) for one in second.messages] == [
        ("user", "Find x."),
        ("assistant", '{"tool_calls": [{"name": "look", "arguments": {"q": "x"}}]}'),
        ("user", 'Result of look({"q": "x"}):\n["x", "b"]'),
    ]
    assert second.instructions == first.instructions


def test_a_rejected_output_comes_back_as_the_reply_that_it_was() -> None:
    replies = [tool_call("final_result", {"title": "a"}), tool_call("final_result", VALUE)]
    _, second = map(read_request, agent_requests(replies, "Go.", output_type=Ticket, retries=2))
    assert second.messages[1].text == '{"title": "a"}'
    assert second.messages[2].text.startswith("Error of your last reply:") and "urgent" in second.messages[2].text


def test_the_same_agent_asks_the_same_text_each_time() -> None:
    def texts() -> list[str]:
        replies = [tool_call("look", {"q": "x"}), text("done")]
        return [read_request(one).as_text() for one in agent_requests(replies, "Find x.", tools=[look])]

    assert texts() == texts()


def test_a_list_output_is_asked_for_in_its_field_and_read_without_it() -> None:
    (request,) = agent_requests([tool_call("final_result", {"response": ["a"]})], "List.", output_type=list[str])
    read = read_request(request)
    assert read.output is not None and read.output.key == "response"
    wanted = CompletionAnswer("", (ToolCall("final_result", {"response": ["a", "b"]}),))
    for answer in ('["a", "b"]', '{"response": ["a", "b"]}', ["a", "b"], 'The list:\n- it is ["a", "b"]'):
        assert read_answer(read, answer) == wanted


def test_a_bare_word_is_a_choice() -> None:
    (request,) = agent_requests(
        [tool_call("final_result", {"response": "low"})], "Which?", output_type=Literal["low", "high"]
    )
    read = read_request(request)
    assert read_answer(read, "high\n").tool_calls == (ToolCall("final_result", {"response": "high"}),)
    with pytest.raises(BadArguments, match="has to be JSON"):
        read_answer(read, "rather high")


def test_several_outputs_are_tools_of_which_the_last_reply_calls_one() -> None:
    class Refusal(BaseModel):
        reason: str

    replies = [tool_call("final_result_Ticket", VALUE)]
    (request,) = agent_requests(replies, "Go.", output_type=[Ticket, Refusal])
    read = read_request(request)
    assert "Your last reply calls one of final_result_Ticket, final_result_Refusal." in read.instructions
    answer = {"tool_calls": [{"name": "final_result_Refusal", "arguments": {"reason": "no"}}]}
    assert read_answer(read, json.dumps(answer)).tool_calls == (ToolCall("final_result_Refusal", {"reason": "no"}),)
    with pytest.raises(BadArguments, match="has to be a call of a tool"):
        read_answer(read, "No.")


def test_a_request_with_an_image_is_refused_with_what_to_do() -> None:
    image = {"kind": "binary", "data": "aGk=", "media_type": "image/png"}
    parts = [{"part_kind": "user-prompt", "content": ["See:", image]}]
    with pytest.raises(NoModel, match="takes only text"):
        read_request({"messages": [{"kind": "request", "parts": parts}]})


@pytest.mark.parametrize(
    "reply",
    [
        '{"tool_calls": [{"name": "look", "arguments": {"q": "x"}}]}',
        '```json\n{"tool_calls": [{"name": "look", "arguments": {"q": "x"}}]}\n```',
        '{"name": "look", "arguments": {"q": "x"}}',
        '[{"name": "look", "arguments": {"q": "x"}}]',
        '{"tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{\\"q\\": \\"x\\"}"}}]}',
        '{"tool_calls": [{"function": "look", "args": {"q": "x"}}]}',
        '{"tool_call": {"tool": "look", "input": {"q": "x"}}}',
        '{"content": "", "tool_calls": [{"name": "look", "arguments": {"q": "x"}}]}',
        {"tool_calls": [{"name": "look", "arguments": {"q": "x"}}]},
        {"content": None, "tool_calls": [{"name": "look", "arguments": {"q": "x"}}]},
        [{"type": "tool_use", "id": "t", "name": "look", "input": {"q": "x"}}],
        {"content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"q": "x"}}]},
    ],
)
@pytest.mark.parametrize("request_", [TOOLS, BOTH])
def test_a_tool_call_is_read_in_many_forms(request_: CompletionRequest, reply: Any) -> None:
    assert read_answer(request_, reply) == CALL


def test_words_before_a_call_are_kept_as_text() -> None:
    reply = 'I look it up.\n```json\n{"tool_calls": [{"name": "look", "arguments": {"q": "x"}}]}\n```\nDone.'
    assert read_answer(TOOLS, reply) == CompletionAnswer("I look it up.", CALL.tool_calls)


@pytest.mark.parametrize(
    "reply",
    [
        json.dumps(VALUE),
        f"```json\n{json.dumps(VALUE, indent=2)}\n```",
        f"Sure [1]! Here it is: {json.dumps(VALUE)} Anything else?",
        f'{{"content": {json.dumps(json.dumps(VALUE))}, "tool_calls": []}}',
        {"tool_calls": [{"name": "final_result", "arguments": VALUE}]},
        VALUE,
        {"content": json.dumps(VALUE)},
        {"content": [{"type": "text", "text": json.dumps(VALUE)}]},
    ],
)
@pytest.mark.parametrize("request_", [STRUCTURED, BOTH, OR_TEXT])
def test_a_structured_output_is_read_in_many_forms(request_: CompletionRequest, reply: Any) -> None:
    if request_ is OR_TEXT and isinstance(reply, str) and reply.startswith("Sure"):
        assert read_answer(request_, reply) == CompletionAnswer(reply)  # a text that quotes JSON
    else:
        assert read_answer(request_, reply) == MADE


def test_json_text_stays_text() -> None:
    assert read_answer(JSON_TEXT, f"Here: {json.dumps(VALUE)}") == CompletionAnswer(json.dumps(VALUE))


def test_a_field_content_of_the_output_is_no_envelope() -> None:
    schema = {"type": "object", "properties": {"content": {"type": "string"}}}
    request = CompletionRequest("", (), (), OutputForm(schema, "final_result"))
    wanted = CompletionAnswer("", (ToolCall("final_result", {"content": "x"}),))
    assert read_answer(request, {"content": "x"}) == wanted == read_answer(request, '{"content": "x"}')


def test_text_is_kept_as_it_is() -> None:
    for reply in ('{"tool_calls": "no tools here"}', "  two\n lines ", "```\ncode\n```", "42", "null"):
        assert read_answer(PLAIN, reply) == CompletionAnswer(reply)
    assert read_answer(PLAIN, {"content": "x"}) == CompletionAnswer("x")
    assert read_answer(PLAIN, 42) == CompletionAnswer("42")
    assert read_answer(TOOLS, 'No tool is needed: {"a": 1}') == CompletionAnswer('No tool is needed: {"a": 1}')
    told = {"content": [{"type": "text", "text": "x"}], "model": "m", "stop_reason": "endTurn"}
    assert read_answer(PLAIN, told) == CompletionAnswer("x", model="m", stop="endTurn")


@pytest.mark.parametrize(
    ("request_", "reply", "problem"),
    [
        (PLAIN, " \n", "empty"),
        (PLAIN, {"content": ""}, "empty"),
        (PLAIN, {"content": [{"type": "image", "data": "", "mimeType": "image/png"}]}, "empty"),
        (PLAIN, {"a": 1}, "has to be text"),
        (PLAIN, None, "has to be text"),
        (TOOLS, '{"tool_calls": [{"name": "lok", "arguments": {}}]}', "calls 'lok', and there is no such tool. The tools are look"),
        (TOOLS, '{"tool_calls": ["look"]}', "no such tool"),
        (TOOLS, '{"tool_calls": [{"name": "look", "arguments": "q=x"}]}', "arguments of look are not a JSON object"),
        (TOOLS, '{"tool_calls": [{"name": "look", "argum', "looks like a tool call and is not JSON"),
        (STRUCTURED, "I do not know.", "has to be JSON, and is 'I do not know.'"),
        (STRUCTURED, '{"title": "a", "urg', "has to be JSON"),
        (PLAIN, {"tool_calls": [{"name": "look"}]}, "There are no tools"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_the_problem(request_: CompletionRequest, reply: Any, problem: str) -> None:
    with pytest.raises(BadArguments, match="does not fit the request") as refused:
        read_answer(request_, reply)
    assert problem in refused.value.message


KEYS = ("content", "tool_calls", "name", "arguments", "type", "function", "title")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from([PLAIN, TOOLS, STRUCTURED, BOTH, OR_TEXT, JSON_TEXT]), JSON | JSON.map(json.dumps) | st.text())
def test_any_reply_is_read_or_refused(request_: CompletionRequest, reply: Any) -> None:
    try:
        answer = read_answer(request_, reply)
    except BadArguments:
        return
    assert answer.content or answer.tool_calls


def test_a_hostile_reply_is_read_quickly() -> None:
    for reply in ("{" * 200_000, "[" * 200_000, "```json\n" * 50_000, '{"a":' * 100_000):
        assert read_answer(TOOLS, f"x {reply}") == CompletionAnswer(f"x {reply}")
