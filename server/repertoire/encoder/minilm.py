"""SentenceModel: a sentence-transformers model, all-MiniLM-L6-v2 or the one from the settings; used by the child only, as it imports torch."""

from __future__ import annotations

import hashlib

import torch
from sentence_transformers import SentenceTransformer

from .adapter import adapter_sha256, merge
from .models import Candidate, identity, is_minilm, languages
from .vectors import Floats, unit

_BATCH = 16


class SentenceModel:
    """`adapter`: the sha256 of the adapter that was merged into the model. It is part of the identity."""

    def __init__(
        self, model: SentenceTransformer, identity: str, languages: tuple[str, ...] = (), adapter: str | None = None
    ) -> None:
        self._model = model
        self.identity = f"{identity}+{adapter}" if adapter else identity
        self.languages = languages
        self.adapter = adapter
        self.dimension = len(self.encode(["a text"])[0])

    def encode(self, texts: list[str]) -> Floats:
        with torch.inference_mode():
            values = self._model.encode(texts, batch_size=_BATCH, convert_to_numpy=True, show_progress_bar=False)
        return unit(values)


def load(candidate: Candidate) -> SentenceModel:
    """Load the model. It computes on one thread: two threads on busy cores take ten times as long."""
    torch.set_num_threads(1)
    model = SentenceTransformer(candidate.where, device="cpu", revision=candidate.revision, trust_remote_code=False)
    adapter = None
    if candidate.adapter and is_minilm(candidate):
        merge(model[0].auto_model)
        adapter = adapter_sha256()
    known = languages(candidate)
    if candidate.kind == "hub":
        identified = hashlib.sha256(f"{candidate.where}@{candidate.revision}".encode()).hexdigest()
    else:
        identified = identity(candidate.where)
    return SentenceModel(model, identified, known, adapter)
