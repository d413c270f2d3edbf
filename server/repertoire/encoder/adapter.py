"""Adapter: low-rank changes of all-MiniLM-L6-v2 that were learned for search; `minilm` merges them into the model once, after loading.

The file has for each layer and matrix two factors A and B, with `weight += (A @ B).T`. So a query costs what it cost before. It fits one
model only. `adapter_data/README.md` says what it was trained on; `benchmarks/train_adapter.py` trains another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .models import file_sha256

PATH: Final = Path(__file__).parent / "adapter_data" / "all-MiniLM-L6-v2.safetensors"
MATRICES: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "f1": "intermediate.dense",
    "f2": "output.dense",
}
"""Short names of a layer's matrices, as the file has them, and the model's own names."""


def adapter_sha256() -> str:
    """The adapter's name. It stands beside the model's, because vectors with and without it must not be mixed."""
    return file_sha256(PATH)


def merge(bert: Any) -> None:
    """Add the changes to the weights of a loaded BertModel. Raises an error of safetensors or torch if the two do not fit."""
    import torch
    from safetensors.torch import load_file

    changes = load_file(PATH)
    with torch.inference_mode():
        for number, layer in enumerate(bert.encoder.layer):
            for short, name in MATRICES.items():
                down, up = (changes[f"{number}.{short}.{factor}"].float() for factor in "AB")
                layer.get_submodule(name).weight += (down @ up).T
