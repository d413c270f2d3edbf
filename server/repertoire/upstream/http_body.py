"""Body: an HTTP answer that was read within a limit, and its content as JSON, text or bytes; used by `fetch` and by OpenAPI sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from ..text import well_formed, well_formed_json
from .tool import Blob, ToolFailed

if TYPE_CHECKING:
    import httpx2

_TEXT_TYPES: Final = (
    "application/json",
    "application/xml",
    "application/javascript",
    "application/x-www-form-urlencoded",
)

_CODINGS: Final = frozenset(("", "identity", "gzip", "deflate"))


class Body(NamedTuple):
    """`headers` have lower-case names. `url` is the one that answered, after redirects."""

    status: int
    reason: str
    url: str
    headers: Mapping[str, str]
    data: bytes

    @property
    def mime_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def text(self) -> str | None:
        """The content as text; None for bytes that are not text."""
        kind = self.mime_type
        if kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml")):
            return self._decoded()
        if b"\0" in self.data:
            return None
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            return None

    def content(self) -> dict[str, Any]:
        """One of {"json": value}, {"text": str} and {"data": Blob}."""
        text = self.text()
        if text is None:
            return {"data": Blob(self.data, self.mime_type or "application/octet-stream")}
        if self.mime_type == "application/json" or self.mime_type.endswith("+json"):
            try:
                return {"json": parsed_json(text)}
            except ValueError:
                pass  # it says that it is JSON, and is not
        return {"text": text}

    def _decoded(self) -> str:
        charset = self.headers.get("content-type", "").lower().rpartition("charset=")[2].partition(";")[0].strip(" \"'")
        if charset and "/" not in charset:
            try:
                return well_formed(self.data.decode(charset, "replace"))
            except (LookupError, ValueError):
                pass  # a charset that Python does not know
        return self.data.decode("utf-8-sig", "replace")


async def body_of(answer: httpx2.Response, url: str, max_bytes: int) -> Body:
    """Read the answer. Raises ToolFailed when it is larger than `max_bytes`, before or after decompression."""
    announced = answer.headers.get("content-length", "")
    if answer.request.method != "HEAD" and announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(url, max_bytes)
    coding = answer.headers.get("content-encoding", "").strip().lower()
    if (
        coding not in _CODINGS and answer.request.method != "HEAD"
    ):  # several codings could take seconds of the loop's time and give no byte
        raise ToolFailed(
            f"The answer of {url.partition('?')[0]} is encoded as {well_formed(coding[:40])!r}, which is not read.",
            "One of gzip and deflate is read.",
        )
    data = bytearray()
    async for piece in answer.aiter_bytes():
        data += piece
        if max(len(data), answer.num_bytes_downloaded) > max_bytes:
            raise _too_large(url, max_bytes)
    headers = {name.lower(): well_formed(value) for name, value in answer.headers.items()}
    return Body(answer.status_code, answer.reason_phrase, url, headers, bytes(data))


def parsed_json(text: str) -> Any:
    """The JSON value. Raises ValueError for anything that is not JSON: NaN, a nesting that is too deep, a number that is too long."""
    try:
        return well_formed_json(json.loads(text, parse_constant=_refuse_constant))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _too_large(url: str, max_bytes: int) -> ToolFailed:
    return ToolFailed(
        f"The answer of {url.partition('?')[0]} is larger than {max_bytes // 1024:,} KiB.",
        "Ask for a smaller part of it.",
    )
