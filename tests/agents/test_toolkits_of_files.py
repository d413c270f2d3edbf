"""The toolkits that public files use most: each can be made without package and key, works, and says what it lacks when it is called."""

from __future__ import annotations

import io
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from repertoire.agents import toolkits
from repertoire.agents.toolkits import Toolkit, tool, toolkit_class
from repertoire.values.refusals import NotAvailable


def make(name: str, *args: Any, **options: Any) -> Any:
    return toolkit_class(f"agno.tools.x.{name}", name)(*args, **options)


class Web:
    """Answers requests by their address, and keeps what was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.sent: list[urllib.request.Request] = []

    def __call__(self, asked: urllib.request.Request, timeout: float) -> Any:
        self.sent.append(asked)
        found = next((answer for part, answer in self.answers.items() if part in asked.full_url), None)
        if found is None:
            raise urllib.error.HTTPError(asked.full_url, 404, "gone", Message(), io.BytesIO(b"no such page"))
        headers = Message()
        headers["Content-Type"] = "text/plain; charset=utf-8"
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        return SimpleNamespace(__enter__=None, read=lambda most: body[:most], headers=headers)

    def data(self, n: int = -1) -> Any:
        body = self.sent[n].data
        assert isinstance(body, bytes)
        return json.loads(body)


class _Answer:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    found = Web()
    monkeypatch.setattr(urllib.request, "urlopen", lambda asked, timeout: _Answer(found(asked, timeout)))
    for name in ("EXA", "TAVILY", "SERPER", "FIRECRAWL", "JINA", "SGAI", "RESEND"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    yield found


@pytest.mark.parametrize("name", [*toolkits._MODULES, *toolkits._OLDER, "ZoomTools", "ElevenLabsTools"])
def test_every_toolkit_can_be_made_without_anything(name: str) -> None:
    made = make(name)
    assert isinstance(made, Toolkit) and all(callable(one) and one.__doc__ for one in made.functions.values())
    assert made.functions or name in ("MCPTools", "MultiMCPTools")


def test_a_toolkit_that_we_lack_says_so_when_it_is_called() -> None:
    zoom = make("ZoomTools", "account", client_id="x", include_tools=["a"])
    assert list(zoom.functions) == ["zoom_tools"]
    for call in (zoom.functions["zoom_tools"], zoom.schedule_meeting):
        with pytest.raises(NotAvailable, match=r"Repertoire has no agno\.tools\.x\.ZoomTools") as refused:
            call(topic="t")
        assert "install 'agno<2'" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("name", "function", "arguments", "variable"),
    [
        ("ExaTools", "search_exa", {"query": "q"}, "EXA_API_KEY"),
        ("TavilyTools", "web_search_using_tavily", {"query": "q"}, "TAVILY_API_KEY"),
        ("SerperTools", "search_google", {"query": "q"}, "SERPER_API_KEY"),
        ("FirecrawlTools", "scrape_website", {"url": "https://a"}, "FIRECRAWL_API_KEY"),
        ("ScrapeGraphTools", "smartscraper", {"url": "https://a", "prompt": "p"}, "SGAI_API_KEY"),
        ("ResendTools", "send_email", {"to_email": "a@b", "subject": "s", "body": "b"}, "RESEND_API_KEY"),
    ],
)
def test_a_missing_key_is_named_and_a_given_one_is_sent(
    web: Web, monkeypatch: pytest.MonkeyPatch, name: str, function: str, arguments: dict[str, Any], variable: str
) -> None:
    options = {"from_email": "me@here"} if name == "ResendTools" else {}
    with pytest.raises(ValueError, match=rf"{name} needs a key: give api_key=\.\.\., or set {variable}.*worker_env"):
        make(name, **options).functions[function](**arguments)
    monkeypatch.setenv(variable, "secret-1")
    web.answers["https://"] = {"results": [{"url": "u", "title": "t", "content": "c", "text": "x"}], "answer": "A"}
    assert make(name, **options).functions[function](**arguments)
    assert any("secret-1" in value for value in web.sent[-1].headers.values())
    assert not web.sent[-1].full_url.count("secret-1") and web.data()


def test_an_answer_that_is_no_success_is_told_with_its_words(web: Web) -> None:
    with pytest.raises(ValueError, match=r"api\.exa\.ai answered 404: no such page"):
        make("ExaTools", api_key="k").search_exa("q")
    with pytest.raises(ValueError, match="is no http or https address"):
        make("WebsiteTools").read_url("file:///etc/passwd")


def test_pages_stories_and_articles_are_read_without_a_package(web: Web) -> None:
    web.answers = {
        "topstories": [3, 4, 5],
        "/item/3": {"title": "three"},
        "/item/4": {"title": "four"},
        "/user/ada": {"id": "ada", "submitted": [1, 2]},
        "wikipedia.org": {"query": {"pages": {"1": {"title": "Ada", "fullurl": "u", "extract": "text"}}}},
        "arxiv.org": b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>A\n title</title><id>http://arxiv.org/abs/1v1</id>'
        b"<author><name>N</name></author><summary>S</summary></entry></feed>",
        "page": b"<html><script>x()</script><h1>Big &amp; small</h1><p>one<p>two</html>",
    }
    news = make("HackerNewsTools")
    assert [one["title"] for one in json.loads(news.get_top_hackernews_stories(2))] == ["three", "four"]
    assert json.loads(news.get_user_details("ada"))["total_items_submitted"] == 2
    assert json.loads(make("WikipediaTools").search_wikipedia("ada"))["content"] == "text"
    [paper] = json.loads(make("ArxivTools").search_arxiv_and_return_articles("q"))
    assert (paper["title"], paper["id"], paper["pdf_url"]) == ("A title", "1v1", "https://arxiv.org/pdf/1v1")
    assert make("WebsiteTools").read_url("https://page") == "Big & small\none two"


def test_prices_come_by_yfinance(monkeypatch: pytest.MonkeyPatch) -> None:
    every = make("YFinanceTools", enable_all=True)
    assert list(make("YFinanceTools").functions) == ["get_current_stock_price"] and len(every.functions) == 9
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(ImportError, match="YFinanceTools needs the package yfinance: pip install yfinance"):
        every.get_current_stock_price("X")
    module = ModuleType("yfinance")
    info = {"currentPrice": 2.5, "longName": "Ex", "marketCap": 7, "unused": 1}
    module.Ticker = lambda symbol, session: SimpleNamespace(info=info, news=[{"title": "n"}] * 5)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yfinance", module)
    assert every.get_current_stock_price("X") == "2.5000" and len(json.loads(every.get_company_news("X"))) == 3
    assert json.loads(every.get_company_info("X")) == {"longName": "Ex", "currentPrice": 2.5, "marketCap": 7}


def test_local_toolkits_stay_in_their_folder(tmp_path: Path) -> None:
    files = make("FileTools", tmp_path)
    assert files.save_file("text", "a/b.txt") == "a/b.txt" and files.read_file("a/b.txt") == "text"
    assert json.loads(files.list_files()) == ["a"]
    assert json.loads(files.search_files("**/*.txt"))["files"] == ["a/b.txt"]
    for name in ("../out.txt", "/etc/passwd", "a/../../x"):
        with pytest.raises(ValueError, match="lies outside of"):
            files.save_file("x", name)
    python = make("PythonTools", base_dir=tmp_path)
    assert python.run_python_code("x = 6 * 7", "x") == "42" and python.run_python_code("print('hi')") == "hi\n"
    assert python.run_python_code("1 / 0").startswith("Error running python code: ZeroDivisionError")
    assert python.save_to_file_and_run("c.py", "y = 1", "y") == "1"
    shell = make("ShellTools", base_dir=str(tmp_path))
    assert "c.py" in shell.run_shell_command(["ls"]) and shell.run_shell_command(["false"]).startswith("Error")
    with pytest.raises(ValueError, match="args is a list of texts"):
        shell.run_shell_command("ls")
    numbers = make("CalculatorTools", enable_all=True)
    assert json.loads(numbers.divide(1, 0)) == {"error": "division by zero is undefined"}
    assert json.loads(numbers.is_prime(97))["result"] is True


def test_a_function_becomes_a_tool_with_a_name_of_its_own() -> None:
    async def look(word: str) -> str:
        """Find."""
        return word

    def plain_one(a: int) -> int:
        """Plain."""
        return a

    find = tool(name="look_up", description="Looks it up.", show_result=True)(look)
    plain = tool(plain_one)
    assert (find.__name__, find.__doc__, find.tool_options["show_result"]) == ("look_up", "Looks it up.", True)
    assert plain(3) == 3 and plain.__name__ == "plain_one"
    assert toolkits.Function(name="f", entrypoint=plain)(4) == 4


def test_an_agent_without_a_message_does_what_its_instructions_say() -> None:
    from repertoire import Agent
    from repertoire.agents.prompts import user_text

    assert user_text(Agent(instructions="Summarise the day."), None) == "Do what your instructions say."
    with pytest.raises(TypeError, match="there is no message"):
        user_text(Agent(), None)
