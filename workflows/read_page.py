"""Read a web page or a JSON document: title, headings, plain text and links of a page; the value of JSON, or a part of it.

Fetches with `tools.fetch`, which reaches public addresses. The setting `fetch_private_hosts` lists others.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Literal, TypeGuard
from urllib.parse import urljoin

from repertoire import tools

__workflow__ = {"tags": ["web", "http", "json", "example"], "timeout_s": 120, "read_only": True}

MOST_LINKS = 100
UNSEEN = {"script", "style", "noscript", "template", "svg", "head"}
"""Elements whose text nobody reads."""
BLOCKS = {
    "p",
    "div",
    "li",
    "tr",
    "br",
    "section",
    "article",
    "pre",
    "blockquote",
    "table",
    "ul",
    "ol",
    "dt",
    "dd",
    "hr",
}


@dataclass(frozen=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True)
class Page:
    """`kind` says what it was. A page has `title`, `headings` (as Markdown), `text` and `links`; JSON has `value`; other text has `text`."""

    url: str
    kind: Literal["html", "json", "text"]
    title: str | None = None
    headings: list[str] | None = None
    text: str | None = None
    text_cut: bool = False
    links: list[Link] | None = None
    value: Any = None


def run(url: str, pointer: str = "", most_characters: int = 20_000) -> Page:
    """Read a web page or a JSON document.

    Args:
        url: The address, http or https.
        pointer: Of JSON only: the part to give, as a JSON pointer such as `/items/0/name`. By default all of it.
        most_characters: The most characters of the text to give.

    Raises:
        ValueError: The answer is not text, the status is an error, or the pointer leads nowhere.
    """
    if not 1 <= most_characters <= 1_000_000:
        raise ValueError("`most_characters` must be between 1 and 1000000.")
    answer = tools.fetch.response.with_options(retries=2)(url=url)
    where = str(answer["url"])
    if answer["status"] >= 400:
        raise ValueError(f"{where} answers with status {answer['status']}. Check the address.")
    if "json" in answer:
        return Page(where, "json", value=_part(answer["json"], pointer))
    if pointer:
        raise ValueError(f"{where} is not JSON, so `pointer` has no meaning. Leave it out.")
    if "text" not in answer:
        raise ValueError(f"{where} is not text. `tools.fetch.response` gives its bytes as an artifact.")
    text = str(answer["text"])
    if not re.search(r"<(!doctype html|html|body|head|p|div|h1)\b", text[:5000], re.IGNORECASE):
        return Page(where, "text", text=text[:most_characters], text_cut=len(text) > most_characters)
    reader = _Reader(where)
    reader.feed(text)
    reader.close()
    words = reader.plain()
    return Page(
        where,
        "html",
        title=" ".join("".join(reader.title).split()) or None,
        headings=reader.headings,
        text=words[:most_characters],
        text_cut=len(words) > most_characters,
        links=reader.links[:MOST_LINKS],
    )


def _part(value: Any, pointer: str) -> Any:
    """The part of a JSON value that a pointer (RFC 6901) names."""
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"A JSON pointer begins with `/`, as `/items/0`; got {pointer!r}.")
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        inside = _inside(value)
        if key not in inside:
            there = ", ".join(list(inside)[:20]) or f"{value!r:.100}"
            raise ValueError(f"`pointer` {pointer!r} leads nowhere at {key!r}: there is only {there}.")
        value = inside[key]
    return value


def _inside(value: Any) -> dict[str, Any]:
    """What a JSON value holds, by the steps of a pointer."""
    if _is_object(value):
        return value
    return {str(n): item for n, item in enumerate(value)} if _is_array(value) else {}


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


class _Reader(HTMLParser):
    """Title, headings, text and links of a page."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self._parts: list[str] = []
        self._hidden = 0
        self._open: list[str] | None = None
        """Parts of the heading that is open."""
        self._link: tuple[str, list[str]] | None = None
        self._in_title = False
        self.title: list[str] = []
        self.headings: list[str] = []
        self.links: list[Link] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = not self.title  # pictures have titles too
        elif tag in UNSEEN:
            self._hidden += 1
        elif tag == "body":
            self._hidden = 0  # some pages never close their head
        elif re.fullmatch(r"h[1-6]", tag):
            self._open = []
            self._parts.append("\n\n")
        elif tag in BLOCKS:
            self._parts.append("\n" if tag in ("li", "br", "tr") else "\n\n")
        elif tag == "a" and (target := dict(attrs).get("href")):
            self._link = (target, [])

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in UNSEEN:
            self._hidden = max(0, self._hidden - 1)
        elif re.fullmatch(r"h[1-6]", tag) and self._open is not None:
            title = " ".join("".join(self._open).split())
            if title:
                self.headings.append(f"{'#' * int(tag[1])} {title}")
            self._open = None
            self._parts.append("\n\n")
        elif tag == "a" and self._link is not None:
            target, said = self._link
            address = _joined(self._base, target)
            if address.startswith(("http://", "https://")):
                self.links.append(Link(" ".join("".join(said).split()), address))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._hidden:
            self._parts.append(re.sub(r"\s+", " ", data))
            if self._open is not None:
                self._open.append(data)
            if self._link is not None:
                self._link[1].append(data)

    def plain(self) -> str:
        lines = (line.strip() for line in "".join(self._parts).splitlines())
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _joined(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:  # such as a broken IPv6 address
        return ""
