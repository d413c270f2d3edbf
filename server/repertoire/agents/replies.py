"""Replies: makes pydantic-ai's response of what the door `model` gives; used by DoorModel.

A mock of a test or an example, and the model of a client, may give a plain text, or a dict for structured output.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters

from ..providers.exchange import read_reply


def response_of(reply: Any, parameters: ModelRequestParameters, model_name: str) -> ModelResponse:
    if isinstance(reply, dict) and "response" in reply:
        return read_reply(reply)[0]
    if isinstance(reply, dict) and parameters.output_tools:
        part: TextPart | ToolCallPart = ToolCallPart(parameters.output_tools[0].name, reply, "call_output")
    else:
        part = TextPart(reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False))
    return ModelResponse(parts=[part], model_name=model_name)
