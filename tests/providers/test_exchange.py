"""Requests and replies of models as JSON: the same for two executions of one body, and whole for the provider."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from repertoire.providers.exchange import library, read_reply, read_request, reply_json, request_json


def conversation() -> list[ModelMessage]:
    """A new one each time: pydantic-ai gives it times and ids."""
    call = ToolCallPart("add", {"a": 1, "b": None})
    return [
        ModelRequest([SystemPromptPart("Be brief."), UserPromptPart("1 + 2?")], run_id="run", conversation_id="talk"),
        ModelResponse([TextPart("Let me see."), call], usage=RequestUsage(input_tokens=3), run_id="run"),
        ModelRequest([ToolReturnPart("add", {"sum": float("nan"), "half": "\ud83d"}, call.tool_call_id)]),
        ModelResponse([ThinkingPart("Hm.", signature="signed"), ToolCallPart("add", "{}", "call_of_the_provider")]),
        ModelRequest([RetryFeedbackPart("no", retry=RetryInfo("no_output"))]),
    ]


def parameters() -> ModelRequestParameters:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": None}}}
    return ModelRequestParameters(
        function_tools=[ToolDefinition(name="add", parameters_json_schema=schema, toolset_id="<agent>")],
        revealed_tool_names={"b", "a"},
    )


def test_two_executions_give_the_same_request() -> None:
    first, second = (
        json.dumps(request_json(conversation(), {"temperature": 0.5}, parameters()), sort_keys=True) for _ in range(2)
    )
    assert first == second
    assert "pyd_ai_" not in first
    first.encode()  # no half of a character


def test_the_request_is_whole() -> None:
    made = request_json(conversation(), {"temperature": 0.5}, parameters())
    read = read_request(json.loads(json.dumps(made)))
    assert read.settings == {"temperature": 0.5}
    assert [tool.name for tool in read.parameters.function_tools] == ["add"]
    assert read.parameters.function_tools[0].parameters_json_schema["properties"]["a"] == {
        "type": "integer",
        "default": None,
    }
    call, given = read.messages[1].parts[1], read.messages[2].parts[0]
    assert isinstance(call, ToolCallPart)
    assert isinstance(given, ToolReturnPart)
    assert (call.args, call.tool_call_id) == ({"a": 1, "b": None}, "call_1")
    assert (given.content, given.tool_call_id) == ({"sum": None, "half": "\ufffd"}, "call_1")
    thought, other = read.messages[3].parts
    assert isinstance(thought, ThinkingPart)
    assert isinstance(other, ToolCallPart)
    assert (thought.signature, other.tool_call_id) == ("signed", "call_of_the_provider")
    assert request_json(read.messages, read.settings, read.parameters) == made


def test_a_reply_is_read_as_it_was() -> None:
    response = ModelResponse(
        [TextPart("One two"), ToolCallPart("add", {"a": None})],
        usage=RequestUsage(input_tokens=3, output_tokens=2),
        model_name="gpt-4o-mini",
        finish_reason="stop",
    )
    reply = json.loads(json.dumps(reply_json(response, [(0, 4), (0, 3)])))
    read, pieces = read_reply(reply)
    assert (list(read.parts), read.usage, read.finish_reason) == (list(response.parts), response.usage, "stop")
    assert pieces == [(0, 4), (0, 3)]


def test_the_library_is_named_with_its_version() -> None:
    assert library().startswith("pydantic-ai 2.")


@pytest.mark.parametrize(
    "module", ["repertoire.app", "repertoire.worker.process", "repertoire", "repertoire.cli.doctor"]
)
def test_nothing_imports_pydantic_ai_at_its_start(module: str) -> None:
    code = f"import sys, {module}; print([name for name in sys.modules if name.split('.')[0] in ('pydantic_ai', 'openai')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_request_cannot_make_the_server_fetch_local_addresses() -> None:
    given = {"kind": "document-url", "url": "http://127.0.0.1/x", "media_type": "text/plain"}
    for content, kind in (([given], "user-prompt"), ({"found": [given]}, "tool-return")):
        part = {"part_kind": kind, "content": content, "tool_name": "x", "tool_call_id": "1"}
        message = {"kind": "request", "parts": [part]}
        assert read_request({"messages": [message]}).messages
        given["force_download"] = "allow-local"
        with pytest.raises(ValueError, match="allow-local"):
            read_request({"messages": [message]})
        del given["force_download"]
