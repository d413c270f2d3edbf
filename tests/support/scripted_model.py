"""A model that follows a script, behind a real HTTP server of the OpenAI API: chat completions and responses, without streaming.

It keeps nothing between requests. The tool results in a request show how far the conversation is, as with a real model. A turn may only
call a tool that the request offers, and a tool must have the form that the real API demands. Anything else is refused with status 400.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Call:
    """The model wants this tool called."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """One request, with the parts that a script or a test reads."""

    path: str
    model: str
    system: str
    tools: dict[str, dict[str, Any]]
    """The parameters of each tool that is offered."""
    results: tuple[str, ...]
    """The text of each tool result of the conversation, in order."""


Turn = Call | Callable[[Heard], str]
"""A tool call, or the closing text, made from what was heard."""


class Refused(Exception):
    """Raised for a request that the script cannot answer; the sender gets the reason."""


@dataclass(frozen=True)
class ScriptedModel:
    """`heard` grows with each request that was answered."""

    url: str
    turns: Sequence[Turn]
    heard: list[Heard] = field(default_factory=list)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("stream"):
            raise Refused("this model does not stream")
        if path not in _DIALECTS:
            raise Refused(f"there is no {path}")
        read, say = _DIALECTS[path]
        heard = read(path, body)
        if len(heard.results) >= len(self.turns):
            raise Refused(f"the script ends after {len(self.turns)} turns; the last result was {heard.results[-1]}")
        for name, parameters in heard.tools.items():
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
                raise Refused(f"{name!r} is no name of a tool")
            if parameters.get("type") != "object" or not isinstance(parameters.get("properties"), dict):
                raise Refused(f"the parameters of {name} are not a schema of an object")
        turn = self.turns[len(heard.results)]
        if isinstance(turn, Call) and turn.tool not in heard.tools:
            raise Refused(f"{turn.tool} is not among the tools: {sorted(heard.tools)}")
        self.heard.append(heard)
        number = len(heard.results) + 1
        return say(heard.model, number, turn if isinstance(turn, Call) else turn(heard))


@contextmanager
def scripted_model(turns: Sequence[Turn]) -> Iterator[ScriptedModel]:
    """A running model. Its `url` is the value for OPENAI_BASE_URL."""
    asked: list[ScriptedModel] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Requests, asked))
    asked.append(ScriptedModel(f"http://127.0.0.1:{server.server_port}/v1", turns))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield asked[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Requests(BaseHTTPRequestHandler):
    def __init__(self, asked: list[ScriptedModel], *args: Any) -> None:
        self._asked = asked
        super().__init__(*args)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, answer = 200, self._asked[0].answer(self.path, body)
        except Refused as refused:
            status, answer = 400, {"error": {"message": str(refused), "type": "invalid_request_error"}}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to stderr."""


def _text(content: str | list[dict[str, Any]] | None) -> str:
    """Content is a text, or pieces that have one."""
    return content if isinstance(content, str) else "".join(piece["text"] for piece in content or [])


def _read_chat(path: str, body: dict[str, Any]) -> Heard:
    said = [(message["role"], _text(message.get("content"))) for message in body["messages"]]
    return Heard(
        path=path,
        model=body["model"],
        system="\n".join(text for role, text in said if role in ("system", "developer")),
        tools={tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", [])},
        results=tuple(text for role, text in said if role == "tool"),
    )


def _say_chat(model: str, number: int, what: Call | str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(what, Call):
        function = {"name": what.tool, "arguments": json.dumps(what.arguments)}
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
    else:
        message["content"] = what
    reason = "tool_calls" if isinstance(what, Call) else "stop"
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _read_responses(path: str, body: dict[str, Any]) -> Heard:
    items = body["input"] if isinstance(body["input"], list) else []
    return Heard(
        path=path,
        model=body["model"],
        system=body.get("instructions") or "",
        tools={tool["name"]: tool["parameters"] for tool in body.get("tools", [])},
        results=tuple(_text(item["output"]) for item in items if item.get("type") == "function_call_output"),
    )


def _say_responses(model: str, number: int, what: Call | str) -> dict[str, Any]:
    item: dict[str, Any]
    if isinstance(what, Call):
        item = {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": f"call_{number}",
            "name": what.tool,
            "arguments": json.dumps(what.arguments),
            "status": "completed",
        }
    else:
        content = [{"type": "output_text", "text": what, "annotations": []}]
        item = {
            "type": "message",
            "id": f"msg_{number}",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        },
    }


_DIALECTS = {
    "/v1/chat/completions": (_read_chat, _say_chat),
    "/v1/responses": (_read_responses, _say_responses),
}
