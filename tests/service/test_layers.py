"""Layers of workflows that end in a tool: fetch JSON, read a repository's metadata, analyze many. A local server answers and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.publishing import OFF
from support.services import opened, run
from support.web import WebServer, web_server

pytestmark = pytest.mark.anyio

FETCH_JSON = '''
"""Fetch and parse JSON from a URL."""
def run(url: str, headers: dict = None) -> dict:
    """Fetch JSON data from a URL."""
    import json
    try:
        return json.loads(tools.curl.get(url=url))
    except json.JSONDecodeError as e:
        raise RuntimeError(f"Invalid JSON from {url}: {e}") from e
'''
METADATA = '''
def run(base: str, owner: str, repo: str) -> dict:
    """Get GitHub repository metadata."""
    data = workflows.invoke("fetch_json", url=f"{base}/repos/{owner}/{repo}")
    return {
        "name": data["name"],
        "stars": data["stargazers_count"],
        "language": data["language"],
        "description": data.get("description", ""),
    }
'''
ANALYZE = '''
def run(base: str, repos: list) -> dict:
    """Analyze multiple GitHub repositories."""
    summaries = []
    for repo in repos:
        owner, name = repo.split("/")
        summaries.append(workflows.invoke("get_repo_metadata", base=base, owner=owner, repo=name))
    languages = sorted(set(r["language"] for r in summaries if r["language"]))
    total = sum(r["stars"] for r in summaries)
    return {"total_repos": len(summaries), "total_stars": total, "languages": languages, "repos": summaries}
'''
AT_ONCE = '''
import asyncio

async def run(base: str, repos: list[str]) -> list[int]:
    """Give the stars of many repositories, all asked for at once."""
    halves = [repo.split("/") for repo in repos]
    found = await asyncio.gather(*(workflows.get_repo_metadata(base=base, owner=o, repo=r) for o, r in halves))
    return [one["stars"] for one in found]
'''
SOURCES = {"fetch_json": FETCH_JSON, "get_repo_metadata": METADATA, "analyze_multiple_repos": ANALYZE, "stars": AT_ONCE}
MANY = 50


class Place(NamedTuple):
    app: App
    web: WebServer


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        for number in range(MANY):
            value = {"name": f"r{number}", "stargazers_count": number, "language": ("Python", "Rust", None)[number % 3]}
            server.give(f"/repos/o/r{number}", value)
        server.give("/repos/o/broken", b"<html>")
        yield server


@pytest.fixture(scope="module", params=["1", "2"], ids=lambda workers: f"{workers} workers")
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, web: WebServer
) -> AsyncIterator[Place]:
    """A home whose operator has the workflows as files."""
    home = tmp_path_factory.mktemp("layers") / "home"
    (home / "workflows").mkdir(parents=True)
    for name, source in SOURCES.items():
        (home / "workflows" / f"{name}.py").write_text(source)
    async with opened(home, **OFF, workers=request.param, fetch_private_hosts=web.host) as app:
        yield Place(app, web)


async def below(app: App, run_id: str) -> list[dict[str, Any]]:
    return await app.service.runs.list_runs(Caller(), parent=run_id, limit=100)


async def test_three_layers_end_in_a_tool(place: Place) -> None:
    app, web = place
    web.seen.clear()
    done = await run(app, Caller(), "analyze_multiple_repos", base=web.url, repos=["o/r2", "o/r4", "o/r6"])
    repos = [
        {"name": f"r{n}", "stars": n, "language": ("Python", "Rust", None)[n % 3], "description": ""} for n in (2, 4, 6)
    ]
    expected = {"total_repos": 3, "total_stars": 12, "languages": ["Python", "Rust"], "repos": repos}
    assert done["result"] == expected, done
    assert [seen.path for seen in web.seen] == ["/repos/o/r2", "/repos/o/r4", "/repos/o/r6"]
    layer = await below(app, done["run_id"])
    assert [one["workflow"] for one in layer] == ["get_repo_metadata"] * 3
    assert [one["workflow"] for each in layer for one in await below(app, each["run_id"])] == ["fetch_json"] * 3


async def test_the_error_of_the_lowest_layer_arrives_at_the_top(place: Place) -> None:
    app, web = place
    failed = await run(app, Caller(), "analyze_multiple_repos", base=web.url, repos=["o/broken"])
    assert failed["status"] == "failed" and f"Invalid JSON from {web.url}/repos/o/broken" in failed["error"]["message"]
    missing = await run(app, Caller(), "analyze_multiple_repos", base=web.url, repos=["o/none"])
    assert missing["status"] == "failed" and "404" in missing["error"]["message"]


async def test_fifty_children_at_once_each_with_a_child_that_calls_a_tool(place: Place) -> None:
    """Two layers below each of fifty calls, and one or two workers: a run that waits for its child holds no worker."""
    app, web = place
    web.seen.clear()
    repos = [f"o/r{number}" for number in range(MANY)]
    done = await run(app, Caller(), "stars", base=web.url, repos=repos)
    assert done["result"] == list(range(MANY)), done
    assert Counter(seen.path for seen in web.seen) == {f"/repos/{repo}": 1 for repo in repos}
    children = await below(app, done["run_id"])
    assert Counter(one["status"] for one in children) == {"completed": MANY}
    kinds = Counter([event.type async for event in app.service.runs.follow(done["run_id"], 0)])
    assert (kinds["call_start"], kinds["call_end"]) == (MANY, MANY)
