"""Keyed toolkits: services that are asked over HTTP with a key: Exa, Tavily, Serper, Firecrawl, Jina, ScrapeGraph, Resend.

They need no package. The key is given in the code or comes from the environment. Used by workflow files.
"""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import quote

from .toolkit import Toolkit, as_text, key, request, request_json

_MOST_TEXT: Final = 50_000
"""Characters of a page that a model is given."""


class ExaTools(Toolkit):
    """Searches the web with exa.ai and the key EXA_API_KEY.

    Args:
        search, get_contents, find_similar, answer: True to give the agent this function.
        text, text_length_limit: True to give the text of each page, and the most characters of it.
        num_results: The number of results, also if a call asks for another.
        api_key: The key; by default that of the environment.
        include_domains, exclude_domains, category, type, start_published_date, end_published_date, livecrawl, use_autoprompt: Options
            of each search.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        search: bool = True,
        get_contents: bool = True,
        find_similar: bool = True,
        answer: bool = True,
        text: bool = True,
        text_length_limit: int = 1000,
        num_results: int | None = None,
        api_key: str | None = None,
        include_domains: list[str] | None = None,
        exclude_domains: list[str] | None = None,
        category: str | None = None,
        type: str | None = None,
        start_published_date: str | None = None,
        end_published_date: str | None = None,
        **options: Any,
    ) -> None:
        self._key, self.num_results = api_key, num_results
        self._text: Any = {"maxCharacters": text_length_limit} if text else False
        asked = {
            "includeDomains": include_domains, "excludeDomains": exclude_domains, "category": category, "type": type,
            "startPublishedDate": start_published_date, "endPublishedDate": end_published_date,
        }  # fmt: skip
        self._asked = {name: value for name, value in asked.items() if value}
        offered = ((search, self.search_exa), (get_contents, self.get_contents), (find_similar, self.find_similar))
        chosen: list[Any] = [one for wanted, one in (*offered, (answer, self.exa_answer)) if wanted]
        known = ("highlights", "summary", "livecrawl", "use_autoprompt", "show_results", "timeout", "model", "research")
        super().__init__("exa", chosen, **{name: value for name, value in options.items() if name not in known})

    def search_exa(self, query: str, num_results: int = 5, category: str | None = None) -> str:
        """Search the web; a JSON list of {url, title, author, published_date, text}."""
        asked = {**self._asked, **({"category": category} if category else {})}
        return self._found("search", {"query": query, "numResults": self.num_results or num_results, **asked})

    def get_contents(self, urls: list[str]) -> str:
        """The contents of pages by their addresses."""
        return self._found("contents", {"urls": urls})

    def find_similar(self, url: str, num_results: int = 5) -> str:
        """Pages that are similar to this one."""
        return self._found("findSimilar", {"url": url, "numResults": self.num_results or num_results})

    def exa_answer(self, query: str, text: bool = False) -> str:
        """An answer to a question with its sources."""
        answer = self._ask("answer", {"query": query, "text": text})
        return as_text({"answer": answer.get("answer"), "citations": answer.get("citations", [])})

    def _found(self, path: str, data: dict[str, Any]) -> str:
        data = {**data, "text": self._text} if path == "contents" else {**data, "contents": {"text": self._text}}
        names = ("url", "title", "author", "publishedDate", "text")
        return as_text(
            [{name: one[name] for name in names if one.get(name)} for one in self._ask(path, data).get("results", [])]
        )

    def _ask(self, path: str, data: dict[str, Any]) -> Any:
        return request_json(
            f"https://api.exa.ai/{path}", data=data, headers={"x-api-key": key(self._key, "EXA_API_KEY", "ExaTools")}
        )


class TavilyTools(Toolkit):
    """Searches the web with tavily.com and the key TAVILY_API_KEY.

    Args:
        api_key: The key; by default that of the environment.
        search: True to give the agent the function.
        max_tokens: About the most words of the answer.
        include_answer: True to add an answer to the results.
        search_depth: basic or advanced.
        format: json or markdown.
        use_search_context: Accepted; the results are the same.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        api_key: str | None = None,
        search: bool = True,
        max_tokens: int = 6000,
        include_answer: bool = True,
        search_depth: str = "advanced",
        format: str = "markdown",
        use_search_context: bool = False,
        **options: Any,
    ) -> None:
        self._key, self._most = api_key, max_tokens * 4
        self._asked = {"include_answer": include_answer, "search_depth": search_depth}
        self._format = format
        super().__init__("tavily_tools", [self.web_search_using_tavily] if search else [], **options)

    def web_search_using_tavily(self, query: str, max_results: int = 5) -> str:
        """Search the web; an answer and results with title, address and content."""
        secret = key(self._key, "TAVILY_API_KEY", "TavilyTools")
        data = {"query": query, "max_results": max_results, **self._asked}
        found = request_json("https://api.tavily.com/search", data=data, headers={"Authorization": f"Bearer {secret}"})
        results = [{name: one.get(name) for name in ("title", "url", "content")} for one in found.get("results", [])]
        if self._format == "json":
            return as_text({"query": query, "answer": found.get("answer"), "results": results})[: self._most]
        lines = [f"# {query}", *([found["answer"]] if found.get("answer") else [])]
        lines += [f"## [{one['title']}]({one['url']})\n{one['content']}" for one in results]
        return "\n\n".join(lines)[: self._most]


class SerperTools(Toolkit):
    """Searches Google with serper.dev and the key SERPER_API_KEY.

    Args:
        api_key: The key; by default that of the environment.
        location, language, num_results, date_range: Options of each search: a country such as us, a language such as en.
        options: The options of every toolkit; flags that choose functions are accepted, and all functions are given.
    """

    def __init__(
        self,
        api_key: str | None = None,
        location: str = "us",
        language: str = "en",
        num_results: int = 10,
        date_range: str | None = None,
        **options: Any,
    ) -> None:
        self._key = api_key
        self._asked = {
            "gl": location,
            "hl": language,
            "num": num_results,
            **({"tbs": date_range} if date_range else {}),
        }
        chosen = [self.search_google, self.search_news, self.search_scholar, self.scrape_webpage]
        super().__init__("serper_tools", chosen, **options)

    def search_google(self, query: str, num_results: int | None = None) -> str:
        """Search Google; JSON with the results and what Google shows beside them."""
        return self._ask("https://google.serper.dev/search", query, num_results)

    def search_news(self, query: str, num_results: int | None = None) -> str:
        """Search Google News; JSON with the articles."""
        return self._ask("https://google.serper.dev/news", query, num_results)

    def search_scholar(self, query: str, num_results: int | None = None) -> str:
        """Search Google Scholar; JSON with the papers."""
        return self._ask("https://google.serper.dev/scholar", query, num_results)

    def scrape_webpage(self, url: str, markdown: bool = True) -> str:
        """The text of a page."""
        return self._post("https://scrape.serper.dev", {"url": url, "includeMarkdown": markdown})

    def _ask(self, url: str, query: str, number: int | None) -> str:
        return self._post(url, {"q": query, **self._asked, **({"num": number} if number else {})})

    def _post(self, url: str, data: dict[str, Any]) -> str:
        secret = key(self._key, "SERPER_API_KEY", "SerperTools")
        return as_text(request_json(url, data=data, headers={"X-API-KEY": secret}))[:_MOST_TEXT]


class FirecrawlTools(Toolkit):
    """Reads and searches pages with firecrawl.dev and the key FIRECRAWL_API_KEY.

    Args:
        api_key, api_url: The key, by default that of the environment, and the address of the service.
        formats: The formats of pages, such as markdown.
        scrape, crawl, mapping, search: True to give the agent this function. Crawling is a scrape of one page here.
        limit: The most results of a search.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        api_key: str | None = None,
        formats: list[str] | None = None,
        limit: int = 10,
        scrape: bool = True,
        crawl: bool = False,
        mapping: bool = False,
        search: bool = False,
        api_url: str = "https://api.firecrawl.dev",
        **options: Any,
    ) -> None:
        self._key, self._url, self._limit = api_key, api_url.rstrip("/"), limit
        self._formats = formats or ["markdown"]
        offered = ((scrape or crawl, self.scrape_website), (mapping, self.map_website), (search, self.search))
        known = ("poll_interval", "search_params")
        rest = {name: value for name, value in options.items() if name not in known}
        super().__init__("firecrawl_tools", [one for wanted, one in offered if wanted], **rest)

    def scrape_website(self, url: str) -> str:
        """The content of a page."""
        return self._ask("scrape", {"url": url, "formats": self._formats})

    def map_website(self, url: str) -> str:
        """The addresses of the pages of a site."""
        return self._ask("map", {"url": url})

    def search(self, query: str, limit: int | None = None) -> str:
        """Search the web; the results with their content."""
        data = {"query": query, "limit": self._limit or limit, "scrapeOptions": {"formats": self._formats}}
        return self._ask("search", data)

    def _ask(self, path: str, data: dict[str, Any]) -> str:
        secret = key(self._key, "FIRECRAWL_API_KEY", "FirecrawlTools")
        headers = {"Authorization": f"Bearer {secret}"}
        return as_text(request_json(f"{self._url}/v1/{path}", data=data, headers=headers, timeout_s=90.0))[:_MOST_TEXT]


class JinaReaderTools(Toolkit):
    """Reads and searches pages with jina.ai. Reading works without a key; searching wants JINA_API_KEY.

    Args:
        api_key: The key; by default that of the environment.
        base_url, search_url: The addresses of the service.
        max_content_length: The most characters of a page.
        read_url, search_query: True to give the agent this function.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = "https://r.jina.ai/",
        search_url: str = "https://s.jina.ai/",
        max_content_length: int = 10_000,
        timeout: int | None = None,
        read_url: bool = True,
        search_query: bool = False,
        **options: Any,
    ) -> None:
        self._key, self._timeout = api_key, float(timeout or 60)
        self._base, self._search, self._most = base_url, search_url, max_content_length
        chosen: list[Any] = [self.read_url] * read_url + [self.search_query] * search_query
        super().__init__("jina_reader_tools", chosen, **options)

    def read_url(self, url: str) -> str:
        """The text of the page at this address."""
        secret = self._key or os.environ.get("JINA_API_KEY")
        return self._ask(self._base + url, secret)

    def search_query(self, query: str) -> str:
        """Search the web; the results with their texts."""
        return self._ask(self._search + quote(query, safe=""), key(self._key, "JINA_API_KEY", "JinaReaderTools"))

    def _ask(self, url: str, secret: str | None) -> str:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return request(url, headers=headers, timeout_s=self._timeout)[: self._most]


class ScrapeGraphTools(Toolkit):
    """Takes facts out of pages with scrapegraphai.com and the key SGAI_API_KEY.

    Args:
        api_key: The key; by default that of the environment.
        smartscraper, markdownify, searchscraper: True to give the agent this function.
        options: The options of every toolkit; other flags are accepted and ignored.
    """

    def __init__(
        self,
        api_key: str | None = None,
        smartscraper: bool = True,
        markdownify: bool = False,
        searchscraper: bool = False,
        **options: Any,
    ) -> None:
        self._key = api_key
        offered = (
            (smartscraper, self.smartscraper),
            (markdownify, self.markdownify),
            (searchscraper, self.searchscraper),
        )
        super().__init__("scrapegraph_tools", [one for wanted, one in offered if wanted], **options)

    def smartscraper(self, url: str, prompt: str) -> str:
        """Take what the prompt asks for out of a page."""
        return self._ask("smartscraper", {"website_url": url, "user_prompt": prompt})

    def markdownify(self, url: str) -> str:
        """A page as Markdown."""
        return self._ask("markdownify", {"website_url": url})

    def searchscraper(self, user_prompt: str) -> str:
        """Search the web and take what the prompt asks for out of the results."""
        return self._ask("searchscraper", {"user_prompt": user_prompt})

    def _ask(self, path: str, data: dict[str, Any]) -> str:
        headers = {"SGAI-APIKEY": key(self._key, "SGAI_API_KEY", "ScrapeGraphTools")}
        answer = request_json(f"https://api.scrapegraphai.com/v1/{path}", data=data, headers=headers, timeout_s=120.0)
        return as_text(answer.get("result", answer))[:_MOST_TEXT]


class ResendTools(Toolkit):
    """Sends email with resend.com and the key RESEND_API_KEY.

    Args:
        api_key: The key; by default that of the environment.
        from_email: The sender.
        options: The options of every toolkit.
    """

    def __init__(self, api_key: str | None = None, from_email: str | None = None, **options: Any) -> None:
        self._key, self.from_email = api_key, from_email
        super().__init__("resend_tools", [self.send_email], **options)

    def send_email(self, to_email: str, subject: str, body: str) -> str:
        """Send an email. The body is HTML."""
        secret = key(self._key, "RESEND_API_KEY", "ResendTools")
        if not self.from_email:
            return "There is no sender: ResendTools(from_email=...)"
        data = {"from": self.from_email, "to": to_email, "subject": subject, "html": body}
        request_json("https://api.resend.com/emails", data=data, headers={"Authorization": f"Bearer {secret}"})
        return f"Email sent to {to_email}."
