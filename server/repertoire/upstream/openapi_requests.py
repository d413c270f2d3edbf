"""OpenAPI requests: path, query, headers, cookies and body of one call, in the styles that the document names; used by openapi.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from ..text import well_formed, well_formed_json
from .openapi_document import Argument, Operation
from .tool import BadToolArguments


class ApiRequest(NamedTuple):
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    content: bytes | None


def api_request(operation: Operation, arguments: Mapping[str, Any]) -> ApiRequest:
    """The request for these arguments, by the names of the caller. Raises BadToolArguments for a value that has no form there."""
    path = operation.path
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, argument in operation.arguments.items():
        if name not in arguments or argument.location == "body":
            continue
        value = arguments[name]
        if argument.location == "path":
            path = path.replace(f"{{{argument.name}}}", _path_part(name, argument, value))
        elif argument.location == "query":
            query += _pairs(argument, value)
        elif argument.location == "header":
            headers[argument.name] = _header(name, _joined(argument, value, ","))
        else:
            cookies += [f"{quote(key)}={quote(text)}" for key, text in _pairs(argument, value)]
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    content = _content(operation, arguments)
    if content is not None:
        headers["Content-Type"] = "application/json" if operation.body_type == "*/*" else operation.body_type
    return ApiRequest(operation.method, path, tuple(query), headers, content)


def _content(operation: Operation, arguments: Mapping[str, Any]) -> bytes | None:
    given = {name: each for name, each in operation.arguments.items() if each.location == "body" and name in arguments}
    if not given:
        return None
    whole = next((name for name, each in given.items() if not each.name), None)
    value = arguments[whole] if whole else {each.name: arguments[name] for name, each in given.items()}
    if operation.body_type.startswith("text/"):
        return _text(value).encode()
    if operation.body_type == "application/x-www-form-urlencoded":
        rows = value.items() if isinstance(value, dict) else ()
        return urlencode([(key, _text(each)) for key, item in rows for each in _items(item)]).encode()
    return json.dumps(well_formed_json(value), ensure_ascii=False).encode()


def _path_part(name: str, argument: Argument, value: Any) -> str:
    """The value, quoted. An empty one, `.` and `..` would make another path of it."""
    text = _joined(argument, value, ",")
    if text in ("", ".", ".."):
        raise BadToolArguments(
            f"{name} is part of the path and must not be {text!r}.", "Pass the name or the number of the thing."
        )
    return quote(text, safe=",")


def _header(name: str, text: str) -> str:
    if any(char in text for char in "\r\n\0") or not text.isascii():
        raise BadToolArguments(f"{name} has a line break or is not ASCII, which no header can hold.", "Leave it out.")
    return text


def _pairs(argument: Argument, value: Any) -> list[tuple[str, str]]:
    """Names and values in a query, by the parameter's style."""
    name = argument.name
    if argument.as_json:
        return [(name, json.dumps(value, ensure_ascii=False))]
    if isinstance(value, dict):
        if argument.style == "deepObject":
            return [(f"{name}[{key}]", _text(each)) for key, item in value.items() for each in _items(item)]
        if argument.explode:
            return [(key, _text(each)) for key, item in value.items() for each in _items(item)]
    if isinstance(value, list) and argument.explode:
        return [(name, _text(each)) for each in value]
    if value is None:
        return []
    separator = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(argument.style, ",")
    return [(name, _joined(argument, value, separator))]


def _joined(argument: Argument, value: Any, separator: str) -> str:
    if argument.as_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        if argument.explode and argument.style == "simple":
            return separator.join(f"{key}={_text(each)}" for key, each in value.items())
        return separator.join(part for key, each in value.items() for part in (key, _text(each)))
    return separator.join(_text(each) for each in _items(value))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return well_formed(value)
    return json.dumps(value, ensure_ascii=False) if value is not None else ""
