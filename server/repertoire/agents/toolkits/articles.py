"""Articles: toolkits that read documents of the web: `Newspaper4kTools`, `NewspaperTools`, `WebsiteTools`, `ArxivTools`, `WikipediaTools`.

Used by workflow files.
"""

from __future__ import annotations

import html
import io
import re
from typing import Any, Final
from xml.etree import ElementTree

from ...classes import logging
from .toolkit import Toolkit, as_text, package, request, request_bytes, request_json

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_MOST_TEXT: Final = 100_000
"""Characters of a page or a paper."""
_ARXIV_ID: Final = re.compile(r"(?:[\w.-]+/)?[\d.]+(?:v\d+)?")


class Newspaper4kTools(Toolkit):
    """Reads articles, by the package `newspaper4k`.

    Args:
        read_article: True to give the agent this function.
        include_summary: Add a summary to each article. Without the packages for that, articles have no summary.
        article_length: The most characters of text.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        read_article: bool = True,
        include_summary: bool = False,
        article_length: int | None = None,
        **options: Any,
    ) -> None:
        self.include_summary = include_summary
        self.article_length = article_length
        super().__init__("newspaper4k_tools", [self.read_article] if read_article else [], **options)

    def get_article_data(self, url: str) -> dict[str, Any] | None:
        """The page's title, authors, text, publish_date and summary, if it has them. None, with a warning, if it cannot be read."""
        try:
            return self._data(url)
        except ImportError:
            raise
        except Exception as error:  # the library may raise anything on an odd page
            logging.log_warning(f"Error reading article from {url}: {error}")
            return None

    def read_article(self, url: str) -> str:
        """The article as JSON. If it cannot be read, a sentence that a model can act on."""
        try:
            data = self._data(url)
        except ImportError:
            raise
        except Exception as error:  # as in `get_article_data`
            return f"Error reading article from {url}: {error}"
        if self.article_length and "text" in data:
            data["text"] = data["text"][: self.article_length]
        return as_text(data)

    def _data(self, url: str) -> dict[str, Any]:
        article = package("newspaper", "newspaper4k", "Newspaper4kTools").article(url)
        data = {"title": article.title, "authors": list(article.authors or []), "text": article.text}
        if self.include_summary:
            data["summary"] = _summary(article)
        date = article.publish_date
        if date:
            data["publish_date"] = date.isoformat() if hasattr(date, "isoformat") else str(date)
        return {key: value for key, value in data.items() if value}


def _summary(article: Any) -> str | None:
    """The summary; None if nltk or its data is missing, because the article is useful without."""
    try:
        article.nlp()
    except (ImportError, LookupError) as error:
        why = str(error).strip().partition("\n")[0]
        logging.log_warning(f"no summary: pip install 'newspaper4k[nlp]' and its data ({why})")
        return None
    return str(article.summary)


class NewspaperTools(Newspaper4kTools):
    """Reads the text of articles, by the package `newspaper4k`."""

    def __init__(self, get_article_text: bool = True, **options: Any) -> None:
        super().__init__(False, **options)
        if get_article_text:
            self.register(self.get_article_text)

    def get_article_text(self, url: str) -> str:
        """The text of the article at this address."""
        data = self.get_article_data(url)
        return data.get("text", "") if data else f"Error reading article from {url}"


class WebsiteTools(Toolkit):
    """Reads a page as text. It needs no package and no key."""

    def __init__(self, knowledge_base: Any = None, **options: Any) -> None:
        super().__init__("website_tools", [self.read_url], **options)

    def read_url(self, url: str) -> str:
        """The text of the page at this address, without its markup."""
        return _plain_text(request(url))[:_MOST_TEXT]


class ArxivTools(Toolkit):
    """Searches arXiv. Reading papers needs the package `pypdf`.

    Args:
        search_arxiv, read_arxiv_papers: True to give the agent this function.
        download_dir: Accepted and ignored: papers are read without a file.
        options: The options of every toolkit.
    """

    def __init__(
        self, search_arxiv: bool = True, read_arxiv_papers: bool = True, download_dir: Any = None, **options: Any
    ) -> None:
        chosen = [self.search_arxiv_and_return_articles] * search_arxiv + [self.read_arxiv_papers] * read_arxiv_papers
        super().__init__("arxiv_tools", chosen, **options)

    def search_arxiv_and_return_articles(self, query: str, num_articles: int = 10) -> str:
        """Search arXiv; a JSON list of {title, id, authors, published, summary, pdf_url}."""
        return as_text(_arxiv(search_query=f"all:{query}", max_results=max(1, min(num_articles, 100))))

    def read_arxiv_papers(self, id_list: list[str], pages_to_read: int | None = None) -> str:
        """Read papers by their ids, such as 2103.03404v1; the articles with the text of each page."""
        if wrong := [one for one in id_list if not _ARXIV_ID.fullmatch(one)]:
            raise ValueError(f"{wrong[0][:100]!r} is no id of arXiv")
        reader = package("pypdf", "pypdf", "ArxivTools")
        found = _arxiv(id_list=",".join(id_list), max_results=len(id_list))
        for article in found:
            raw, _ = request_bytes(article["pdf_url"])
            pages = reader.PdfReader(io.BytesIO(raw)).pages[:pages_to_read]
            article["content"] = [{"page": n, "text": page.extract_text()} for n, page in enumerate(pages, 1)]
        return as_text(found)


class WikipediaTools(Toolkit):
    """Searches Wikipedia. It needs no package and no key."""

    def __init__(self, knowledge_base: Any = None, language: str = "en", **options: Any) -> None:
        if not re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?", language):
            raise ValueError(f"{language!r} is no language of Wikipedia")
        self._url = f"https://{language}.wikipedia.org/w/api.php"
        super().__init__("wikipedia_tools", [self.search_wikipedia], **options)

    def search_wikipedia(self, query: str) -> str:
        """The Wikipedia article that fits best, as JSON: {name, url, content}."""
        asked = {
            "action": "query", "format": "json", "generator": "search", "gsrsearch": query, "gsrlimit": 1,
            "prop": "extracts|info", "explaintext": 1, "exintro": 1, "inprop": "url",
        }  # fmt: skip
        pages = list(request_json(self._url, query=asked).get("query", {}).get("pages", {}).values())
        if not pages:
            return f"Wikipedia has no article for {query!r}"
        page = pages[0]
        return as_text({"name": page.get("title"), "url": page.get("fullurl"), "content": page.get("extract", "")})


def _arxiv(**asked: Any) -> list[dict[str, Any]]:
    feed = ElementTree.fromstring(request("https://export.arxiv.org/api/query", query=asked))
    return [
        {
            "title": " ".join((entry.findtext(f"{_ATOM}title") or "").split()),
            "id": (entry.findtext(f"{_ATOM}id") or "").rpartition("/")[2],
            "authors": [one.findtext(f"{_ATOM}name") for one in entry.findall(f"{_ATOM}author")],
            "published": entry.findtext(f"{_ATOM}published"),
            "summary": " ".join((entry.findtext(f"{_ATOM}summary") or "").split()),
            "pdf_url": (entry.findtext(f"{_ATOM}id") or "").replace("/abs/", "/pdf/").replace("http://", "https://"),
        }
        for entry in feed.findall(f"{_ATOM}entry")
    ]


def _plain_text(page: str) -> str:
    page = re.sub(r"(?is)<(script|style|noscript|template)\b.*?</\1\s*>|<!--.*?-->", " ", page)
    page = re.sub(r"(?i)<(?:br|/p|/div|/li|/h[1-6]|/tr)\b[^>]*>", "\n", page)
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    return "\n".join(line for line in (" ".join(one.split()) for one in text.splitlines()) if line)
