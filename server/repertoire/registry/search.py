"""Finder: searches workflows by meaning where they are indexed, and the others by words; used by `Library`, and for tools by `ToolFinder`.

The answer has two tiers. `matches` are those that fit: near enough in meaning, or with enough of the query's words. If there are none,
`nearest` names up to three that probably do not fit. Workflows that are farther away are left out.

Without an encoder all are ranked by words. They are looked up with FTS5 in name, description and parameters. The score of such a match is
the squared share of the query's words that it has, where rare words count more: the same that words add to a semantic score.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from ..encoder.models import MULTILINGUAL
from ..encoder.search_weights import Recipe
from ..encoder.tokens import STOP_WORDS, WORD, words
from ..model.workflow_version import WorkflowVersion
from ..store import Store
from ..store.search_facts import Standing
from .embedding_index import EmbeddingIndex
from .outcome_score import Ranked, Ranking, outcome_score
from .query_language import foreign_language
from .search_texts import Names, Searched, texts_of

_MAX_WORDS: Final = 64
_MAX_CHARS: Final = 10_000
_INDEX_WAIT_S: Final = 1.0
"""A query waits this long for the index. A workflow that was just created is indexed in less."""
_NEAREST: Final = 3
_LEAST_SHARE: Final = 0.1
"""A workflow with a smaller share of the query's words is not even among the nearest."""
_CANDIDATES: Final = 50
"""Workflows that FTS5 ranks best: only their shares of the words are computed."""
_NEVER_RUN: Final = Standing()


class SearchMatch(msgspec.Struct, frozen=True):
    """`meaning` is the cosine of query and workflow, None for a search by words. `words` are the words of the query that it contains."""

    name: str
    score: float
    meaning: float | None = None
    words: tuple[str, ...] = ()


class SearchResult(msgspec.Struct, frozen=True):
    """`ranking` is "semantic", "lexical", or "mixed" if both gave scores. `note` says why words gave any, or what else is doubtful."""

    matches: list[SearchMatch]
    nearest: list[SearchMatch]
    ranking: str
    note: str | None = None


class Tiers(msgspec.Struct, frozen=True):
    """Both best first."""

    fitting: list[SearchMatch]
    nearest: list[SearchMatch]


class Finder:
    things = "workflows"
    """What it finds, as answers say it."""

    def __init__(self, store: Store, embedding_index: EmbeddingIndex | None) -> None:
        self._store = store
        self.embedding_index = embedding_index
        self._recipe = embedding_index.recipe if embedding_index is not None else Recipe()

    async def find(
        self,
        roots: tuple[str, ...],
        view: Names,
        query: str,
        limit: int,
        tags: tuple[str, ...] = (),
        *,
        wait_s: float | None = None,
    ) -> SearchResult:
        """`wait_s`: how long to wait for a starting encoder and for texts that are not indexed yet."""
        among = _with_tags(view, tags) if tags else view.names
        index = self.embedding_index
        if not among:
            return SearchResult([], [], "semantic" if index is not None and index.pid else "lexical")
        if index is None or not WORD.search(query):  # only emoji or punctuation: the encoder cannot place them
            return _result(await self.by_words(among, query, limit), limit, "lexical")
        if wait_s is None:
            wait_s = _INDEX_WAIT_S if index.pid else 0.0
        found = await index.find(roots, view, query, limit, among if tags else None, wait_s=wait_s)
        if found is None:
            return _result(await self.by_words(among, query, limit), limit, "lexical", index.why_not)
        return await self._ranked(index, among, query, limit, found)

    async def _ranked(
        self,
        index: EmbeddingIndex,
        among: Mapping[str, Searched],
        query: str,
        limit: int,
        found: Ranking,
    ) -> SearchResult:
        """What was found by meaning, together with what words find among the workflows that are not indexed yet."""
        fitting = await self._by_outcome(found.fitting, limit)
        tiers = Tiers(fitting, [_match(one, one.score) for one in found.nearest])
        notes: list[str] = []
        if language := foreign_language(query) if index.languages == ("English",) else None:
            tiers = _only_worded(tiers)
            if not tiers.fitting:
                notes.append(
                    f"The search model knows English only, and the query seems to be in {language}: search in English. "
                    f'Another model: search_model = "{MULTILINGUAL}" in the settings.'
                )
        if not found.unindexed:
            return _result(tiers, limit, "semantic", *notes)
        worded = await self.by_words({name: among[name] for name in found.unindexed}, query, limit)
        left = f"Ranked by words, because not indexed: {len(found.unindexed)} of {len(among)} {self.things}."
        both = Tiers(_merged(tiers.fitting, worded.fitting), _merged(tiers.nearest, worded.nearest))
        return _result(both, limit, "mixed" if worded.fitting or worded.nearest else "semantic", left, *notes)

    async def _by_outcome(self, found: list[Ranked], limit: int) -> list[SearchMatch]:
        """Ordered by meaning plus outcome: success, use and recency decide between near-ties."""
        standings = await self._store.standings([one.name for one in found])
        now, weight = time.time(), self._recipe.outcome
        scored = [(one.score + weight * outcome_score(standings.get(one.name, _NEVER_RUN), now), one) for one in found]
        scored.sort(key=lambda row: -row[0])  # stable: equals stay in alphabetical order
        return [_match(one, score) for score, one in scored[:limit]]

    async def by_words(self, among: Mapping[str, Searched], query: str, limit: int) -> Tiers:
        """Ordered by the share of the query's words, weighted by rarity, and then as FTS5 does."""
        asked = dict(list(words(query[:_MAX_CHARS]).items())[:_MAX_WORDS])
        counts = await self._store.count_matches([f'"{written}"' for written in asked.values()])
        rarity = {stem: _rarity(count, len(among)) for stem, count in zip(asked, counts, strict=True)}
        by_hash = {version.hash: name for name, version in among.items()}
        rows: list[tuple[float, SearchMatch]] = []
        for name in await search(self._store, by_hash, query, max(limit, _CANDIDATES)):
            held = words(texts_of(among[name]).words)
            agreed = [stem for stem in asked if stem in held]
            share = sum(rarity[stem] for stem in agreed) / sum(rarity.values())
            rows.append((share, SearchMatch(name, round(share**2, 4), None, tuple(asked[stem] for stem in agreed))))
        rows.sort(key=lambda row: -row[0])  # stable
        fitting = [match for share, match in rows if share >= self._recipe.words_alone]
        return Tiers(fitting, [match for share, match in rows if share >= _LEAST_SHARE])


def _rarity(holders: int, among: int) -> float:
    """The logarithm of how rare a word is. Other folders and old versions hold it too, so there may be more holders than workflows."""
    return math.log(1 + (max(among - holders, 0) + 0.5) / (holders + 0.5))


def _result(tiers: Tiers, limit: int, ranking: str, *notes: str) -> SearchResult:
    """The fitting ones, or else the nearest."""
    nearest = [] if tiers.fitting else tiers.nearest[: min(limit, _NEAREST)]
    return SearchResult(tiers.fitting[:limit], nearest, ranking, " ".join(notes) or None)


def _match(one: Ranked, score: float) -> SearchMatch:
    return SearchMatch(one.name, round(max(score, 0.0), 4), one.meaning, one.words)


def _merged(found: list[SearchMatch], worded: list[SearchMatch]) -> list[SearchMatch]:
    return sorted([*found, *worded], key=lambda match: -match.score)


def _only_worded(tiers: Tiers) -> Tiers:
    """The query is in a language that the model does not know. So its cosines prove nothing, and only words that agree count."""
    worded = [match for match in tiers.fitting if match.words]
    return Tiers(worded, [] if worded else tiers.fitting or tiers.nearest)


def _with_tags(view: Names, tags: tuple[str, ...]) -> dict[str, Searched]:
    """Workflows that have all of the tags."""
    return {name: version for name, version in view.names.items() if set(tags) <= _tags_of(version)}


def _tags_of(version: Searched) -> set[str]:
    return set(version.options.tags) if isinstance(version, WorkflowVersion) else set()


async def search(store: Store, by_hash: Mapping[str, str], query: str, limit: int) -> list[str]:
    """Names of visible workflows in the order of FTS5, best first, ties in alphabetical order."""
    expression = match_expression(query)
    if not expression:
        return []
    wanted = limit
    while True:
        rows = await store.match(expression, wanted)
        visible = [(by_hash[hash], score) for hash, score in rows if hash in by_hash]
        if len(visible) >= limit or len(rows) < wanted:
            return [name for name, _ in sorted(visible, key=lambda row: (-row[1], row[0]))[:limit]]
        wanted *= 8  # old versions and files of other folders filled the rows


def match_expression(query: str) -> str:
    """The query's words as an FTS5 OR of quoted strings: quoted, no word is FTS5 syntax."""
    words = dict.fromkeys(word.lower() for word in WORD.findall(query[:_MAX_CHARS]))
    telling = [word for word in words if word not in STOP_WORDS][:_MAX_WORDS]
    return " OR ".join(f'"{word}"' for word in telling)
