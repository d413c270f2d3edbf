"""ClientModel: the caller's own model as a model of an agent; asks for each completion by a question of the run; used by the door `model`.

1. The request becomes a question to the caller, stored under the call's path. So a run that is begun again finds it, and its answer.
2. surfaces/mcp/sampling.py gives the question to the client's model, where the client offers that. Any other caller reads it as text, and
   answers it with `answer_run` or `repertoire answer`. Everything that holds for questions holds here: who may answer, expiry, cancelling.
3. An answer that cannot be read is refused when it is given (`read_model_answer`), and the question stays open.
4. The run keeps its worker for a while: a model answers within seconds, and a new worker would have to import its agent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..engine.doors import Door, DoorCall
from ..engine.live_run import Parking
from ..model.run import Question
from ..providers.model_ids import CLIENT
from .completion_answer import CompletionAnswer, read_answer
from .completion_request import CompletionRequest, Message, read_request
from .tool_doors import question_path

_PATIENCE_S: Final = 20.0
"""The run is parked when its question is open for so long."""
_CHARS_PER_TOKEN: Final = 4
"""For the usage, because clients do not tell theirs: the budget needs a number."""
_FINISH: Final = {"endTurn": "stop", "stopSequence": "stop", "maxTokens": "length", "toolUse": "tool_call"}


class ClientModel:
    def __init__(self, ask: Door, mask: Callable[[str], str]) -> None:
        """`ask` is the door for questions of bodies. `mask` hides secrets in a text."""
        self._ask = ask
        self._mask = mask

    async def request(self, call: DoorCall, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request, both in the form of `providers.exchange`."""
        wanted = self._masked(read_request(request))
        answer = await self._answer(call, wanted)
        return _reply(call.path, wanted, msgspec.convert(answer, CompletionAnswer))

    async def _answer(self, call: DoorCall, wanted: CompletionRequest) -> Any:
        patience = _Patience(call.wait_for)
        asked = call._replace(
            path=question_path(call.path, "model"),
            args={
                "question": wanted.as_text(),
                "schema": wanted.answer_schema(),
                "request": msgspec.to_builtins(wanted),
            },
            wait_for=patience.wait_for,
        )
        try:
            return (await self._ask(asked)).value
        finally:
            patience.wait_for(None)

    def _masked(self, wanted: CompletionRequest) -> CompletionRequest:
        messages = tuple(Message(one.role, self._mask(one.text)) for one in wanted.messages)
        return msgspec.structs.replace(wanted, system=self._mask(wanted.system), messages=messages)


class _Patience:
    """Says only after a while that the call waits for something that may take days."""

    def __init__(self, wait_for: Callable[[Parking | None], None]) -> None:
        self._wait_for = wait_for
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, parking: Parking | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if parking is None:
            self._wait_for(None)
        else:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._wait_for, parking)


def read_model_answer(question: Question, answer: Any) -> Any:
    """The answer to a model's question as it is stored. Raises BadArguments when it cannot be read."""
    request = msgspec.convert(question.request, CompletionRequest)
    return msgspec.to_builtins(read_answer(request, answer))


def _reply(path: str, wanted: CompletionRequest, answer: CompletionAnswer) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if answer.content:
        parts.append({"part_kind": "text", "content": answer.content})
    for number, one in enumerate(answer.tool_calls, 1):
        call_id = f"call_{path.replace('/', '_')}_{number}"
        parts.append({"part_kind": "tool-call", "tool_name": one.name, "args": one.arguments, "tool_call_id": call_id})
    asked = len(wanted.instructions) + sum(len(message.text) for message in wanted.messages)
    given = len(str(msgspec.to_builtins(answer)))
    response = {
        "kind": "response",
        "parts": parts,
        "usage": {"input_tokens": -(-asked // _CHARS_PER_TOKEN), "output_tokens": -(-given // _CHARS_PER_TOKEN)},
        "model_name": answer.model or CLIENT,
        "provider_name": CLIENT,
        "finish_reason": "tool_call" if answer.tool_calls else _FINISH.get(answer.stop or "", "stop"),
    }
    return {"response": response}
