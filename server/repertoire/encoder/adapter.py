"""Adapter: low-rank changes of all-MiniLM-L6-v2 that were learned for search; `Bert` adds them to the weights once, while it loads them.

The file has for each layer and matrix two factors A and B, with `weight += (A @ B).T`. So a query costs what it cost before. It fits one
model only. `adapter_data/README.md` says what it was trained on; `benchmarks/train_adapter.py` trains another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from .models import file_sha256
from .vectors import Floats

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


def merge(weights: dict[str, Floats]) -> None:
    """Add the changes to the weights of the model's file, by their names in it. Raises an error of numpy if the two do not fit."""
    from safetensors.numpy import load_file

    changes = {name: change.astype(np.float32) for name, change in load_file(PATH).items()}
    for name, down in changes.items():
        number, short, factor = name.split(".")
        if factor == "A":
            change = (down @ changes[f"{number}.{short}.B"]).T
            matrix = f"encoder.layer.{number}.{MATRICES[short]}.weight"
            weights[matrix] = weights[matrix] + change
