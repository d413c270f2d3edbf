"""Files written for Agno v1 and buddy load and run as they are; what we do not have says so. Acceptance cases A22-A25 and A36."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from repertoire import RunResponse, Workflow, WorkflowCompletedEvent, pprint_run_response
from repertoire.agents.agent import Agent
from repertoire.classes.pprint import apprint_run_response
from repertoire.compat import hook
from repertoire.compat.import_tables import PAGES
from support import class_style


@pytest.fixture
def hooked() -> Iterator[None]:
    hook.install()
    yield
    hook.uninstall()


def do(statement: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(statement, namespace)
    return namespace


# A file with search, scrape, write and three caches, as people have them.

PRESS_REVIEW = """
import json
from typing import Dict, Iterator, Optional

from {package}.agent import Agent
from {package}.models.openai import OpenAIChat
from {package}.tools.duckduckgo import DuckDuckGoTools
from {package}.tools.newspaper4k import Newspaper4kTools
from {package}.utils.log import logger
from {package}.workflow import RunEvent, RunResponse, Workflow
from pydantic import BaseModel, Field


class Hit(BaseModel):
    url: str = Field(..., description="Where it is.")
    title: Optional[str] = None


class Hits(BaseModel):
    articles: list[Hit]


class Article(BaseModel):
    url: str
    text: Optional[str] = None


class PressReview(Workflow):
    description: str = "Finds articles, reads them, writes a review."
    searcher: Agent = Agent(model=OpenAIChat(id="m"), tools=[DuckDuckGoTools()], response_model=Hits)
    article_scraper: Agent = Agent(
        model=OpenAIChat(id="m"), tools=[Newspaper4kTools()], response_model=Article, structured_outputs=True
    )
    writer: Agent = Agent(model=OpenAIChat(id="m"), instructions="Write.", expected_output="# Review", markdown=True)

    def run(
        self, topic: str, use_search_cache: bool = True, use_scrape_cache: bool = True, use_cached_report: bool = True
    ) -> Iterator[RunResponse]:
        logger.info(f"reviewing {{topic}}")
        posts = self.session_state.setdefault("blog_posts", {{}})
        if use_cached_report and topic in posts:
            yield RunResponse(content=posts[topic], event=RunEvent.workflow_completed)
            return
        hits = self.find(topic, use_search_cache)
        if hits is None or not hits.articles:
            sorry = f"Sorry, could not find any articles on the topic: {{topic}}"
            yield RunResponse(event=RunEvent.workflow_completed, content=sorry)
            return
        articles = self.scrape(topic, hits, use_scrape_cache)
        told = json.dumps([article.model_dump() for article in articles.values()])
        yield from self.writer.run(told, stream=True)
        self.session_state["blog_posts"][topic] = self.writer.run_response.content

    def find(self, topic: str, use_cache: bool) -> Optional[Hits]:
        known = self.session_state.get("search_results", {{}}).get(topic)
        if use_cache and known:
            return Hits.model_validate(known)
        for attempt in range(3):
            response = self.searcher.run(topic)
            if isinstance(response.content, Hits):
                self.session_state.setdefault("search_results", {{}})[topic] = response.content
                return response.content
            logger.warning(f"Attempt {{attempt + 1}}/3 failed")
        return None

    def scrape(self, topic: str, hits: Hits, use_cache: bool) -> Dict[str, Article]:
        known = self.session_state.get("scraped_articles", {{}}).get(topic)
        if use_cache and known:
            try:
                return Article.model_validate(known)  # wrong, as in files that people have: it is a dict of articles
            except Exception as error:
                logger.warning(f"Could not read scraped articles from cache: {{type(error).__name__}}")
        read = {{}}
        for hit in hits.articles:
            response = self.article_scraper.run(hit.url)
            if isinstance(response.content, Article):
                read[hit.url] = response.content
        self.session_state.setdefault("scraped_articles", {{}})[topic] = read
        return read
"""

DRIVER = """
import json, logging, sys
from repertoire.compat import hook

hook.install()
import press_review as press
from {package}.storage.sqlite import SqliteStorage

asked, warnings = [], []


class Stub:
    def __init__(self, name, answer):
        self.name, self.answer, self.session_id, self.run_response = name, answer, None, None

    def run(self, message, stream=False):
        asked.append((self.name, self.session_id))
        if stream:
            return self.pieces()
        return press.RunResponse(content=self.answer(message))

    def pieces(self):
        yield press.RunResponse(content="A fine ")
        yield press.RunResponse(content="review.")
        self.run_response = press.RunResponse(content="A fine review.")


class Keep(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())


press.logger.addHandler(Keep())
found = {{
    "two": press.Hits(articles=[press.Hit(url="u1"), press.Hit(url="u2")]), "none": press.Hits(articles=[]), "wrong": "text",
}}
press.PressReview.searcher = Stub("searcher", lambda topic: found[sys.argv[1]])
press.PressReview.article_scraper = Stub("scraper", lambda url: press.Article(url=url, text="t"))
press.PressReview.writer = Stub("writer", None)
workflow = press.PressReview(
    session_id="review-of-cats", storage=SqliteStorage(table_name="reviews", db_file="tmp/reviews.db"), debug_mode=True
)
items = list(workflow.run(topic="cats", **json.loads(sys.argv[2])))
print(json.dumps({{
    "asked": [name for name, _ in asked], "sessions": sorted({{session for _, session in asked}}),
    "content": [item.content for item in items], "completed": [item.event == press.RunEvent.workflow_completed for item in items],
    "state": sorted(workflow.session_state), "types": type(workflow.session_state.get("search_results", {{}}).get("cats")).__name__,
    "warnings": warnings, "accumulated": workflow.run_response.content,
}}))
"""


@pytest.fixture(params=["agno", "buddy"])
def review(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    class_style.script(tmp_path, "press_review.py", PRESS_REVIEW.format(package=request.param))
    driver = class_style.script(tmp_path, "driver.py", DRIVER.format(package=request.param))
    return lambda found="two", **options: class_style.run(driver, found, json.dumps(options))


def test_a22_a23_a24_a_review_is_written_once_and_its_caches_outlive_the_process(review: Any) -> None:
    first = review()
    assert first["asked"] == ["searcher", "scraper", "scraper", "writer"] and first["sessions"] == ["review-of-cats"]
    assert first["content"] == ["A fine ", "review."] and first["accumulated"] == "A fine review."
    assert first["state"] == ["blog_posts", "scraped_articles", "search_results"]

    second = review()
    assert second["asked"] == [] and second["content"] == ["A fine review."] and second["completed"] == [True]
    assert second["types"] == "Hits"

    third = review(use_cached_report=False)
    assert third["asked"] == ["scraper", "scraper", "writer"]
    assert third["warnings"] == ["Could not read scraped articles from cache: ValidationError"]


@pytest.mark.parametrize(("found", "attempts"), [("none", 1), ("wrong", 3)])
def test_a25_nothing_found_is_an_answer_too(review: Any, found: str, attempts: int) -> None:
    answer = review(found)
    assert answer["content"] == ["Sorry, could not find any articles on the topic: cats"]
    assert answer["asked"] == ["searcher"] * attempts and len(answer["warnings"]) == (3 if attempts == 3 else 0)
    assert answer["completed"] == [True]


# Names.


@pytest.mark.parametrize("package", hook.CLASS_STYLE)
@pytest.mark.usefixtures("hooked")
def test_every_name_of_the_table_is_there_and_is_ours(package: str) -> None:
    for below, names in PAGES.items():
        module = importlib.import_module(f"{package}.{below}" if below else package)
        for name, where in names.items():
            home, _, other = where.partition(":")
            assert getattr(module, name) is getattr(importlib.import_module(home), other or name)
        assert module.__all__ == list(names)


@pytest.mark.parametrize(
    "statement",
    [
        "from agno.agent import Agent, RunResponse",
        "from agno.models.openai import OpenAIChat",
        "from agno.storage.sqlite import SqliteStorage",
        "from agno.tools.duckduckgo import DuckDuckGoTools",
        "from agno.tools.newspaper4k import Newspaper4kTools",
        "from agno.utils.log import logger",
        "from agno.utils.pprint import pprint_run_response",
        "from agno.workflow import RunEvent, RunResponse, Workflow",
        "from buddy import Agent",
        "from buddy.models.openai import OpenAIChat",
        "from buddy.run.workflow import WorkflowCompletedEvent, WorkflowRunResponseStartedEvent, RunEvent",
        "from buddy.storage.sqlite import SqliteStorage",
        "from buddy.workflow import Workflow, RunResponse",
        "from buddy.workflow.workflow import Workflow",
        "from agno import workflow",
        "from agno.workflow import *",
        "import agno.run.response",
    ],
)
@pytest.mark.usefixtures("hooked")
def test_the_imports_of_the_class_style_work(statement: str) -> None:
    do(statement)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "from agno.workflow import Step",
            "no 'agno.workflow.Step' in place of agno's: there are RunEvent, RunResponse",
        ),
        ("from agno.storage.sqlite import Sqlite", "no 'agno.storage.sqlite.Sqlite'.*SqliteStorage"),
        ("from agno.workflow.v2 import Workflow", "no 'agno.workflow.v2' in place of agno's.*write a class with run"),
        ("from agno import nothing", "no 'agno.nothing'.*there are Agent, Team"),
        (
            "import buddy.nowhere",
            "no 'buddy.nowhere' in place of buddy's: write what it does in Python.*Or install 'buddy-ai'",
        ),
        ("import phi.nowhere", "no 'phi.nowhere' in place of phi's.*Or install 'phidata' and set prefer_installed"),
    ],
)
@pytest.mark.usefixtures("hooked")
def test_what_is_not_there_says_what_to_use_instead(statement: str, words: str) -> None:
    with pytest.raises(ImportError, match=words):
        do(statement)


@pytest.mark.usefixtures("hooked")
def test_the_hook_comes_last_answers_only_its_names_and_goes_away() -> None:
    assert isinstance(sys.meta_path[-1], hook.CompatFinder)
    assert len([one for one in sys.meta_path if isinstance(one, hook.CompatFinder)]) == 1
    hook.install()
    assert len([one for one in sys.meta_path if isinstance(one, hook.CompatFinder)]) == 1
    for name in ("agnostic", "no_such_module", "json.agno"):
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            importlib.import_module(name)
    importlib.import_module("agno.workflow")
    hook.uninstall()
    assert not [name for name in sys.modules if name.partition(".")[0] in hook.CLASS_STYLE]
    with pytest.raises(ModuleNotFoundError, match="No module named 'agno'"):
        importlib.import_module("agno.workflow")


@pytest.mark.parametrize(("prefer_real", "seen"), [(True, "the real one"), (False, None)])
def test_an_installed_package_wins_only_where_it_is_preferred(
    prefer_real: bool, seen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agno").mkdir()
    (tmp_path / "agno" / "__init__.py").write_text("MARK = 'the real one'")
    monkeypatch.syspath_prepend(str(tmp_path))
    hook.install(prefer_real=prefer_real)
    try:
        module = importlib.import_module("agno")
        assert module.__dict__.get("MARK") == seen
        assert (module.__spec__ is not None and module.__spec__.origin == "repertoire.compat") is not prefer_real
        assert do("from buddy import Agent")["Agent"] is Agent, "the other one is not installed"
    finally:
        hook.uninstall()
        sys.modules.pop("agno", None)


@pytest.mark.usefixtures("hooked")
def test_pyflue_is_answered_from_its_own_page() -> None:
    page = importlib.import_module("repertoire.compat.pyflue")
    module = importlib.import_module("pyflue")
    for name in page.__all__:
        assert getattr(module, name) is getattr(page, name)
    with pytest.raises(ImportError, match="pyflue"):
        do("from pyflue import no_such_name")
    with pytest.raises(ModuleNotFoundError, match=r"no 'pyflue\.inner'"):
        do("import pyflue.inner")


# Agents and toolkits.


def test_an_agent_takes_its_arguments() -> None:
    class Asking(Workflow):
        agent = Agent(name="ada", instructions="be brief", response_model=dict)

        def run(self) -> RunResponse:
            return RunResponse(content=(self.agent.name, self.agent.session_id, self.agent.markdown))

    assert Asking(session_id="s").run().content == ("ada", "s", None)
    with pytest.raises(TypeError, match=r"Agent\(\) has no parameter 'instruction' \(instructions\)"):
        Agent(instruction="typo")
    with pytest.raises(AttributeError, match="no attribute 'instruction'"):
        _ = Agent().instruction


@pytest.mark.usefixtures("hooked")
def test_toolkits_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ddgs", None)
    monkeypatch.setitem(sys.modules, "newspaper", None)
    search = do("from agno.tools.duckduckgo import DuckDuckGoTools as made")["made"]()
    read = do("from agno.tools.newspaper4k import Newspaper4kTools as made")["made"]()
    with pytest.raises(ImportError, match=r"DuckDuckGoTools needs the package ddgs: pip install ddgs"):
        search.duckduckgo_search("cats")
    with pytest.raises(ImportError, match=r"Newspaper4kTools needs the package newspaper4k: pip install newspaper4k"):
        read.read_article("https://example.org")


def test_toolkits_call_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    from repertoire.agents.toolkits import DuckDuckGoTools, Newspaper4kTools

    class DDGS:
        def __init__(self, **options: Any) -> None:
            assert options == {"proxy": None, "timeout": 3, "verify": True}

        def text(self, query: str, max_results: int) -> list[dict[str, str]]:
            return [{"title": f"{query} {n}"} for n in range(max_results)]

    ddgs = ModuleType("ddgs")
    ddgs.DDGS = DDGS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ddgs", ddgs)
    search = DuckDuckGoTools(news=False, modifier="site:x", fixed_max_results=2, timeout=3)
    assert list(search.functions) == ["duckduckgo_search"]
    assert json.loads(search.duckduckgo_search("cats")) == [{"title": "site:x cats 0"}, {"title": "site:x cats 1"}]

    def article(url: str) -> Any:
        if "gone" in url:
            raise RuntimeError("404")
        return SimpleNamespace(title="T", authors=["a"], text="long text", publish_date=None)

    newspaper = ModuleType("newspaper")
    newspaper.article = article  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "newspaper", newspaper)
    read = Newspaper4kTools(article_length=4)
    assert json.loads(read.read_article("u")) == {"title": "T", "authors": ["a"], "text": "long"}
    assert read.read_article("gone") == "Error reading article from gone: 404"


# Showing.


class Fact(BaseModel):
    claim: str


def agent_events() -> Iterator[Any]:
    yield SimpleNamespace(event="RunStarted", run_id="r")
    yield SimpleNamespace(event="RunResponseContent", run_id="r", content="shown ")
    yield SimpleNamespace(event="RunResponseContent", run_id="r", content="text")
    yield SimpleNamespace(event="RunCompleted", run_id="r", content="shown text")


SHOWN: dict[str, Callable[[], Any]] = {
    "single": lambda: RunResponse(content="shown text"),
    "stream": lambda: iter([RunResponse(content="shown "), RunResponse(content="text")]),
    "completed": lambda: iter([WorkflowCompletedEvent(content="shown text")]),
    "agent events": agent_events,
    "model": lambda: RunResponse(content=Fact(claim="shown text")),
    "models": lambda: iter([RunResponse(content=Fact(claim="shown text"))]),
}


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("what", SHOWN)
def test_a36_everything_that_a_run_gives_is_shown_once(
    what: str, rich: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not rich:
        for name in [name for name in sys.modules if name.partition(".")[0] == "rich"] + ["rich", "rich.console"]:
            monkeypatch.setitem(sys.modules, name, None)
    pprint_run_response(SHOWN[what](), markdown=True, show_time=True)
    shown = capsys.readouterr().out
    assert shown.count("shown text") == 1 and " s" in shown


def test_a36_what_came_before_an_error_is_shown_and_the_error_raised(capsys: pytest.CaptureFixture[str]) -> None:
    def breaking() -> Iterator[RunResponse]:
        yield RunResponse(content="shown text")
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        pprint_run_response(breaking())
    assert "shown text" in capsys.readouterr().out


def test_a36_on_a_terminal_the_text_grows_in_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    pprint_run_response(SHOWN["stream"]())
    assert "shown text" in capsys.readouterr().out


@pytest.mark.anyio
async def test_a36_async_streams_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async def stream() -> AsyncIterator[RunResponse]:
        yield RunResponse(content="shown ")
        yield RunResponse(content="text")

    await apprint_run_response(stream())
    await apprint_run_response(RunResponse(content="and this"))
    shown = capsys.readouterr().out
    assert "shown text" in shown and "and this" in shown


def test_importing_the_class_style_is_light(tmp_path: Path) -> None:
    path = class_style.script(
        tmp_path,
        "light.py",
        """
        import json, sys
        import repertoire
        from repertoire import RunResponse, SqliteStorage, Workflow
        heavy = ("mcp", "torch", "aiosqlite", "pydantic", "asyncio", "rich", "msgspec", "anyio", "typer")
        print(json.dumps([name for name in heavy if name in sys.modules]))
        """,
    )
    assert class_style.run(path) == []
