"""ApiSource: an HTTP API with an OpenAPI document as a source, `tools.NAME.operation(**arguments)`; used by the catalog.

1. The document is read at first use, from a file or a URL, and kept. A server that cannot be reached is asked again at the next use.
2. The operator's definition names the secret; the host adds it to each request. It goes to `base_url` only: redirects are not followed.
   Without `base_url` a document at a URL can only name a server of its own origin, because its author must not choose who gets the secret.
3. The addresses of an API are not checked: the operator named it, and it may well be a private one.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import anyio
import msgspec

from ..errors import BadSettings
from .checked_url import port_of
from .http_body import Body, body_of
from .identifiers import RESERVED_SOURCES
from .openapi_document import Document, Operation, parse_document, read_document
from .openapi_requests import ApiRequest, api_request
from .tool import Tool, ToolContext, ToolFailed, ToolTimeout, ToolUnavailable
from .variables import AddSecret, Mask, add_if_secret, expanded, names_in

if TYPE_CHECKING:
    import httpx2

_MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
_READING: Final = ("GET", "HEAD", "OPTIONS")
_URL: Final = ("http://", "https://")
_ASKED: Final = {"Accept-Encoding": "gzip"}
_WRITE: Final = "Write base_url in the definition."
_QUOTED: Final = 1000
"""Characters of an error's body that the exception quotes."""


class ApiDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    type: Literal["openapi"]
    document: str
    """A file, relative to the definition's folder, or a URL."""
    description: str = ""
    base_url: str | None = None
    """None: the document's first server."""
    auth: str | None = None
    """The secret, as `${env:NAME}`. The document's security scheme says where it goes; without one it is a bearer token."""
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    timeout: float = 30.0
    max_response_kb: int = 10 * 1024
    operations: list[str] | None = None
    """Only these operations, by their own ids. None: all."""
    read_only: bool = False
    """Only operations that read: GET, HEAD and OPTIONS."""
    destructive: list[str] = []
    """Operations that a person may have to approve, beside those with DELETE."""


class _Secrets(NamedTuple):
    headers: dict[str, str]
    query: dict[str, str]


class _Loaded(NamedTuple):
    base_url: str
    document: Document
    tools: tuple[Tool, ...]
    operations: dict[str, Operation]


def parse_api(data: dict[str, Any]) -> ApiDefinition:
    """The definition, checked. Raises BadSettings."""
    try:
        definition = msgspec.convert(data, ApiDefinition)
    except msgspec.ValidationError as error:
        raise BadSettings(str(error).replace("Object", "the definition")) from None
    if not definition.name.isidentifier():
        raise BadSettings(f"{definition.name!r} cannot be a name in Python", "Use letters, digits and _.")
    if definition.name in RESERVED_SOURCES:
        raise BadSettings(f"tools.{definition.name} has a meaning of its own", "Give it another name.")
    return definition


def _stamp_of(path: str) -> tuple[int, int] | None:
    """When a document was written. None: it is at a URL, or not there."""
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return None
    return about.st_mtime_ns, about.st_size


class ApiSource:
    """`folder` is that of the definition's file."""

    def __init__(
        self,
        definition: ApiDefinition,
        add_secret: AddSecret = lambda value, name: None,
        *,
        mask: Mask = str,
        folder: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._definition = definition
        self._add_secret = add_secret
        self._mask = mask
        self._folder = folder
        self._environ = os.environ if environ is None else environ
        self._client: httpx2.AsyncClient | None = None
        self._loaded: _Loaded | None = None
        self._loading = anyio.Lock()
        self._problem: str | None = None
        self._stamp = _stamp_of(os.path.join(folder, definition.document))

    @property
    def name(self) -> str:
        return self._definition.name

    @property
    def definition(self) -> tuple[Any, ...]:
        """Two sources with the same definition do the same."""
        return self._definition, self._folder, self._stamp

    @property
    def trouble(self) -> str | None:
        definition = self._definition
        texts = (definition.auth or "", *definition.headers.values(), *definition.query.values())
        missing = [name for text in texts for name in names_in(text) if name not in self._environ]
        if missing:
            return f"The environment variable {missing[0]} is not set where Repertoire runs."
        if self._problem is None and self._loaded is not None and self._loaded.document.left_out:
            return f"Some operations are left out: {'; '.join(self._loaded.document.left_out[:3])}."
        return self._problem

    async def list_tools(self) -> tuple[Tool, ...]:
        return (await self._load()).tools

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        loaded = await self._load()
        if (operation := loaded.operations.get(tool.name)) is None:
            raise ToolUnavailable(f"{self.name} no longer has {tool.name}.")
        request = api_request(operation, arguments)
        try:
            with anyio.fail_after(self._definition.timeout):
                body = await self._send(loaded, request, tool)
        except TimeoutError:
            raise ToolTimeout(
                f"{tool.path} has not answered within {self._definition.timeout:g} s.",
                "The operator sets the limit: timeout in its definition.",
            ) from None
        return _answer(tool, body, self._mask)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send(self, loaded: _Loaded, request: ApiRequest, tool: Tool) -> Body:
        import httpx2

        secrets = self._secrets(loaded.document)
        url = loaded.base_url.rstrip("/") + request.path
        try:
            client = await self._opened()
            sent = client.build_request(
                request.method,
                url,
                params=[*request.query, *secrets.query.items()],
                headers={**_ASKED, "Accept": "application/json, */*;q=0.5", **request.headers, **secrets.headers},
                content=request.content,
            )
            answer = await client.send(sent, stream=True)
            try:
                return await body_of(answer, url, self._definition.max_response_kb * 1024)
            finally:
                await answer.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ToolUnavailable(f"{self.name} cannot be reached: {error}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ToolFailed(f"{tool.path} broke off: {error or type(error).__name__}") from error

    async def _load(self) -> _Loaded:
        async with self._loading:
            if self._loaded is None:
                try:
                    self._loaded = await self._read()
                except BadSettings as error:
                    self._problem = f"{error.message[:1].upper()}{error.message[1:]}. {error.hint or ''}".rstrip()
                    raise ToolUnavailable(f"The API {self.name} cannot be used: {error.message}.") from error
                self._problem = None
            return self._loaded

    async def _read(self) -> _Loaded:
        address = self._definition.document
        if address.startswith(_URL):
            text = await self._download(address)
        else:
            try:
                text = await anyio.Path(self._folder, address).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise BadSettings(f"its document cannot be read: {error}") from error
        document = await anyio.to_thread.run_sync(lambda: read_document(parse_document(text)))
        chosen = [each for each in document.operations if self._offers(each)]
        return _Loaded(
            self._base_url(document, address),
            document,
            tuple(self._tool(each) for each in chosen),
            {each.name: each for each in chosen},
        )

    async def _download(self, url: str) -> str:
        import httpx2

        base_url = self._definition.base_url or ""
        try:
            is_theirs = not base_url.startswith(_URL) or _origin(base_url) == _origin(url)
            secrets = self._secrets(None) if is_theirs else _Secrets({}, {})
            with anyio.fail_after(self._definition.timeout):
                client = await self._opened()
                async with client.stream(
                    "GET", url, params=secrets.query or None, headers={**_ASKED, **secrets.headers}
                ) as answer:
                    body = await body_of(answer, url, _MAX_DOCUMENT_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ToolFailed) as error:
            raise BadSettings(f"its document cannot be loaded: {error or type(error).__name__}") from error
        if body.status != 200:
            raise BadSettings(f"its document cannot be loaded: {url} answered {body.status}")
        return body.data.decode("utf-8", "replace")

    def _base_url(self, document: Document, address: str) -> str:
        import httpx2

        url = self._definition.base_url or next(iter(document.servers), "")
        try:
            if address.startswith(_URL):
                url = str(httpx2.URL(address).join(url or "/"))
            is_theirs = (
                self._definition.base_url is not None
                or not address.startswith(_URL)
                or _origin(url) == _origin(address)
            )
        except httpx2.InvalidURL as error:
            raise BadSettings(f"its document names a server that is no URL: {error}", _WRITE) from None
        if not is_theirs:
            raise BadSettings(
                f"its document names the server {url.partition('?')[0][:200]}, which is not its own", _WRITE
            )
        if not url.startswith(_URL):
            raise BadSettings("its document names no server", _WRITE)
        return url

    def _offers(self, operation: Operation) -> bool:
        chosen = self._definition.operations
        is_chosen = chosen is None or operation.original in chosen or operation.name in chosen
        return is_chosen and (not self._definition.read_only or operation.method in _READING)

    def _tool(self, operation: Operation) -> Tool:
        key = next((name for name, each in operation.arguments.items() if each.name.lower() == "idempotency-key"), None)
        return Tool(
            source=self.name,
            name=operation.name,
            original=operation.original,
            description=operation.description,
            input_schema=operation.input_schema,
            output_schema=operation.output_schema,
            only_reads=operation.method in _READING,
            is_destructive=operation.method == "DELETE"
            or bool({operation.name, operation.original} & set(self._definition.destructive)),
            key_parameter=key,
        )

    def _secrets(self, document: Document | None) -> _Secrets:
        """Headers and query parameters of the definition. The `auth` secret is added where the document says, and is not sent for it."""
        definition = self._definition
        headers = {name: self._expanded(text, name) for name, text in definition.headers.items()}
        query = {name: self._expanded(text, name) for name, text in definition.query.items()}
        if definition.auth and document is not None:
            _add_auth(self._expanded(definition.auth, "auth"), document.security, headers, query, self._add_secret)
        return _Secrets(headers, query)

    def _expanded(self, text: str, name: str) -> str:
        found = expanded(text, self._environ, self._add_secret)
        add_if_secret(found, name, self._add_secret)  # it may stand in the definition itself
        return found

    async def _opened(self) -> httpx2.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx2

        if self._client is None:
            context = await anyio.to_thread.run_sync(httpx2.create_ssl_context)
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # all runs share the client
            self._client = self._client or httpx2.AsyncClient(verify=context, timeout=None, cookies=no_cookies)
        return self._client


def _origin(text: str) -> tuple[str, str, int]:
    import httpx2

    url = httpx2.URL(text)
    return url.scheme, url.host, port_of(url)


def _add_auth(
    secret: str,
    security: Mapping[str, dict[str, Any]],
    headers: dict[str, str],
    query: dict[str, str],
    add_secret: AddSecret,
) -> None:
    """Put the secret where the first scheme that is known says: an API key, HTTP basic as `user:password`, or a bearer token."""
    for scheme in security.values():
        name = str(scheme.get("name", ""))
        if scheme.get("type") == "apiKey" and name:
            if scheme.get("in") == "query":
                query[name] = secret
            elif scheme.get("in") == "cookie":
                headers["Cookie"] = f"{name}={secret}"
            else:
                headers[name] = secret
            return
        if scheme.get("type") == "http" and str(scheme.get("scheme", "")).lower() == "basic":
            encoded = base64.b64encode(secret.encode()).decode()
            add_secret(encoded, "basic")
            headers["Authorization"] = f"Basic {encoded}"
            return
    headers["Authorization"] = f"Bearer {secret}"


def _answer(tool: Tool, body: Body, mask: Mask) -> Any:
    """The JSON value, text, bytes, or None for an empty body."""
    if 300 <= body.status < 400:
        raise ToolFailed(
            f"{tool.path}: the API redirects to {body.headers.get('location', 'nowhere')}, which is not followed."
        )
    if body.status >= 400:
        words = mask((body.text() or "").strip())[:_QUOTED]
        raise ToolFailed(f"{tool.path} answered {body.status} {body.reason}{': ' if words else ''}{words}")
    return next(iter(body.content().values())) if body.data else None
