"""Libraries: small sets of workflows, a finder over a real store and a real encoder, a second small model; used by tests of search."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from repertoire.encoder.models import NoModel, candidates
from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import WorkflowVersion, version_hash
from repertoire.registry.caller_view import View
from repertoire.registry.embedding_index import EmbeddingIndex
from repertoire.registry.search import Finder, SearchResult
from repertoire.store import open_store
from support.required import require

PATIENCE_S = 90.0
"""For torch to be imported on a busy machine."""

KITCHEN: Mapping[str, str] = {
    "plan_meals": "Make a weekly menu with recipes and a combined grocery list.",
    "merge_pdfs": "Join several PDF documents into one.",
    "weather_brief": "Give a short forecast of temperature, rain and wind for a place.",
    "backup_postgres": "Dump a PostgreSQL database, compress it and upload it to S3.",
    "transcribe_audio": "Turn speech in an audio file into text with speaker labels.",
}
HUNGRY = "what should we cook for dinner from Monday to Sunday"
"""Wants plan_meals, and has no word of it."""


def workflow(name: str, description: str, source: str = "", tags: tuple[str, ...] = ()) -> WorkflowVersion:
    source = source or f'def run() -> str:\n    """{description}"""\n    return "{name}"\n'
    options = Options(tags=tags)
    return WorkflowVersion(
        hash=version_hash(name, source, description, options, ()), name=name, origin="tool", source=source,
        description=description, options=options, input_schema={"type": "object", "properties": {}}, output_schema={},
    )  # fmt: skip


def library(descriptions: Mapping[str, str] = KITCHEN) -> View:
    return View([], {name: workflow(name, text) for name, text in descriptions.items()})


def need_model() -> None:
    """Skip loudly, or fail where CI asks for it, without the encoder's package or the weights."""
    try:
        candidates("", download=False)
    except NoModel as none:
        require("REPERTOIRE_REQUIRE_MODEL", f"{none} {none.hint}")


def need_numpy() -> None:
    if importlib.util.find_spec("numpy") is None:
        require("REPERTOIRE_REQUIRE_MODEL", "numpy is not installed; it comes with sentence-transformers.")


class Seeker:
    """A finder, with the one caller's view that it searches."""

    def __init__(self, finder: Finder, meaning: EmbeddingIndex, view: View) -> None:
        self.finder = finder
        self.meaning = meaning
        self.view = view

    async def find(
        self, query: str, limit: int = 5, tags: tuple[str, ...] = (), wait_s: float = PATIENCE_S
    ) -> SearchResult:
        return await self.finder.find((), self.view, query, limit, tags, wait_s=wait_s)

    async def names(self, query: str, limit: int = 5, tags: tuple[str, ...] = ()) -> list[str]:
        return [match.name for match in (await self.find(query, limit, tags)).matches]


@asynccontextmanager
async def seeking(
    folder: Path, view: View | None = None, *, model: str = "", idle_s: float = 600.0, adapter: bool = True
) -> AsyncIterator[Seeker]:
    view = view or library()
    async with open_store(str(folder / "search.db")) as store, anyio.create_task_group() as tasks:
        for version in view.names.values():
            await store.keep_version(version)
        choose = partial(candidates, model, download=False, adapter=adapter)
        meaning = EmbeddingIndex(store, choose, str(folder), idle_s=idle_s)
        tasks.start_soon(meaning.keep)
        yield Seeker(Finder(store, meaning), meaning, view)
        tasks.cancel_scope.cancel()


_SMALL = """
import sys
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers
words = ["[UNK]", *sorted({word for text in sys.argv[3:] for word in text.lower().split()})]
tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=int(sys.argv[2]))], device="cpu").save(sys.argv[1])
"""


@functools.cache
def small_model(dimension: int) -> str:
    """A sentence-transformers model with random vectors for the words of KITCHEN. It is made once: that imports torch."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    words = [f"{name.replace('_', ' ')} {text}" for name, text in KITCHEN.items()]
    subprocess.run([sys.executable, "-c", _SMALL, str(folder), str(dimension), *words], check=True, capture_output=True)
    assert json.loads((folder / "modules.json").read_text())
    return str(folder)
