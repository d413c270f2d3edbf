"""The two toolkits: what an agent is given of them, and what becomes of a page that cannot be read or summarised.

Their packages are stood in for here; with the real ddgs 9.16 and newspaper4k 0.9.6 the same calls were tried by hand.
"""

from __future__ import annotations

import json
import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from repertoire.agents.toolkits import DuckDuckGoTools, Newspaper4kTools, Toolkit


@pytest.fixture
def newspaper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One article, whose summary needs a package that is not there."""

    def article(url: str) -> Any:
        if "gone" in url:
            raise RuntimeError("404")
        return SimpleNamespace(title="T", authors=["a"], text="text", publish_date=None, summary="", nlp=nlp)

    def nlp() -> None:
        raise ImportError("nltk is required")

    module = ModuleType("newspaper")
    module.article = article  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "newspaper", module)
    return module


def test_an_article_comes_without_a_summary_where_none_can_be_made(
    newspaper: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read = Newspaper4kTools(include_summary=True).read_article("u")
    assert json.loads(read) == {"title": "T", "authors": ["a"], "text": "text"}
    assert "pip install 'newspaper4k[nlp]'" in caplog.text and "nltk is required" in caplog.text
    whole = SimpleNamespace(title="T", authors=[], text="x", publish_date=None, summary="short", nlp=lambda: None)
    newspaper.article = lambda url: whole  # type: ignore[attr-defined]
    assert Newspaper4kTools(include_summary=True).get_article_data("u") == {
        "title": "T",
        "text": "x",
        "summary": "short",
    }


def test_a_page_that_cannot_be_read_is_none_with_a_warning(
    newspaper: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Newspaper4kTools().get_article_data("gone") is None
    assert "Error reading article from gone: 404" in caplog.text


def test_a_package_that_lacks_something_itself_is_told_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "newspaper":
                raise ImportError("lxml.html.clean is a project of its own", name="lxml_html_clean")

    monkeypatch.delitem(sys.modules, "newspaper", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Lacking(), *sys.meta_path])
    with pytest.raises(ImportError, match=r"pip install newspaper4k \(lxml.html.clean is a project of its own\)"):
        Newspaper4kTools().read_article("u")


def test_the_words_before_a_query_are_for_searches_and_not_for_news(monkeypatch: pytest.MonkeyPatch) -> None:
    class DDGS:
        def __init__(self, **_: Any) -> None: ...

        def text(self, query: str, max_results: int) -> list[str]:
            return [query] * max_results

        news = text

    ddgs = ModuleType("ddgs")
    ddgs.DDGS = DDGS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ddgs", ddgs)
    search = DuckDuckGoTools(modifier="site:x")
    assert json.loads(search.duckduckgo_search("cats", max_results=1)) == ["site:x cats"]
    assert json.loads(search.duckduckgo_news("cats", max_results=2)) == ["cats", "cats"]


def test_a_toolkit_takes_the_options_of_all_toolkits() -> None:
    made = DuckDuckGoTools(include_tools=["duckduckgo_news"], cache_results=True, instructions="only news")
    assert list(made.functions) == ["duckduckgo_news"] and made.tools == [made.duckduckgo_news]
    assert made.instructions == "only news" and made.options == {"cache_results": True}
    assert (
        Newspaper4kTools(exclude_tools=["read_article"]).tools == [] and Newspaper4kTools().name == "newspaper4k_tools"
    )
    with pytest.raises(ValueError, match="duckduckgo has no search; there are duckduckgo_search, duckduckgo_news"):
        DuckDuckGoTools(include_tools=["search"])


def test_a_toolkit_of_ones_own_takes_functions() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    class Sums(Toolkit):
        def __init__(self) -> None:
            super().__init__(name="sums", tools=[add])
            self.register(self.double)

        def double(self, a: int) -> int:
            return 2 * a

    sums = Sums()
    assert list(sums.functions) == ["add", "double"] and sums.functions["double"](2) == 4
