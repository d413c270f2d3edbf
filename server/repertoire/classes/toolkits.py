"""Toolkits: `DuckDuckGoTools` and `Newspaper4kTools` of the class style, over packages from PyPI. Used by workflow files.

A toolkit can be made without its package. A call then raises ImportError that names the package to install.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from . import logging


class Toolkit:
    """A set of functions for an agent.

    Args:
        name: The toolkit's name.
        tools: The functions.
        instructions: Instructions for the agent about these functions.
        include_tools, exclude_tools: Names of the functions to take, or to leave out.
        options: Accepted and kept; they have an effect once agents come.
    """

    def __init__(
        self,
        name: str = "toolkit",
        tools: Sequence[Callable[..., Any]] = (),
        instructions: str | None = None,
        *,
        include_tools: Sequence[str] | None = None,
        exclude_tools: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.instructions = instructions
        self.options = options
        named = {tool.__name__: tool for tool in tools}
        if unknown := {*(include_tools or ()), *(exclude_tools or ())} - named.keys():
            raise ValueError(f"{name} has no {', '.join(sorted(unknown))}; there are {', '.join(named) or 'none'}")
        chosen = named.keys() if include_tools is None else include_tools
        left_out = exclude_tools or ()
        self.functions = {one: tool for one, tool in named.items() if one in chosen and one not in left_out}
        self.tools = list(self.functions.values())

    def register(self, function: Callable[..., Any], name: str | None = None) -> None:
        """Add a function."""
        self.functions[name or function.__name__] = function
        self.tools.append(function)


class DuckDuckGoTools(Toolkit):
    """Searches the web, by the package `ddgs`.

    Args:
        search, news: True to give the agent this function.
        modifier: Words to put before each query of a search.
        fixed_max_results: The number of results, also if a call asks for another.
        proxy, timeout, verify_ssl: Options of the connection; `timeout` in seconds.
        headers, proxies: Accepted and ignored: ddgs has no such options.
        options: The options of every toolkit.
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
        **options: Any,
    ) -> None:
        self.modifier = modifier
        self.fixed_max_results = fixed_max_results
        self._options = {"proxy": proxy, "timeout": timeout, "verify": verify_ssl}
        chosen = [self.duckduckgo_search] * search + [self.duckduckgo_news] * news
        super().__init__("duckduckgo", chosen, **options)

    def duckduckgo_search(self, query: str, max_results: int = 5) -> str:
        """Search the web; a JSON list of {title, href, body}."""
        return self._ask("text", f"{self.modifier} {query}" if self.modifier else query, max_results)

    def duckduckgo_news(self, query: str, max_results: int = 5) -> str:
        """Search the news; a JSON list of {date, title, body, url, source}."""
        return self._ask("news", query, max_results)

    def _ask(self, what: str, query: str, max_results: int) -> str:
        ddgs = _package("ddgs", "ddgs", type(self).__name__)
        found = getattr(ddgs.DDGS(**self._options), what)(query, max_results=self.fixed_max_results or max_results)
        return json.dumps(list(found), indent=2)


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
        return json.dumps(data, indent=2)

    def _data(self, url: str) -> dict[str, Any]:
        article = _package("newspaper", "newspaper4k", type(self).__name__).article(url)
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


def _package(module: str, distribution: str, toolkit: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        missing = (
            "" if error.name in (None, module) else f" ({error})"
        )  # the package is there, but misses one of its own
        raise ImportError(
            f"{toolkit} needs the package {distribution}: pip install {distribution}{missing}", name=module
        ) from error
