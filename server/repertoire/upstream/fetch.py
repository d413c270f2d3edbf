"""Fetch: the built-in source `tools.fetch`, HTTP requests of workflows; used by the catalog. Not for the operator's own APIs: openapi.py.

1. Each hop, redirects too, is resolved, checked by AddressRules, and connected to the checked address. TLS still verifies the name.
2. Each hop has a connection of its own. A kept one would belong to an address, and two names may share an address.
3. Proxies of the environment are not used: a proxy resolves names itself, and nothing would have been checked.
4. Sizes are counted while the answer is read, as it comes and after decompression, so a gzip bomb ends at the limit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from ..text import well_formed
from .addresses import AddressRules
from .checked_url import http_url, port_of, shown
from .http_body import Body, body_of
from .tool import BadToolArguments, Tool, ToolContext, ToolFailed, ToolTimeout, ToolUnavailable
from .variables import Mask

if TYPE_CHECKING:
    import ssl

    import httpx2

NAME: Final = "fetch"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_OURS: Final = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "proxy-authorization")
)
"""Headers that the connection itself sets."""
_PORTABLE: Final = frozenset(("accept", "accept-language", "user-agent", "content-type"))
"""Headers that go along when a redirect leads to another server. Others may hold a secret for the first one."""
_QUOTED: Final = 200
"""Characters of an error page that its exception quotes."""


class FetchLimits(NamedTuple):
    max_bytes: int = 10 * 1024 * 1024
    """One answer, after decompression. It becomes a record of the run, and larger ones belong in a file."""
    timeout_s: float = 30.0
    """All of a call with its redirects, unless the call says `timeout`."""
    longest_timeout_s: float = 300.0
    max_redirects: int = 10


class _Request(NamedTuple):
    method: str
    url: httpx2.URL
    headers: Mapping[str, str]
    content: bytes | None


class Fetch:
    """`rules` says which addresses are allowed. `limits` bound size, time and redirects."""

    trouble: str | None = None

    def __init__(self, rules: AddressRules | None = None, limits: FetchLimits | None = None, mask: Mask = str) -> None:
        self._mask = mask
        self._rules = rules or AddressRules()
        self._limits = limits or FetchLimits()
        self._ssl: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        return NAME

    async def list_tools(self) -> tuple[Tool, ...]:
        return _TOOLS

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        request = _request(arguments)
        seconds = min(arguments.get("timeout") or self._limits.timeout_s, self._limits.longest_timeout_s)
        try:
            with anyio.fail_after(seconds):
                body = await self._follow(request)
        except TimeoutError:
            raise ToolTimeout(
                f"{shown(request.url)} has not answered within {seconds:g} s.", "Pass a longer timeout=, in seconds."
            ) from None
        return _answer(body) if tool.name == "response" else _text(body, self._mask)

    async def aclose(self) -> None:
        """Nothing is kept open."""

    async def _follow(self, request: _Request) -> Body:
        for hop in range(self._limits.max_redirects + 1):
            try:
                body = await self._send(request)
            except BadToolArguments as error:
                if not hop:
                    raise
                raise ToolFailed(f"A redirect was not followed: {error.message}", error.hint) from None
            if body.status not in _REDIRECTS or "location" not in body.headers:
                return body
            request = _redirected(request, body)
        raise ToolFailed(f"More than {self._limits.max_redirects} redirects, the last one to {shown(request.url)}.")

    async def _send(self, request: _Request) -> Body:
        """One hop. Addresses of the host are tried in turn until one accepts the connection."""
        import httpx2

        url = request.url
        port = port_of(url)
        host = url.raw_host.decode("ascii")
        addresses = await self._rules.checked(host, port)
        refusal: Exception | None = None
        for address in addresses:
            try:
                return await self._send_to(address, request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                refusal = error
            except httpx2.InvalidURL as error:
                raise BadToolArguments(f"{shown(url)} cannot be requested: {error}") from error
            except httpx2.HTTPError as error:
                raise ToolFailed(f"{shown(url)} broke off: {_reason(error)}") from error
        reason = _reason(refusal) if refusal else "the name has no address"
        raise ToolUnavailable(f"{host}:{port} cannot be reached: {reason}") from refusal

    async def _send_to(self, address: str, request: _Request) -> Body:
        import httpx2

        verify = await self._ssl_context() if request.url.scheme == "https" else False
        headers = _with_default(_with_default(request.headers, "Accept", "*/*"), "User-Agent", "repertoire")
        headers = _with_default(headers, "Accept-Encoding", "gzip")
        async with httpx2.AsyncClient(verify=verify, trust_env=False, timeout=None) as client:
            sent = client.build_request(
                request.method,
                request.url.copy_with(host=address),
                headers=headers | {"Host": request.url.netloc.decode("ascii")},
                content=request.content,
                extensions={"sni_hostname": request.url.raw_host.decode("ascii")},
            )
            answer = await client.send(sent, stream=True)
            try:
                return await body_of(answer, str(request.url), self._limits.max_bytes)
            finally:
                await answer.aclose()

    async def _ssl_context(self) -> ssl.SSLContext:
        """The machine's certificates, read once: that takes some 20 ms, so a thread does it."""
        import httpx2

        if self._ssl is None:
            self._ssl = await anyio.to_thread.run_sync(httpx2.create_ssl_context)
        return self._ssl


def _request(arguments: Mapping[str, Any]) -> _Request:
    headers = _headers(arguments.get("headers") or {})
    if arguments.get("json") is not None and arguments.get("body") is not None:
        raise BadToolArguments("body and json cannot be given together.", "Pass one of them.")
    content = None
    if arguments.get("json") is not None:
        content = json.dumps(arguments["json"], ensure_ascii=False, allow_nan=False).encode()
        headers = _with_default(headers, "Content-Type", "application/json")
    elif (text := arguments.get("body")) is not None:
        content = well_formed(text).encode()
    return _Request(arguments.get("method", "GET"), http_url(arguments["url"]), headers, content)


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if name.lower() in _OURS:
            raise BadToolArguments(f"The header {name} is set by the connection.", "Leave it out.")
        if not name.isascii() or not name.strip() or any(char in f"{name}{value}" for char in "\r\n\0"):
            raise BadToolArguments(f"{name!r} is not a header, or its value has a line break.")
        if not value.isascii():
            raise BadToolArguments(
                f"The value of the header {name} is not ASCII, and HTTP has no form for it.", "Encode it."
            )
    return dict(given)


def _with_default(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """The headers with this one, unless they have it in any spelling."""
    has_it = any(known.lower() == name.lower() for known in headers)
    return dict(headers) if has_it else {**headers, name: value}


def _redirected(request: _Request, body: Body) -> _Request:
    """The next hop. Other servers get no headers that may hold a secret. As in browsers, POST becomes GET after 301, 302 and 303."""
    import httpx2

    try:
        url = http_url(str(request.url.join(body.headers["location"])))
    except (BadToolArguments, httpx2.InvalidURL, ValueError) as error:
        raise ToolFailed(f"{shown(request.url)} redirects to a place that cannot be used: {error}") from None
    headers = request.headers
    if (url.scheme, url.host, url.port) != (request.url.scheme, request.url.host, request.url.port):
        headers = {name: value for name, value in headers.items() if name.lower() in _PORTABLE}
    method, content = request.method, request.content
    if (body.status == 303 and method != "HEAD") or (body.status in (301, 302) and method == "POST"):
        method, content = "GET", None
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    return _Request(method, url, headers, content)


def _text(body: Body, mask: Mask) -> str:
    """The body's text: the answer of `tools.fetch(url)`."""
    value = body.text()
    url = body.url.partition("?")[0]  # the query may hold a secret
    if body.status >= 400:
        quoted = f": {mask(value)[:_QUOTED]}" if value else ""
        raise ToolFailed(
            f"{url} answered {body.status} {body.reason}{quoted}".rstrip(),
            "tools.fetch.response(url=...) gives the answer whatever its status is.",
        )
    if value is None:
        raise ToolFailed(
            f"{url} is {body.mime_type or 'binary'}, not text.",
            "tools.fetch.response(url=...) gives its bytes as `data`.",
        )
    return value


def _answer(body: Body) -> dict[str, Any]:
    return {"status": body.status, "url": body.url, "headers": dict(body.headers)} | body.content()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _schema(properties: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: properties[name] for name in names},
        "required": ["url"],
        "additionalProperties": False,
    }


_PROPERTIES: Final[dict[str, Any]] = {
    "url": {"type": "string", "description": "http or https, without credentials."},
    "method": {"type": "string", "enum": list(_METHODS), "default": "GET"},
    "headers": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
    "body": {"type": ["string", "null"], "description": "Text to send.", "default": None},
    "json": {"description": "A value to send as JSON.", "default": None},
    "timeout": {"type": ["number", "null"], "exclusiveMinimum": 0, "description": "Seconds.", "default": None},
}

_TOOLS: Final = (
    Tool(
        source=NAME,
        name=NAME,
        original=NAME,
        description="Get a URL and return its text. Redirects are followed. A status of 400 or more raises an error.",
        input_schema=_schema(_PROPERTIES, ("url", "headers", "timeout")),
        output_schema={"type": "string"},
        only_reads=True,
    ),
    Tool(
        source=NAME,
        name="response",
        original="response",
        description="Send an HTTP request and return {status, url, headers} and the body as json, text or data (bytes).",
        input_schema=_schema(_PROPERTIES, tuple(_PROPERTIES)),
    ),
)
