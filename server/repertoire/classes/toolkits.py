"""Two toolkits of the class style over packages of PyPI. Making one needs nothing; calling it without its package says what to install."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from . import logging


class Toolkit:
    """Functions that are given to an agent together.

    Args:
        name: Of the toolkit.
        tools: The functions.
        instructions: How an agent is to use them.
        include_tools, exclude_tools: Only these of the functions; all but these; by name.
        options: Accepted; what a toolkit may ask of an agent comes with agents.
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
        """One more."""
        self.functions[name or function.__name__] = function
        self.tools.append(function)


class DuckDuckGoTools(Toolkit):
    """Searching the web, over `ddgs`.

    Args:
        search, news: Which of the two functions an agent is given.
        modifier: Words put before each query of a search.
        fixed_max_results: How many results, whatever is asked for.
        proxy, timeout, verify_ssl: How the web is reached; seconds.
        headers, proxies: Accepted; ddgs has no such options.
        options: Those of every toolkit.
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
    """Reading articles, over `newspaper4k`.

    Args:
        read_article: Whether an agent is given the function.
        include_summary: Summarise each article too; without the packages for that, articles come without.
        article_length: Characters of text at most.
        options: Those of every toolkit.
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
        """title, authors, text, publish_date and summary, as far as the page has them. None, with a warning, if it cannot be read."""
        try:
            return self._data(url)
        except ImportError:
            raise
        except Exception as error:  # of a library that reads pages of any kind
            logging.log_warning(f"Error reading article from {url}: {error}")
            return None

    def read_article(self, url: str) -> str:
        """An article as JSON; a sentence when it cannot be read, which a model can act on."""
        try:
            data = self._data(url)
        except ImportError:
            raise
        except Exception as error:  # as above
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
    """None where nltk or the words that it downloads are missing: the article is worth having without."""
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
        missing = "" if error.name in (None, module) else f" ({error})"  # it is there, and lacks something itself
        raise ImportError(
            f"{toolkit} needs the package {distribution}: pip install {distribution}{missing}", name=module
        ) from error
