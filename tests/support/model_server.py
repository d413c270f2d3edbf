"""A scripted model behind a real HTTP server, with the APIs of OpenAI (chat completions), Anthropic (messages) and Groq.

    with model_server(["Hello", call("add", a=1, b=2), Reply("Three", pieces=3)]) as model:
        environ = model.environ()            # OPENAI_API_KEY, OPENAI_BASE_URL, ANTHROPIC_API_KEY, ...
        ...
        assert [asked.prompt for asked in model.asked] == [...]

A script is a list of replies, given in the order of the requests, or a function from `Asked` to a reply. A text stands for `Reply(text)`.
The last reply of a list is given again when more requests come. Replies are streamed when the request asks for it. Not `scripted_model`,
which plays a host's model that calls our tools.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

KEY: Final = "sk-scripted-0123456789abcdef"
"""The key that the server wants. Any other is answered with status 401."""


@dataclass(frozen=True)
class Call:
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One answer of the model. `text` is streamed in `pieces` parts of about the same length, `pause_s` apart."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    pieces: int = 4
    pause_s: float = 0.0
    input_tokens: int = 10
    output_tokens: int = 5
    cut_after: int | None = None
    """The connection is reset after so many pieces of a stream."""
    hang_s: float = 0.0
    """Nothing is sent for so long. Then the reply follows."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """Sent as it is, with `status` and `headers`."""
    finish: str = ""
    """The reason of the end, in OpenAI's words; by default `stop` or `tool_calls`."""

    def parts(self) -> list[str]:
        size = max(1, -(-len(self.text) // self.pieces))
        return [self.text[at : at + size] for at in range(0, len(self.text), size)]


def call(tool: str, /, **arguments: Any) -> Reply:
    """The model wants this tool called."""
    return Reply(calls=(Call(tool, arguments),))


def structured(**values: Any) -> Callable[[Asked], Reply]:
    """The values as structured output: by the output tool where the request offers one, else as JSON text."""

    def reply(asked: Asked) -> Reply:
        tool = next((name for name in asked.tools if name.startswith("final_result")), None)
        return Reply(json.dumps(values)) if tool is None else Reply(calls=(Call(tool, values),))

    return reply


def error(status: int, message: str = "the scripted model says no", **headers: str) -> Reply:
    """An error in the form of the API. Header names are written with underscores: `retry_after="1"`."""
    body = json.dumps({"type": "error", "error": {"type": "scripted_error", "message": message, "code": "scripted"}})
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def html(status: int = 200) -> Reply:
    return Reply(status=status, body="<html><body>A proxy's page</body></html>", headers={"Content-Type": "text/html"})


RATE_LIMIT: Final = error(429, "slow down")


@dataclass(frozen=True)
class Asked:
    """One request. `messages` are (role, text); tools by name with their schemas of parameters."""

    api: str
    model: str
    system: str
    messages: tuple[tuple[str, str], ...]
    tools: dict[str, dict[str, Any]]
    results: tuple[str, ...]
    """The texts of tool results, in order."""
    streams: bool
    body: dict[str, Any]
    headers: dict[str, str]
    number: int
    """From 0, in the order of arrival at this server."""

    @property
    def prompt(self) -> str:
        """The user's last message."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")


Script = Sequence["str | Reply | Callable[[Asked], str | Reply]"] | Callable[[Asked], "str | Reply"]


@dataclass
class ModelServer:
    url: str
    script: Script
    asked: list[Asked] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    """Numbers of the requests that were answered whole."""
    broken: list[int] = field(default_factory=list)
    """Numbers of the requests whose client has left before the end."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def environ(self, *providers: str, key: str = KEY) -> dict[str, str]:
        """The variables that lead a provider's client here: `openai`, `anthropic`, `groq`; all of them by default."""
        known = {
            "openai": {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": f"{self.url}/v1"},
            "anthropic": {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": self.url},
            "groq": {"GROQ_API_KEY": key, "GROQ_BASE_URL": self.url},
        }
        return {name: value for one in providers or known for name, value in known[one].items()}

    @property
    def prompts(self) -> list[str]:
        return [asked.prompt for asked in self.asked]

    def reply_to(self, asked: Asked) -> Reply:
        script = self.script
        turn = script(asked) if callable(script) else script[min(asked.number, len(script) - 1)]
        reply = turn(asked) if callable(turn) else turn
        return Reply(reply) if isinstance(reply, str) else reply


@contextmanager
def model_server(script: Script) -> Iterator[ModelServer]:
    class Handler(_Handler):
        model: ModelServer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    Handler.model = model = ModelServer(f"http://127.0.0.1:{server.server_address[1]}", script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Left(Exception):
    """The client has closed its connection."""


class _Handler(BaseHTTPRequestHandler):
    model: ModelServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        read = _asked_of_anthropic if self.path.startswith("/v1/messages") else _asked_of_openai
        with self.model.lock:
            asked = replace(read(body), headers=headers, number=len(self.model.asked))
            self.model.asked.append(asked)
        try:
            given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
            self._answer(asked, self.model.reply_to(asked) if given == KEY else error(401, f"wrong key {given}"))
        except (_Left, OSError):
            self.model.broken.append(asked.number)
            self.close_connection = True
            return
        self.model.ended.append(asked.number)

    def _answer(self, asked: Asked, reply: Reply) -> None:
        until = time.monotonic() + reply.hang_s
        while (left := until - time.monotonic()) > 0:
            if self.model.closing.wait(min(left, 0.1)):
                raise _Left
        if reply.body is not None:
            self._send(reply.status, reply.body.encode(), reply.headers)
        elif not asked.streams:
            make = _anthropic_message if asked.api == "anthropic" else _openai_completion
            self._send(reply.status, json.dumps(make(asked, reply)).encode(), reply.headers)
        else:
            self._stream(asked, reply)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, asked: Asked, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = 0
        for is_piece, event in (_anthropic_events if asked.api == "anthropic" else _openai_events)(asked, reply):
            if is_piece:
                if reply.cut_after is not None and pieces >= reply.cut_after:
                    self.wfile.flush()
                    raise _Left
                if pieces and reply.pause_s and self.model.closing.wait(reply.pause_s):
                    raise _Left
                pieces += 1
            data = event.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or _text_of(part.get("content") or "") for part in content or ())


def _asked_of_openai(body: dict[str, Any]) -> Asked:
    said = [(one["role"], _text_of(one.get("content"))) for one in body["messages"]]
    return Asked(
        api="openai",
        model=body["model"],
        system="\n".join(text for role, text in said if role in ("system", "developer")),
        messages=tuple((role, text) for role, text in said if role in ("user", "assistant")),
        tools={one["function"]["name"]: one["function"]["parameters"] for one in body.get("tools", ())},
        results=tuple(text for role, text in said if role == "tool"),
        streams=bool(body.get("stream")),
        body=body,
        headers={},
        number=0,
    )


def _asked_of_anthropic(body: dict[str, Any]) -> Asked:
    blocks = [
        (one["role"], part)
        for one in body["messages"]
        for part in ([{"type": "text", "text": one["content"]}] if isinstance(one["content"], str) else one["content"])
    ]
    return Asked(
        api="anthropic",
        model=body["model"],
        system=_text_of(body.get("system") or ""),
        messages=tuple((role, part["text"]) for role, part in blocks if part["type"] == "text"),
        tools={one["name"]: one["input_schema"] for one in body.get("tools", ())},
        results=tuple(_text_of(part.get("content")) for _, part in blocks if part["type"] == "tool_result"),
        streams=bool(body.get("stream")),
        body=body,
        headers={},
        number=0,
    )


def _call_id(asked: Asked, at: int) -> str:
    return f"call_{len(asked.results)}_{at}"


def _openai_usage(reply: Reply) -> dict[str, int]:
    given, written = reply.input_tokens, reply.output_tokens
    return {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}


def _openai_finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _openai_call(asked: Asked, at: int, one: Call) -> dict[str, Any]:
    function = {"name": one.tool, "arguments": json.dumps(one.arguments)}
    return {"index": at, "id": _call_id(asked, at), "type": "function", "function": function}


def _openai_completion(asked: Asked, reply: Reply) -> dict[str, Any]:
    calls = [_openai_call(asked, at, one) for at, one in enumerate(reply.calls)]
    message = {"role": "assistant", "content": reply.text or None, **({"tool_calls": calls} if calls else {})}
    return {
        "id": f"chatcmpl-{asked.number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _openai_finish(reply)}],
        "usage": _openai_usage(reply),
    }


def _openai_events(asked: Asked, reply: Reply) -> Iterator[tuple[bool, str]]:
    def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> str:
        said = {
            "id": f"chatcmpl-{asked.number}",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": asked.model,
            "choices": [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}],
            **more,
        }
        return f"data: {json.dumps(said)}\n\n"

    yield False, chunk({"role": "assistant", "content": ""})
    for part in reply.parts():
        yield True, chunk({"content": part})
    for at, one in enumerate(reply.calls):
        yield True, chunk({"tool_calls": [_openai_call(asked, at, one)]})
    yield True, chunk({}, _openai_finish(reply))
    yield False, chunk(None, usage=_openai_usage(reply))
    yield False, "data: [DONE]\n\n"


def _anthropic_finish(reply: Reply) -> str:
    return "tool_use" if reply.calls else {"length": "max_tokens"}.get(reply.finish, "end_turn")


def _anthropic_message(asked: Asked, reply: Reply) -> dict[str, Any]:
    texts = [{"type": "text", "text": reply.text}] if reply.text else []
    calls = [
        {"type": "tool_use", "id": _call_id(asked, at), "name": one.tool, "input": one.arguments}
        for at, one in enumerate(reply.calls)
    ]
    return {
        "id": f"msg_{asked.number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": texts + calls,
        "stop_reason": _anthropic_finish(reply),
        "stop_sequence": None,
        "usage": {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens},
    }


def _anthropic_events(asked: Asked, reply: Reply) -> Iterator[tuple[bool, str]]:
    def event(kind: str, **data: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"

    whole = _anthropic_message(asked, reply)
    yield False, event("message_start", message={**whole, "content": [], "stop_reason": None})
    for at, block in enumerate(whole["content"]):
        is_text = block["type"] == "text"
        empty = {"type": "text", "text": ""} if is_text else {**block, "input": {}}
        yield False, event("content_block_start", index=at, content_block=empty)
        for part in reply.parts() if is_text else [json.dumps(block["input"])]:
            delta = (
                {"type": "text_delta", "text": part} if is_text else {"type": "input_json_delta", "partial_json": part}
            )
            yield True, event("content_block_delta", index=at, delta=delta)
        yield False, event("content_block_stop", index=at)
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield True, event("message_delta", delta=ended, usage={"output_tokens": reply.output_tokens})
    yield False, event("message_stop")
