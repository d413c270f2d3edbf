"""Finder: searches workflows by meaning if the encoder can answer now, otherwise by words; used by `Library`.

Words are looked up with FTS5 in name, description and parameters. The result is empty if no word matches, or no workflow is near enough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from ..encoder.tokens import STOP_WORDS, WORD
from ..model.workflow import WorkflowVersion
from ..store import Store
from ..store.search_facts import Standing
from .caller_view import View
from .embedding_index import EmbeddingIndex, Ranked
from .ranking import outcome_score

_MAX_WORDS = 64
_INDEX_WAIT_S = 1.0
"""A query waits this long for the index. A workflow that was just created is indexed in less."""
_NEVER_RUN = Standing()


class SearchMatch(msgspec.Struct, frozen=True):
    """`meaning` is the cosine of query and workflow, None for a search by words. `words` are the words of the query that it contains."""

    name: str
    score: float
    meaning: float | None = None
    words: tuple[str, ...] = ()


class SearchResult(msgspec.Struct, frozen=True):
    """`note` says why the ranking is lexical."""

    matches: list[SearchMatch]
    ranking: str
    note: str | None = None


class Finder:
    def __init__(self, store: Store, embedding_index: EmbeddingIndex | None) -> None:
        self._store = store
        self.embedding_index = embedding_index

    async def find(
        self,
        roots: tuple[str, ...],
        view: View,
        query: str,
        limit: int,
        tags: tuple[str, ...] = (),
        *,
        wait_s: float | None = None,
    ) -> SearchResult:
        """`wait_s`: how long to wait for a starting encoder and for texts that are not indexed yet."""
        among = _with_tags(view, tags) if tags else view.names
        within = among if tags else None
        if not among:
            return SearchResult(
                [], "semantic" if self.embedding_index is not None and self.embedding_index.pid else "lexical"
            )
        if self.embedding_index is None or not WORD.search(
            query
        ):  # only emoji or punctuation: the encoder cannot place them
            return SearchResult(await self._by_words(among, query, limit), "lexical")
        if wait_s is None:
            wait_s = _INDEX_WAIT_S if self.embedding_index.pid else 0.0
        found = await self.embedding_index.find(roots, view, query, limit, within, wait_s=wait_s)
        if found is None:
            return SearchResult(await self._by_words(among, query, limit), "lexical", self.embedding_index.why_not)
        return SearchResult(await self._by_outcome(found, limit, self.embedding_index.recipe.outcome), "semantic")

    async def _by_outcome(self, found: list[Ranked], limit: int, weight: float) -> list[SearchMatch]:
        """Ordered by meaning plus outcome: success, use and recency decide between near-ties."""
        standings = await self._store.standings([one.name for one in found])
        now = time.time()
        scored = [(one.score + weight * outcome_score(standings.get(one.name, _NEVER_RUN), now), one) for one in found]
        scored.sort(key=lambda row: -row[0])  # stable: equals stay in alphabetical order
        return [
            SearchMatch(one.name, round(max(score, 0.0), 4), one.meaning, one.words) for score, one in scored[:limit]
        ]

    async def _by_words(self, among: Mapping[str, WorkflowVersion], query: str, limit: int) -> list[SearchMatch]:
        by_hash = {version.hash: name for name, version in among.items()}
        found = await search(self._store, by_hash, query, limit)
        return [SearchMatch(name, round(score, 4)) for name, score in found]


def _with_tags(view: View, tags: tuple[str, ...]) -> dict[str, WorkflowVersion]:
    """Workflows that have all of the tags."""
    return {name: version for name, version in view.names.items() if set(tags) <= set(version.options.tags)}


async def search(store: Store, by_hash: Mapping[str, str], query: str, limit: int) -> list[tuple[str, float]]:
    """Names of visible workflows, best first, ties in alphabetical order. The best one has the score 1; the others are relative to it."""
    expression = match_expression(query)
    if not expression:
        return []
    wanted = limit
    while True:
        rows = await store.match(expression, wanted)
        visible = [(by_hash[hash], score) for hash, score in rows if hash in by_hash]
        if len(visible) >= limit or len(rows) < wanted:
            best = max((score for _, score in visible), default=1.0) or 1.0
            return sorted(((name, score / best) for name, score in visible), key=lambda row: (-row[1], row[0]))[:limit]
        wanted *= 8  # old versions and files of other folders filled the rows


def match_expression(query: str) -> str:
    """The query's words as an FTS5 OR of quoted strings: quoted, no word is FTS5 syntax."""
    words = dict.fromkeys(word.lower() for word in WORD.findall(query[:10_000]))
    telling = [word for word in words if word not in STOP_WORDS][:_MAX_WORDS]
    return " OR ".join(f'"{word}"' for word in telling)
