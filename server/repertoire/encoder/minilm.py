"""SentenceModel: all-MiniLM-L6-v2, or the sentence-transformers model of the settings; used by the encoder's child only.

The first is computed with numpy (`Bert`) and is ready in a fraction of a second. Any other needs torch, whose import takes seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .adapter import adapter_sha256
from .bert import Bert
from .models import Candidate, identity, is_minilm, languages
from .vectors import Floats, unit

_BATCH: Final = 16
_FILES: Final = ["*.json", "model.safetensors"]
"""What is downloaded of all-MiniLM-L6-v2."""


class SentenceModel:
    """`adapter`: the sha256 of the adapter that was merged into the model. It is part of the identity."""

    def __init__(
        self,
        encode: Callable[[list[str]], Floats],
        identity: str,
        languages: tuple[str, ...] = (),
        adapter: str | None = None,
    ) -> None:
        self._encode = encode
        self.identity = f"{identity}+{adapter}" if adapter else identity
        self.languages = languages
        self.adapter = adapter
        self.dimension = len(self.encode(["a text"])[0])

    def encode(self, texts: list[str]) -> Floats:
        return unit(self._encode(texts))


def load(candidate: Candidate) -> SentenceModel:
    if candidate.kind == "hub":
        identified = hashlib.sha256(f"{candidate.where}@{candidate.revision}".encode()).hexdigest()
    else:
        identified = identity(candidate.where)
    if not is_minilm(candidate):
        return SentenceModel(_by_torch(candidate), identified)
    adapter = adapter_sha256() if candidate.adapter else None
    bert = Bert(_folder(candidate), adapter=candidate.adapter)
    return SentenceModel(bert.encode, identified, languages(candidate), adapter)


def _folder(candidate: Candidate) -> Path:
    if candidate.kind != "hub":
        return Path(candidate.where)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(candidate.where, revision=candidate.revision, allow_patterns=_FILES))


def _by_torch(candidate: Candidate) -> Callable[[list[str]], Floats]:
    """It computes on one thread: two threads on busy cores take ten times as long."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(candidate.where, device="cpu", revision=candidate.revision, trust_remote_code=False)

    def encode(texts: list[str]) -> Floats:
        with torch.inference_mode():
            found: Floats = model.encode(texts, batch_size=_BATCH, convert_to_numpy=True, show_progress_bar=False)
        return found

    return encode
