"""Changes that a step makes to the body's own variables are seen when a workflow is published, and what is kept is left alone."""

from __future__ import annotations

import ast
import textwrap

import pytest

from repertoire.registry.review import review

LOST = {
    "a dict of the body": """
        def run(urls: list[str]) -> dict:
            pages = {}
            def fetch(url):
                pages[url] = get(url)
            for url in urls:
                step(fetch, url)
            return pages
        """,
    "a list of an async body": """
        async def run(urls: list[str]) -> list:
            pages: list[str] = []
            async def fetch(url):
                pages.append(await get(url))
            await asyncio.gather(*(step(fetch, url, retries=2) for url in urls))
            return pages
        """,
    "a decorated function": """
        def run() -> dict:
            pages = defaultdict(list)
            @step(retries=3)
            def fetch(url):
                pages[url].append(get(url))
            fetch("a")
            return pages
        """,
    "a lambda": """
        def run() -> set:
            seen = set()
            step(lambda: seen.add(get()))
            return seen
        """,
    "a method of the container": """
        def run() -> list:
            rows = []
            step(rows.extend, [1])
            return rows
        """,
    "nonlocal": """
        def run() -> int:
            total = 0
            def count():
                nonlocal total
                total += get()
            step(count)
            return total
        """,
    "global": """
        TOTAL = 0
        @step
        def count() -> None:
            global TOTAL
            TOTAL = get()
        def run() -> int:
            count()
            return TOTAL
        """,
    "a function within the step": """
        def run() -> dict:
            pages = {}
            def fetch():
                def each(url): pages[url] = 1
                list(map(each, get()))
            step(fetch)
            return pages
        """,
    "an argument": """
        def fill(rows, more):
            rows.append(more)
        def run() -> list:
            rows = load()
            step(fill, rows, 1)
            return rows
        """,
    "an argument by its type": """
        def fill(seen: set[str]) -> int:
            seen.add(get())
            return 1
        def run() -> int:
            return step(functools.partial(fill, load()))
        """,
    "an argument's item": "def fill(row): row['paid'] = get()\ndef run(): step(fill, load())",
    "an argument of a class of the file": """
        class Order: ...
        def pay(order: Order) -> str:
            order.paid = True
            return "receipt"
        def run() -> str:
            return step(pay, Order())
        """,
    "an argument of the body": """
        def run(rows: list) -> list:
            def fill(): rows.insert(0, get())
            step(fill)
            return rows
        """,
    "its object": """
        class Shop:
            @step
            def charge(self, n: int) -> str:
                self.total = n
                return "receipt"
        def run() -> int:
            shop = Shop(); shop.charge(1)
            return shop.total
        """,
    "a container of its object": """
        class Flow(Workflow):
            def fetch(self, url): self.pages[url] = get(url)
            def run(self) -> dict:
                step(self.fetch, "a")
                return self.pages
        """,
    "an object of the body": """
        class Totals: ...
        def run(ctx) -> int:
            totals = Totals()
            def count(): totals.n = get()
            ctx.step(count)
            return totals.n
        """,
}
KEPT = {
    "its own variables": """
        def run() -> dict:
            def fetch():
                pages = {}; pages["a"] = 1; rows = []; rows.append(1)
                def each(): pages["b"] = 2
                each()
                return pages
            return step(fetch)
        """,
    "the state": """
        def run() -> int:
            def count():
                session_state["n"] = session_state.get("n", 0) + 1
                session_state.setdefault("rows", []).append(1)
            step(count)
            return session_state["n"]
        """,
    "the state as an argument": """
        def count(state): state["n"] = 1
        def run() -> int:
            step(count, session_state)
            return session_state["n"]
        """,
    "a class's state": """
        class Flow(Workflow):
            @step
            def count(self): self.session_state["n"] = 1
            def run(self): self.count(); return self.session_state["n"]
        """,
    "what the body changes": """
        def run(urls: list[str]) -> dict:
            pages = {}
            def fetch(url): return get(url)
            for url in urls:
                pages[url] = step(fetch, url)
            return pages
        """,
    "a function that takes steps": """
        async def run(urls: list[str]) -> dict:
            pages = {}
            async def one(url): pages[url] = await step(fetch, url)
            await asyncio.gather(*map(one, urls))
            return pages
        """,
    "an argument that is returned": "def fill(rows): rows.append(get()); return rows\ndef run(): return step(fill, [])",
    "a cache that only steps read": """
        CACHE = {}
        @step
        def fetch(url):
            CACHE[url] = CACHE.get(url) or get(url)
            return CACHE[url]
        def run() -> str:
            return fetch("a")
        """,
    "a client that only steps use": """
        class Shop:
            def __init__(self): self.total = 0
            @step
            def charge(self, n):
                self._client = connect()
                return self._client.charge(n)
        def run(): return Shop().charge(1), Shop().total
        """,
    "things that are no containers": """
        def run(db) -> None:
            session = connect()
            def save(row): session.add(row); db.update(row); digest.update(b"")
            step(save, 1)
            session.close(); db.close(); digest.close()
        """,
    "an argument that is something else": """
        def save(client: Client, hash): client.timeout = 3; client.update(1); hash.update(b"")
        def run(): step(save, connect(), hashlib.sha256())
        """,
    "the step of something else": """
        def run() -> list:
            losses = []
            def closure(): losses.append(1)
            optimizer.step(closure)
            return losses
        """,
    "another variable of its name": """
        def run() -> int:
            total = 1
            def count():
                total = get()
                return total
            return step(count) + total
        """,
}


def lines(source: str) -> list[int]:
    text = textwrap.dedent(source)
    return [one.line or 0 for one in review(ast.parse(text), text) if one.rule == "lost_change"]


@pytest.mark.parametrize("what", LOST)
def test_w14_a_change_that_a_step_loses_is_a_finding(what: str) -> None:
    source = textwrap.dedent(LOST[what])
    (found,) = [one for one in review(ast.parse(source), source) if one.rule == "lost_change"]
    assert found.severity == "warning" and "is lost" in found.message
    assert found.hint and found.hint.startswith("Let the step return what is new")


@pytest.mark.parametrize("what", KEPT)
def test_w14_what_a_step_keeps_or_nobody_reads_is_none(what: str) -> None:
    assert lines(KEPT[what]) == []
