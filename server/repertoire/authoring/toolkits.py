"""Two toolkits of the class style over packages of PyPI. Making one needs nothing; calling it without its package says what to install."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any


class Toolkit:
    """Functions that are given to an agent together."""

    def __init__(self, name: str, functions: list[Any]) -> None:
        self.name = name
        self.tools = functions
        self.functions = {function.__name__: function for function in functions}


class DuckDuckGoTools(Toolkit):
    """Searching the web, over `ddgs`.

    Args:
        search, news: Which of the two functions an agent is given.
        modifier: Words put before each query.
        fixed_max_results: How many results, whatever is asked for.
        proxy, timeout, verify_ssl: How the web is reached; seconds.
        headers, proxies: Accepted; ddgs has no such options.
    """

    def __init__(
        self,
        search: bool = True,
        news: bool = True,
        modifier: str | None = None,
        fixed_max_results: int | None = None,
        headers: Any = None,
        proxy: str | None = None,
        proxies: Any = None,
        timeout: int | None = 10,
        verify_ssl: bool = True,
    ) -> None:
        self.modifier = modifier
        self.fixed_max_results = fixed_max_results
        self._options = {"proxy": proxy, "timeout": timeout, "verify": verify_ssl}
        chosen = [self.duckduckgo_search] * search + [self.duckduckgo_news] * news
        super().__init__("duckduckgo", chosen)

    def duckduckgo_search(self, query: str, max_results: int = 5) -> str:
        """Search the web; a JSON list of {title, href, body}."""
        return self._ask("text", query, max_results)

    def duckduckgo_news(self, query: str, max_results: int = 5) -> str:
        """Search the news; a JSON list of {date, title, body, url, source}."""
        return self._ask("news", query, max_results)

    def _ask(self, what: str, query: str, max_results: int) -> str:
        ddgs = _package("ddgs", "ddgs", type(self).__name__)
        asked = f"{self.modifier} {query}" if self.modifier else query
        found = getattr(ddgs.DDGS(**self._options), what)(asked, max_results=self.fixed_max_results or max_results)
        return json.dumps(list(found), indent=2)


class Newspaper4kTools(Toolkit):
    """Reading articles, over `newspaper4k`.

    Args:
        read_article: Whether an agent is given the function.
        include_summary: Summarise each article too.
        article_length: Characters of text at most.
    """

    def __init__(
        self, read_article: bool = True, include_summary: bool = False, article_length: int | None = None
    ) -> None:
        self.include_summary = include_summary
        self.article_length = article_length
        super().__init__("newspaper4k_toolkit", [self.read_article] if read_article else [])

    def get_article_data(self, url: str) -> dict[str, Any]:
        """title, authors, text, publish_date and summary, as far as the page has them."""
        article = _package("newspaper", "newspaper4k", type(self).__name__).article(url)
        data = {"title": article.title, "authors": list(article.authors or []), "text": article.text}
        if self.include_summary:
            article.nlp()
            data["summary"] = article.summary
        date = article.publish_date
        if date:
            data["publish_date"] = date.isoformat() if hasattr(date, "isoformat") else str(date)
        return {key: value for key, value in data.items() if value}

    def read_article(self, url: str) -> str:
        """An article as JSON; a sentence when it cannot be read, which a model can act on."""
        try:
            data = self.get_article_data(url)
        except ImportError:
            raise
        except Exception as error:  # of a library that reads pages of any kind
            return f"Error reading article from {url}: {error}"
        if self.article_length and "text" in data:
            data["text"] = data["text"][: self.article_length]
        return json.dumps(data, indent=2)


def _package(module: str, distribution: str, toolkit: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{toolkit} needs the package {distribution}: pip install {distribution}", name=module
        ) from error
