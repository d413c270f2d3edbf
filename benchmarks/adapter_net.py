"""MiniLM-L6 as plain torch with trainable low-rank changes of its linear layers; used by `train_adapter`. Not the product's encoder.

It gives the same numbers as sentence-transformers does. Written out, the changes need no hooks, and gradients flow to them alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from repertoire.encoder.adapter import MATRICES

_LAYERS: Final = 6
_WIDTH: Final = 384
_HEADS: Final = 12
_DROPOUT: Final = 0.1
_MAX_TOKENS: Final = 96
"""A description says early what it is about. Memory and time grow with the longest text of a batch."""

Weights = Mapping[str, Tensor]


class Linear(nn.Module):
    """y = x W' + b + (x A) B. `W` and `b` stay as they are."""

    def __init__(self, weights: Weights, name: str, rank: int, chance: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("weight", weights[f"{name}.weight"])
        self.register_buffer("bias", weights[f"{name}.bias"])
        wide, narrow = self.get_buffer("weight").shape
        self.A = nn.Parameter(torch.randn(narrow, rank, generator=chance) / math.sqrt(narrow))
        self.B = nn.Parameter(torch.zeros(rank, wide))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.get_buffer("weight"), self.get_buffer("bias")) + (x @ self.A) @ self.B


class Layer(nn.Module):
    def __init__(self, weights: Weights, number: int, rank: int, chance: torch.Generator) -> None:
        super().__init__()
        start = f"encoder.layer.{number}."
        self.matrices = nn.ModuleDict(
            {short: Linear(weights, start + name, rank, chance) for short, name in MATRICES.items()}
        )
        self.after_attention = _norm(weights, f"{start}attention.output.LayerNorm")
        self.after_all = _norm(weights, f"{start}output.LayerNorm")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        dropout = _DROPOUT if self.training else 0.0

        def heads(name: str) -> Tensor:
            return cast(Tensor, self.matrices[name](x)).view(*x.shape[:2], _HEADS, -1).transpose(1, 2)

        seen = F.scaled_dot_product_attention(heads("q"), heads("k"), heads("v"), attn_mask=mask, dropout_p=dropout)
        seen = self.matrices["o"](seen.transpose(1, 2).reshape(x.shape))
        x = self.after_attention(x + F.dropout(seen, dropout, self.training))
        wide = self.matrices["f2"](F.gelu(self.matrices["f1"](x)))
        return cast(Tensor, self.after_all(x + F.dropout(wide, dropout, self.training)))


class Net(nn.Module):
    """Token ids and their mask to unit vectors: the mean of the last layer over the tokens."""

    def __init__(self, file: Path, rank: int, chance: torch.Generator) -> None:
        super().__init__()
        weights = {
            name.removeprefix("bert."): value.float()
            for name, value in load_file(file).items()
            if value.is_floating_point()
        }
        for short, name in (("words", "word"), ("places", "position"), ("kinds", "token_type")):
            self.register_buffer(short, weights[f"embeddings.{name}_embeddings.weight"])
        self.first = _norm(weights, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer(weights, number, rank, chance) for number in range(_LAYERS))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.endswith((".A", ".B")))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        words, places, kinds = (self.get_buffer(name) for name in ("words", "places", "kinds"))
        x = self.first(words[ids] + places[: ids.shape[1]] + kinds[0])
        allowed = torch.where(mask, 0.0, -1e9)[:, None, None, :].to(x.dtype)
        for layer in self.layers:
            x = layer(x, allowed)
        kept = mask[..., None].to(x.dtype)
        return F.normalize((x * kept).sum(1) / kept.sum(1), dim=-1)

    def changes(self, share: float) -> dict[str, Tensor]:
        """The factors by name, as the product reads them. A change counts by `share` of what was learned."""
        found: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            for short, matrix in cast(Layer, layer).matrices.items():
                linear = cast(Linear, matrix)
                found[f"{number}.{short}.A"] = (share * linear.A).detach().half().cpu().contiguous()
                found[f"{number}.{short}.B"] = linear.B.detach().half().cpu().contiguous()
        return found


def _norm(weights: Weights, name: str) -> nn.LayerNorm:
    made = nn.LayerNorm(_WIDTH, eps=1e-12)
    made.weight.data, made.bias.data = weights[f"{name}.weight"].clone(), weights[f"{name}.bias"].clone()
    return made


def tokenizer(folder: Path) -> Tokenizer:
    """The model's own, without padding."""
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.no_padding()
    made.enable_truncation(_MAX_TOKENS)
    return made


class Texts:
    """Token ids of a list of texts."""

    def __init__(self, tokens: Tokenizer, texts: Sequence[str], device: str) -> None:
        ids = [encoded.ids for encoded in tokens.encode_batch(list(texts))]
        self.device = device
        self.lengths = torch.tensor([len(one) for one in ids])
        self._ids = torch.zeros(len(ids), int(self.lengths.max()), dtype=torch.long)
        for row, one in enumerate(ids):
            self._ids[row, : len(one)] = torch.tensor(one)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Ids and mask of these texts, as wide as the longest of them."""
        widest = int(self.lengths[rows].max())
        mask = torch.arange(widest)[None] < self.lengths[rows][:, None]
        return self._ids[rows, :widest].to(self.device), mask.to(self.device)

    def vectors(self, net: Net, rows: Tensor | Sequence[int]) -> Tensor:
        """Those of similar length together: less padding, less memory."""
        rows = torch.as_tensor(rows)
        order = torch.argsort(self.lengths[rows], stable=True)
        size = 48 if self.device == "cpu" else 4096
        parts = [net(*self.batch(rows[order[start : start + size]])) for start in range(0, len(order), size)]
        return torch.cat(parts)[torch.argsort(order).to(self.device)]
