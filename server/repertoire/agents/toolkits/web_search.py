"""Web search: `DuckDuckGoTools`, `GoogleSearchTools` and `HackerNewsTools`. Used by workflow files."""

from __future__ import annotations

from typing import Any, Final

from .toolkit import Toolkit, as_text, package, request_json

_HACKER_NEWS: Final = "https://hacker-news.firebaseio.com/v0"
_MOST_STORIES: Final = 50


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
        ddgs = package("ddgs", "ddgs", "DuckDuckGoTools")
        found = getattr(ddgs.DDGS(**self._options), what)(query, max_results=self.fixed_max_results or max_results)
        return as_text(list(found))


class GoogleSearchTools(Toolkit):
    """Searches Google, by the package `googlesearch-python`.

    Args:
        fixed_max_results, fixed_language: The number and the language of results, also if a call asks for another.
        headers, proxy, timeout: `proxy` and `timeout` are options of the connection; headers are accepted and ignored.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        fixed_max_results: int | None = None,
        fixed_language: str | None = None,
        headers: Any = None,
        proxy: str | None = None,
        timeout: int | None = 10,
        **options: Any,
    ) -> None:
        self.fixed_max_results = fixed_max_results
        self.fixed_language = fixed_language
        self._proxy, self._timeout = proxy, timeout
        super().__init__("googlesearch", [self.google_search], **options)

    def google_search(self, query: str, max_results: int = 5, language: str = "en") -> str:
        """Search Google; a JSON list of {title, url, description}."""
        found = package("googlesearch", "googlesearch-python", "GoogleSearchTools").search(
            query,
            num_results=self.fixed_max_results or max_results,
            lang=self.fixed_language or language,
            proxy=self._proxy,
            timeout=self._timeout,
            advanced=True,
        )
        return as_text([{"title": one.title, "url": one.url, "description": one.description} for one in found])


class HackerNewsTools(Toolkit):
    """Reads Hacker News. It needs no package and no key.

    Args:
        get_top_stories, get_user_details: True to give the agent this function.
        options: The options of every toolkit.
    """

    def __init__(self, get_top_stories: bool = True, get_user_details: bool = True, **options: Any) -> None:
        chosen = [self.get_top_hackernews_stories] * get_top_stories + [self.get_user_details] * get_user_details
        super().__init__("hackernews", chosen, **options)

    def get_top_hackernews_stories(self, num_stories: int = 10) -> str:
        """The top stories of Hacker News; a JSON list of {title, url, by, score, time, id}."""
        numbers = request_json(f"{_HACKER_NEWS}/topstories.json")[: max(1, min(num_stories, _MOST_STORIES))]
        return as_text([request_json(f"{_HACKER_NEWS}/item/{int(number)}.json") for number in numbers])

    def get_user_details(self, username: str) -> str:
        """A user of Hacker News: id, karma, about, and the number of submitted items."""
        if not username.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"{username!r} is no name of a user")
        user = request_json(f"{_HACKER_NEWS}/user/{username}.json") or {}
        about = {name: user.get(name) for name in ("id", "karma", "about", "created")}
        return as_text({**about, "total_items_submitted": len(user.get("submitted", []))})
