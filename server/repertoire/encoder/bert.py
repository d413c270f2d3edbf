"""Bert: all-MiniLM-L6-v2 computed with numpy, so that a search need not wait seconds for torch; used by `minilm`. Not any other model.

It gives the vectors that sentence-transformers gives, up to rounding. The adapter's changes are added to the weights while they are
loaded, so a text costs the same with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from .adapter import merge
from .vectors import Floats

_LAYERS: Final = 6
_HEADS: Final = 12
_EPSILON: Final = 1e-12
_MAX_TOKENS: Final = 256
_BATCH: Final = 16
_PADDING: Final = -1e9
"""Added to the scores of tokens that only fill a row."""
_ERF_UP: Final = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
    -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
_ERF_DOWN: Final = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02,
)  # fmt: skip
"""erf(x) is x * up(x * x) / down(x * x) for |x| < 4, as exact as its 32 bits: numpy has no erf."""


class Bert:
    """The network and its words. `weights` are those of the file, with the adapter's changes or without."""

    def __init__(self, folder: Path, *, adapter: bool) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self.weights: dict[str, Floats] = load_file(folder / "model.safetensors")
        if adapter:
            merge(self.weights)

    def encode(self, texts: list[str]) -> Floats:
        """A row for each text. Texts of one length are computed together."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda number: len(ids[number]))
        rows = np.empty((len(texts), len(self.weights["embeddings.LayerNorm.bias"])), np.float32)
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            rows[some] = self._means([ids[number] for number in some])
        return rows

    def _means(self, ids: list[list[int]]) -> Floats:
        """The mean over the tokens of each text."""
        width = max(map(len, ids))
        tokens = np.zeros((len(ids), width), np.intp)
        held = np.zeros((len(ids), width, 1), np.float32)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = one
            held[row, : len(one)] = 1
        table = "embeddings.{}_embeddings.weight".format
        x = self.weights[table("word")][tokens] + self.weights[table("position")][:width]
        x = self._normal("embeddings", x + self.weights[table("token_type")][0])
        filled = ((1 - held) * np.float32(_PADDING)).reshape(len(ids), 1, 1, width)
        for number in range(_LAYERS):
            x = self._layer(f"encoder.layer.{number}", x, filled)
        return np.asarray((x * held).sum(1) / np.maximum(held.sum(1), 1e-9), np.float32)

    def _layer(self, name: str, x: Floats, filled: Floats) -> Floats:
        texts, width, size = x.shape

        def heads(part: str) -> Floats:
            found = self._dense(f"{name}.attention.self.{part}", x)
            return found.reshape(texts, width, _HEADS, size // _HEADS).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32((size // _HEADS) ** 0.5) + filled
        seen = (_shares(scores) @ heads("value")).transpose(0, 2, 1, 3).reshape(texts, width, size)
        x = self._normal(f"{name}.attention.output", x + self._dense(f"{name}.attention.output.dense", seen))
        wide = _gelu(self._dense(f"{name}.intermediate.dense", x))
        return self._normal(f"{name}.output", x + self._dense(f"{name}.output.dense", wide))

    def _dense(self, name: str, x: Floats) -> Floats:
        weight = self.weights[f"{name}.weight"]
        flat = x.reshape(-1, x.shape[-1]) @ weight.T  # one product of two matrices, not one for each text
        return (flat + self.weights[f"{name}.bias"]).reshape(*x.shape[:-1], len(weight))

    def _normal(self, name: str, x: Floats) -> Floats:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(-1, keepdims=True) + np.float32(_EPSILON))
        return x * self.weights[f"{name}.LayerNorm.weight"] + self.weights[f"{name}.LayerNorm.bias"]


def _shares(scores: Floats) -> Floats:
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    return scores


def _gelu(x: Floats) -> Floats:
    inner = np.clip(x * np.float32(0.5**0.5), -4, 4)
    square = inner * inner
    curve: Floats = 1 + inner * _polynomial(_ERF_UP, square) / _polynomial(_ERF_DOWN, square)
    return x * np.float32(0.5) * curve


def _polynomial(factors: tuple[float, ...], x: Floats) -> Floats:
    found = np.full_like(x, factors[0])
    for factor in factors[1:]:
        found *= x
        found += np.float32(factor)
    return found
