"""JSON-RPC messages as clients write them: `read` repairs harmless oddities and refuses the rest; used by every transport.

Harmless are a byte order mark, half an emoji, `arguments: []`, `arguments` as text, `params: []`, an id of 1.0, and a progress token that
is neither text nor integer: then there is no progress. It does not check a method's own parameters: the SDK does.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ..text import well_formed_json

PARSE_ERROR: Final = -32700
INVALID_PARAMS: Final = -32602
_SHOWN: Final = 100


class Unreadable(Exception):
    """Raised for a message that cannot be read. `number` is its id, where there is one."""

    def __init__(self, code: int, message: str, number: str | int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.number = number

    def answer(self) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": self.number, "error": {"code": self.code, "message": self.message}}


def is_plain(said: Any) -> bool:
    """Whether a message needs no repair. Nearly all need none."""
    if type(said) is not dict or type(said.get("id", 0)) is float:
        return False
    return not ("params" in said and has_odd_params(said["params"]))


def has_odd_params(params: Any) -> bool:
    if type(params) is not dict:
        return True
    if "arguments" in params and type(params["arguments"]) is not dict:
        return True
    meta = params.get("_meta", {})
    return type(meta) is not dict or type(meta.get("progressToken", 0)) not in (str, int)


def read(line: bytes) -> Any:
    """The repaired message. Raises Unreadable, and ValueError for a line that is not JSON."""
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            PARSE_ERROR, f"this message is not UTF-8: byte {error.object[error.start]:#x} at position {error.start}"
        ) from None
    try:
        said = well_formed_json(json.loads(text))
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise Unreadable(
                PARSE_ERROR, "an integer in this message has more than 4,300 digits: send it as text"
            ) from None
        raise
    except RecursionError:
        raise Unreadable(PARSE_ERROR, "this message is nested too deeply") from None
    return _repair(said) if isinstance(said, dict) else said


def _repair(said: dict[str, Any]) -> dict[str, Any]:
    number = said.get("id")
    if type(number) is float and number.is_integer():
        said["id"] = number = int(number)
    if "params" in said:
        params = said["params"]
        if params is None or params == []:
            del said["params"]
        elif isinstance(params, dict):
            _repair_params(params, number if type(number) in (str, int) else None)
    return said


def _repair_params(params: dict[str, Any], number: str | int | None) -> None:
    if "_meta" in params:
        _repair_meta(params)
    if "arguments" not in params:
        return
    given = params["arguments"]
    if isinstance(given, str):
        given = _decode(given)
    if given is None or given == [] or given == "":
        del params["arguments"]
    elif isinstance(given, dict):
        params["arguments"] = given
    else:
        shown = json.dumps(given)[:_SHOWN]
        raise Unreadable(
            INVALID_PARAMS,
            f"`arguments` must be an object with the tool's parameters, for example {{}}; got {shown}",
            number,
        )


def _repair_meta(params: dict[str, Any]) -> None:
    meta = params["_meta"]
    if not isinstance(meta, dict):
        del params["_meta"]
        return
    token = meta.get("progressToken", 0)
    if type(token) is float and token.is_integer():
        meta["progressToken"] = int(token)
    elif type(token) not in (str, int):
        del meta["progressToken"]


def _decode(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
