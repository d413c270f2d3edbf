"""EmbeddingIndex: search by meaning, on the host's side of the encoder; used by `Finder`.

1. `keep` is the only task that starts, feeds and ends the encoder, a child process. It starts at the first query and ends when idle.
2. The child holds a row for each text and a shelf for each view: the workflows (or tools) among which a query of that view searches.
3. Texts and rows are numbered in order by both ends, without exchange of the numbers. After a failed step the two could differ, so the
   child is started anew.
4. Workflows are indexed while queries are answered: a shelf may be older than the caller's view, or not whole yet. Of a view, what is
   on the shelf is ranked, and the answer names the rest.
5. A query that the child cannot answer at all (not started, just died) gets None, with the reason in `why_not`. `Finder` then ranks by
   words.

Vectors are kept in the store, so that a new child need not encode them again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Collection
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from ..encoder.messages import (
    BuildShelf,
    Doc,
    Docs,
    Encode,
    Encoded,
    Find,
    Found,
    Hit,
    Open,
    Put,
    Ready,
    Reply,
    Request,
)
from ..encoder.models import Candidate, NoModel
from ..encoder.search_weights import Recipe
from ..errors import RepertoireError
from ..store import Store
from .encoder_client import EncoderGone, EncoderProcess, EncoderRefused, encoder_process
from .outcome_score import Ranked, Ranking
from .search_texts import Names, Searched, Texts, sendable, texts_of

logger = logging.getLogger(__name__)

_OPEN_S: Final = 300.0
"""Limit for loading torch and the model, and for downloading the model where that is allowed."""
_STEP_S: Final = 60.0
"""Limit for one batch, or for building a shelf of a hundred thousand workflows."""
_QUERY_S: Final = 10.0
_BATCH: Final = 16
"""Texts encoded in one request. A query waits for at most one request, some 200 ms."""
_AT_ONCE: Final = 256
"""Workflows indexed together. Their work between two turns of the event loop takes milliseconds."""
_ENCODED_AT_ONCE: Final = 32
"""Workflows whose texts are encoded before queries can find them: seconds."""
_GROWTH: Final = 1.125
"""While texts are encoded, a shelf is built again whenever it would have this many times the workflows: queries see what is done."""
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_STEADY_S: Final = 60.0
"""After a child has lived this long, the next pause is short again."""
_REFUSED_FOR_S: Final = 300.0
"""A model that could not be loaded is tried again after this time."""


class _Shelf(msgspec.Struct):
    """`view` is the view that all of it holds; None while some of it is missing."""

    number: int
    view: Names | None
    names: dict[int, str]
    docs: dict[str, int]


class EmbeddingIndex:
    """`choose` returns the models to try. It raises NoModel if there is none."""

    def __init__(
        self,
        store: Store,
        choose: Callable[[], tuple[Candidate, ...]],
        scratch: str,
        *,
        idle_s: float,
        download: bool = False,
        recipe: Recipe | None = None,
    ) -> None:
        self._store = store
        self._choose = choose
        self._scratch = scratch
        self._idle_s = idle_s
        self._download = download
        self.recipe = recipe or Recipe()
        self._process: EncoderProcess | None = None
        self._needed_at = 0.0
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._wanted: dict[tuple[str, ...], Names] = {}
        self._shelves: dict[tuple[str, ...], _Shelf] = {}
        self._trouble: str | None = None
        self._hopeless = False
        self._forget()
        self.encoded = 0
        """Texts encoded since the start: an unchanged restart leaves it at 0."""
        self.starts = 0

    def _forget(self) -> None:
        """Reset to a child that knows nothing."""
        self._rows: dict[str, int] = {}
        self._docs: dict[str, int] = {}
        self._shelves.clear()
        self._model = ""
        self._dimension = 0
        self.languages: tuple[str, ...] = ()
        """Languages that the running model knows; empty if there is none, or we do not know them."""
        self.progress: tuple[int, int] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id; None while no child is running."""
        return self._process.pid if self._process is not None else None

    @property
    def trouble(self) -> str | None:
        """Why no encoder can be used, as a sentence. None: nothing is known against it."""
        return self._trouble

    @property
    def why_not(self) -> str:
        """Why queries are not answered by meaning now, as a sentence."""
        if self._trouble is not None:
            return self._trouble
        if self.progress is not None:
            done, total = self.progress
            return f"Ranked by words only: {done} of {total} workflows are indexed."
        return "Ranked by words only: the encoder was still starting."

    async def find(
        self,
        roots: tuple[str, ...],
        view: Names,
        query: str,
        limit: int,
        within: Collection[str] | None = None,
        *,
        wait_s: float = 0.0,
    ) -> Ranking | None:
        """Ranks what is indexed of `within`, or of the whole view. None: it cannot answer now, and `why_not` says why."""
        self._needed_at = time.monotonic()
        shelf = self._shelves.get(roots)
        if shelf is None or shelf.view is not view:
            self._wanted[roots] = view
            self._wake.set()
            await self._wait_for_shelf(roots, view, wait_s)
            shelf = self._shelves.get(roots)  # the newest that there is
        process = self._process
        if shelf is None or process is None:
            return None
        whole = shelf.view is view and within is None
        docs = shelf.docs if shelf.view is view else self._still_on(shelf, view)
        names = list(view.names if within is None else within)
        chosen = None if whole else array("i", (docs[name] for name in names if name in docs)).tobytes()
        try:
            reply = await process.request(Find(shelf.number, sendable(query), limit, chosen), within_s=_QUERY_S)
        except (EncoderGone, EncoderRefused) as error:
            logger.warning("a query is answered by words: %s", error)
            self._trouble = f"Ranked by words only: {error}."
            return None
        assert isinstance(reply, Found)
        self._trouble = None
        unindexed = () if whole else tuple(name for name in names if name not in docs)
        return Ranking(_ranked(shelf, reply.hits), _ranked(shelf, reply.nearest), unindexed)

    def _still_on(self, shelf: _Shelf, view: Names) -> dict[str, int]:
        """Of a view, the workflows that are on a shelf of an earlier one in the same version."""
        return {
            name: doc
            for name, version in view.names.items()
            if (doc := shelf.docs.get(name)) is not None and doc == self._docs.get(version.hash)
        }

    async def _wait_for_shelf(self, roots: tuple[str, ...], view: Names, wait_s: float) -> None:
        """Wait until all of the view is indexed, for at most `wait_s`. Returns at once if no child will be started soon."""
        with anyio.move_on_after(wait_s):
            while True:
                shelf = self._shelves.get(roots)
                if (shelf is not None and shelf.view is view) or self._hopeless:
                    return
                await self._moved.wait()

    async def keep(self) -> None:
        """Start the child at the first query, feed it, end it when idle, and start it again after it died. Runs as long as the app."""
        pause = _FIRST_PAUSE_S
        while True:
            await self._wait_for_wake()
            began = time.monotonic()
            try:
                await self._live_once()
                continue
            except NoModel as none:
                self._give_up(f"Ranked by words only: {none} {none.hint}", hopeless=True)
                await anyio.sleep(_REFUSED_FOR_S)
            except EncoderRefused as refused:
                logger.warning("no semantic search: %s", refused)
                self._give_up(f"Ranked by words only: {refused}", hopeless=True)
                await anyio.sleep(_REFUSED_FOR_S)
            except RepertoireError as error:  # the store's file or disk
                logger.warning("no semantic search: %s", error.message)
                self._give_up(f"Ranked by words only: {error.message}", hopeless=True)
                await anyio.sleep(_REFUSED_FOR_S)
            except (EncoderGone, OSError) as gone:
                logger.warning("the encoder ended: %s; it is started again", gone)
                self._give_up(f"Ranked by words only: {gone}; it is being started again.", hopeless=False)
                pause = pause_after(pause, time.monotonic() - began)
                await anyio.sleep(pause)
                if time.monotonic() - self._needed_at < self._idle_s:
                    self._wake.set()
            except Exception:  # only the ranking by meaning may fail with the encoder
                logger.exception("keeping the encoder")
                self._give_up(
                    "Ranked by words only: the encoder failed; the server's log has the details.", hopeless=True
                )
                await anyio.sleep(_REFUSED_FOR_S)

    async def _live_once(self) -> None:
        """One life of the child, until it has been idle for `idle_s`. Raises NoModel, EncoderGone, EncoderRefused."""
        candidates = await anyio.to_thread.run_sync(self._choose)
        self.starts += 1
        async with encoder_process(self._scratch, download=self._download) as process:
            process.on_gone = self._wake.set
            try:
                ready = await process.request(Open(candidates, self.recipe), within_s=_OPEN_S)
                assert isinstance(ready, Ready)
                for reason in ready.refused:
                    logger.warning("%s", reason)
                logger.info("semantic search: %s", ready.where)
                self._forget()
                self._model, self._dimension, self.languages = ready.model, ready.dimension, ready.languages
                self._process, self._trouble, self._hopeless = process, None, False
                self._needed_at = time.monotonic()  # loading took long, and a query waits
                await self._feed(process)
            finally:
                process.on_gone = None  # from here on we end it ourselves
                self._process = None
                self._forget()
                self._notify_waiters()

    async def _feed(self, process: EncoderProcess) -> None:
        """Index the wanted views, until no query has come for `idle_s`."""
        while True:
            while self._wanted:
                roots, view = next(iter(self._wanted.items()))
                await self._index(process, roots, view)
                if self._wanted[roots] is view:  # not sooner: if the child dies of it, the next child must index it
                    del self._wanted[roots]
            left = self._needed_at + self._idle_s - time.monotonic()
            if left <= 0:
                return
            with anyio.move_on_after(left):
                await self._wait_for_wake()
            if process.gone:
                raise EncoderGone("the encoder died")

    async def _index(self, process: EncoderProcess, roots: tuple[str, ...], view: Names) -> None:
        """First what the store has vectors of, which is quick, then the rest. Shelves are built in between."""
        new = [version for version in view.names.values() if version.hash not in self._docs]
        rest: list[Searched] = []
        for some in _parts(new, _AT_ONCE):
            rest += await self._add_stored(process, some)
            self._show_progress(len(new) - len(rest), len(new))
        for some in _parts(rest, _ENCODED_AT_ONCE):
            await self._build_shelf(process, roots, view)
            await self._add_encoded(process, some, len(new))
        await self._build_shelf(process, roots, view)
        self._needed_at = time.monotonic()
        self.progress = None
        self._notify_waiters()

    async def _build_shelf(self, process: EncoderProcess, roots: tuple[str, ...], view: Names) -> None:
        """A shelf of what is indexed of the view. One that is not whole is built only if it has grown."""
        numbers = {name: doc for name, one in view.names.items() if (doc := self._docs.get(one.hash)) is not None}
        whole = len(numbers) == len(view.names)
        known = self._shelves.get(roots)
        if not whole and len(numbers) <= (_GROWTH * len(known.docs) if known is not None else 0):
            return
        number = known.number if known is not None else len(self._shelves) + 1
        await self._ask(process, BuildShelf(number, array("i", numbers.values()).tobytes()))
        names = {doc: name for name, doc in numbers.items()}
        self._shelves[roots] = _Shelf(number, view if whole else None, names, numbers)

    def _show_progress(self, done: int, total: int) -> None:
        self.progress = done, total
        self._notify_waiters()

    async def _add_stored(self, process: EncoderProcess, some: list[Searched]) -> list[Searched]:
        """Give the child the stored vectors of these workflows, and those workflows that then have all. Returns the others."""
        texts = await anyio.to_thread.run_sync(_read, some)
        missing = {sha for _, shas in texts for sha in shas if sha not in self._rows}
        stored = await self._store.vectors(self._model, list(missing))
        good = [(sha, value) for sha, value in stored.items() if len(value) == 4 * self._dimension]
        if good:
            await self._ask(process, Put(b"".join(value for _, value in good)))
            self._number([sha for sha, _ in good])
        pairs = list(zip(some, texts, strict=True))
        ready = [pair for pair in pairs if all(sha in self._rows for sha in pair[1][1])]
        await self._add_docs(process, ready)
        return [version for version in some if version.hash not in self._docs]

    async def _add_encoded(self, process: EncoderProcess, some: list[Searched], total: int) -> None:
        """Encode the texts of these workflows that the child has no row for, and give it the workflows. `total`: of this indexing."""
        done = self.progress[0] if self.progress is not None else 0
        texts = await anyio.to_thread.run_sync(_read, some)
        missing = {
            sha: view for one, shas in texts for sha, view in zip(shas, one.views, strict=True) if sha not in self._rows
        }
        rest = sorted(missing.items(), key=lambda one: len(one[1]))
        for start in range(0, len(rest), _BATCH):  # sorted by length: a batch is as slow as its longest text
            self._show_progress(done + start * len(some) // len(rest), total)
            await self._encode(process, rest[start : start + _BATCH])
        self._show_progress(done + len(some), total)
        await self._add_docs(process, list(zip(some, texts, strict=True)))

    async def _add_docs(
        self, process: EncoderProcess, some: list[tuple[Searched, tuple[Texts, tuple[str, ...]]]]
    ) -> None:
        docs = [Doc(tuple(self._rows[sha] for sha in shas), one.words) for _, (one, shas) in some]
        if docs:
            await self._ask(process, Docs(docs))
        for version, _ in some:
            self._docs[version.hash] = len(self._docs)

    async def _encode(self, process: EncoderProcess, some: list[tuple[str, str]]) -> None:
        reply = await self._ask(process, Encode([text for _, text in some]))
        assert isinstance(reply, Encoded)
        size = 4 * self._dimension
        values = [reply.values[at * size : (at + 1) * size] for at in range(len(some))]
        shas = [sha for sha, _ in some]
        self._number(shas)
        self.encoded += len(some)
        await self._store.add_vectors(self._model, list(zip(shas, values, strict=True)))

    def _number(self, shas: list[str]) -> None:
        """Number new rows as the child does, in the order of their arrival."""
        for sha in shas:
            self._rows[sha] = len(self._rows)

    async def _ask(self, process: EncoderProcess, request: Request) -> Reply:
        """Send one step of indexing. After a refused step the numbers of the two ends may differ, so the child is started anew."""
        try:
            return await process.request(request, within_s=_STEP_S)
        except EncoderRefused as refused:
            raise EncoderGone(f"the encoder failed: {refused}") from refused

    def _give_up(self, reason: str, *, hopeless: bool) -> None:
        """`hopeless`: queries need not wait, because no child will be started soon."""
        self._trouble, self._hopeless = reason, hopeless
        self._notify_waiters()

    def _notify_waiters(self) -> None:
        """Wake the queries that wait for a shelf."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _wait_for_wake(self) -> None:
        await self._wake.wait()
        self._wake.clear()


def pause_after(last: float, lived_s: float) -> float:
    """Seconds before a child that ended is started again: doubled each time, and short again after a long life."""
    return _FIRST_PAUSE_S if lived_s > _STEADY_S else min(2 * last, _LONGEST_PAUSE_S)


def _ranked(shelf: _Shelf, hits: list[Hit]) -> list[Ranked]:
    return [Ranked(shelf.names[hit.doc], hit.score, hit.meaning, tuple(hit.words)) for hit in hits]


def _parts(versions: list[Searched], size: int) -> list[list[Searched]]:
    return [versions[start : start + size] for start in range(0, len(versions), size)]


def _read(versions: list[Searched]) -> list[tuple[Texts, tuple[str, ...]]]:
    """The texts of each version, with their sha256."""
    return [(texts, texts.shas()) for texts in map(texts_of, versions)]
