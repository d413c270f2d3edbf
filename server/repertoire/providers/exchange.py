"""Exchange: a model request and its reply as JSON, in a normal form; used by the worker's `DoorModel` and by whoever makes the request.

The journal compares the hash of a call's arguments when a body is executed again. So a request holds no times, no ids of runs and no ids
that were drawn at random: ids of tool calls that pydantic-ai has invented are numbered anew. The provider gets this normal form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..text import well_formed

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

_OF_ONE_RUN: Final = frozenset(
    [
        "timestamp",
        "run_id",
        "conversation_id",
        "usage",
        "workspace_ref",
        "history_digest",
        "failed_attempts",
        "content_file_digests",
    ]
)
"""Fields of messages that differ from run to run, and that no provider is sent."""
_OF_PARAMETERS: Final = frozenset(("toolset_id", "capability_id"))
_INVENTED: Final = "pyd_ai_"
"""Prefix of the tool-call ids that pydantic-ai makes where a provider gives none."""


class ModelRequest(NamedTuple):
    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters


def request_json(
    messages: Sequence[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> dict[str, Any]:
    """The request as JSON. Equal requests of two executions of a body give equal values."""
    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelMessagesTypeAdapter
    from pydantic_ai.models import ModelRequestParameters

    said = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")
    adapter = TypeAdapter(ModelRequestParameters)
    wanted = adapter.dump_python(parameters, mode="json", exclude_defaults=True)
    if parameters.native_tools:
        wanted["native_tools"] = adapter.dump_python(parameters, mode="json")["native_tools"]
    for name in ("revealed_tool_names", "introduced_tool_names", "deferred_capability_ids"):  # sets
        if name in wanted:
            wanted[name] = sorted(wanted[name])
    for tool in (*wanted.get("function_tools", ()), *wanted.get("output_tools", ())):
        for name in _OF_PARAMETERS:
            tool.pop(name, None)
    ids: dict[str, str] = {}
    request = {"messages": [_normal_message(one, ids) for one in said], "parameters": wanted}
    if settings:
        try:
            request["settings"] = TypeAdapter(dict[str, Any]).dump_python(dict(settings), mode="json")
        except ValueError as error:
            raise TypeError(f"An option of the model is no JSON value: {error}") from None
    return {name: _portable(value) for name, value in request.items()}


def read_request(request: dict[str, Any]) -> ModelRequest:
    """The request in pydantic-ai's own types. Raises ValueError where it has another form, or wants files of this machine's network."""
    from typing import cast

    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelMessagesTypeAdapter
    from pydantic_ai.models import ModelRequestParameters

    _check_addresses(request.get("messages"))
    return ModelRequest(
        ModelMessagesTypeAdapter.validate_python(request.get("messages")),
        cast("ModelSettings | None", TypeAdapter(dict[str, Any] | None).validate_python(request.get("settings"))),
        TypeAdapter(ModelRequestParameters).validate_python(request.get("parameters") or {}),
    )


def _check_addresses(value: Any) -> None:
    """The maker of the request may fetch the files that it names. Local addresses are for the code that runs there, not for the server."""
    if isinstance(value, dict):
        if value.get("force_download") == "allow-local" and str(value.get("kind")).endswith("-url"):
            raise ValueError("force_download='allow-local' is not possible: give the file's content instead")
        for item in value.values():
            _check_addresses(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_addresses(item)


def reply_json(response: ModelResponse, pieces: Sequence[tuple[int, int]] = ()) -> dict[str, Any]:
    """The reply as it is recorded. `pieces` are the parts of a streamed text: the index of its part and its length in characters."""
    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelResponse

    said = TypeAdapter(ModelResponse).dump_python(response, mode="json")
    said["parts"] = [_given(part) for part in said["parts"]]
    reply: dict[str, Any] = {"response": _portable(_given(said))}
    if pieces:
        reply["pieces"] = [list(one) for one in pieces]
    return reply


def read_reply(reply: dict[str, Any]) -> tuple[ModelResponse, list[tuple[int, int]]]:
    """The response, and the pieces of its texts. Raises ValueError where it has another form."""
    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelResponse

    pieces = [(int(part), int(length)) for part, length in reply.get("pieces", ())]
    return TypeAdapter(ModelResponse).validate_python(reply["response"]), pieces


def library() -> str:
    """The name and version of the library that makes the requests."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"pydantic-ai {version('pydantic-ai-slim')}"
    except PackageNotFoundError:
        return "no pydantic-ai"


def _normal_message(message: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    parts = [_normal_part(part, ids) for part in message["parts"]]
    return {**_lasting(message), "parts": parts}


def _normal_part(part: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    kept = _lasting(part)
    known = kept.get("tool_call_id")
    if isinstance(known, str) and known.startswith(_INVENTED):
        kept["tool_call_id"] = ids.setdefault(known, f"call_{len(ids) + 1}")
    return kept


def _lasting(value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if item is not None and name not in _OF_ONE_RUN}


def _given(value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if item is not None}


def _portable(value: Any) -> Any:
    """The JSON value with valid texts only, and without numbers that JSON does not have."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {well_formed(str(key)): _portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item) for item in value]
    return value
