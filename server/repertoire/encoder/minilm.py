"""SentenceModel: a sentence-transformers model, all-MiniLM-L6-v2 or the one from the settings; used by the child only, as it imports torch."""

from __future__ import annotations

import hashlib

import torch
from sentence_transformers import SentenceTransformer

from .models import Candidate, identity
from .vectors import Floats, unit

_BATCH = 16


class SentenceModel:
    def __init__(self, model: SentenceTransformer, identity: str) -> None:
        self._model = model
        self.identity = identity
        self.dimension = len(self.encode(["a text"])[0])

    def encode(self, texts: list[str]) -> Floats:
        with torch.inference_mode():
            values = self._model.encode(texts, batch_size=_BATCH, convert_to_numpy=True, show_progress_bar=False)
        return unit(values)


def load(candidate: Candidate) -> SentenceModel:
    """Load the model. It computes on one thread: two threads on busy cores take ten times as long."""
    torch.set_num_threads(1)
    model = SentenceTransformer(candidate.where, device="cpu", revision=candidate.revision, trust_remote_code=False)
    if candidate.kind == "hub":
        return SentenceModel(model, hashlib.sha256(f"{candidate.where}@{candidate.revision}".encode()).hexdigest())
    return SentenceModel(model, identity(candidate.where))
