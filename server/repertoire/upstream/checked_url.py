"""URLs of callers: `http_url` checks one, before anything is sent to it; used by `fetch` and by commands that take a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text import well_formed
from .tool import BadToolArguments

if TYPE_CHECKING:
    import httpx2


def http_url(text: str) -> httpx2.URL:
    """The URL, checked: http or https, a host, no credentials. Its fragment is left out."""
    import httpx2

    try:
        url = httpx2.URL(text)
        url.raw_host.decode("ascii")
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise BadToolArguments(f"This is not a URL: {error}", "Pass a URL such as https://example.com/page.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise BadToolArguments(
            f"The URL must begin with http:// or https:// and a host, not {well_formed(text[:40])!r}.",
            "Pass a URL such as https://example.com/page.",
        )
    if url.userinfo:
        raise BadToolArguments(
            f"The URL holds credentials for {url.host}. They would be recorded with the run.",
            "Leave them out, and pass the header Authorization if the server needs it.",
        )
    if url.port is not None and not 0 < url.port < 65536:
        raise BadToolArguments(f"{url.port} is not a port.")
    return url.copy_with(fragment=None)


def port_of(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def shown(url: httpx2.URL) -> str:
    """The URL for a message: without its query, which may hold a secret."""
    return str(url.copy_with(query=None))
