"""Trains the search adapter: changes of MiniLM, so that a query in a user's own words comes near the workflow that serves it, and a query
that nothing serves stays away from all.

    python -m benchmarks.train_adapter --model MODEL_DIR --out adapter.safetensors [--public DIR]

`--public` names a folder with corpus.jsonl and queries.jsonl of public tools: their queries are learned as well. Deterministic on one
kind of machine. It takes an hour on one CPU thread, and 15 s on a GPU. `repertoire.encoder.adapter` says what the file holds.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from .adapter_net import Net, Texts, tokenizer

_DATA: Final = Path(__file__).parent / "adapter_data"
_RANK: Final = 16
_STEPS: Final = 150
"""More steps fit the training set, and do worse on workflows that are not in it."""
_BATCH: Final = 128
_RATE: Final = 1e-3
_TAU: Final = 0.05
_SHARE: Final = 0.75
"""Of what was learned; the whole of it does worse on unseen workflows."""
_NOTHING: Final = 0.5
"""Weight of the class "nothing fits", whose cosine is learned."""
_NOTHING_RATE: Final = 1e-2
_NOTHING_ROWS: Final = 32
_PUBLIC_ROWS: Final = 15
"""Queries of the public set in a batch."""
_PUBLIC_OTHERS: Final = 32
_TWIN: Final = 0.75
"""Workflows that are nearer than this in the unchanged model may serve the same query: never each other's negatives."""
_VIEWS: Final = (0.425, 0.425, 0.15)
"""How often a batch is of each view."""


@dataclass(frozen=True)
class Question:
    text: str
    right: Sequence[int]
    hard: Sequence[int] = ()
    """Places of workflows that are near, and do not serve it."""


@dataclass
class Data:
    docs: list[tuple[str, str, str]] = field(default_factory=list)
    """The three views of each workflow, as the product makes its texts."""
    written: list[Question] = field(default_factory=list)
    public: list[Question] = field(default_factory=list)
    nothing: list[str] = field(default_factory=list)
    own: int = 0
    """That many of the first workflows are this project's."""


def load_data(public: Path | None) -> Data:
    data, place = Data(), dict[str, int]()

    def add(one: Mapping[str, Any], name: str) -> None:
        place[one["id"]] = len(data.docs)
        data.docs.append(_views(name, one["description"], one.get("parameters") or {}))

    for one in _rows(_DATA / "workflows.jsonl"):
        add(one, one["name"])
    data.own = len(data.docs)
    for one in _rows(_DATA / "queries.jsonl"):
        data.written.append(Question(one["query"], [place[one["workflow"]]], [place[other] for other in one["hard"]]))
    data.nothing = [one["query"] for one in _rows(_DATA / "unanswerable.jsonl")]
    if public is not None:
        for one in _rows(public / "corpus.jsonl"):
            add(one, re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", one["name"]).lower().strip("_"))
        for one in _rows(public / "queries.jsonl"):
            data.public.append(Question(one["query"], [place[id] for id in one["relevant"]]))
    return data


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _views(name: str, description: str, parameters: Mapping[str, Mapping[str, str]]) -> tuple[str, str, str]:
    said = f"{name.replace('_', ' ')}: {description}" if description else name.replace("_", " ")
    told = "; ".join(f"{key.replace('_', ' ')}: {one.get('description', '')}" for key, one in parameters.items())
    lines = "\n".join(f"        {key}: {one.get('description', '')}" for key, one in parameters.items())
    head = f"async def run({', '.join(f'{key}: str' for key in parameters)}) -> dict:"
    source = f'{head}\n    """{description}\n\n    Args:\n{lines}\n    """\n    return {{}}\n'
    return said, f"{said}. {told}" if told else said, source


class Training:
    """Texts, net and chance; `loss` draws the next batch."""

    def __init__(self, data: Data, model: Path, device: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.data, self.device = data, device
        self.chance = torch.Generator().manual_seed(seed)
        self.net = Net(model / "model.safetensors", _RANK, self.chance).to(device)
        self.none = torch.nn.Parameter(torch.tensor(0.3, device=device))
        tokens = tokenizer(model)
        self._docs = [Texts(tokens, [doc[view] for doc in data.docs], device) for view in range(3)]
        self._questions = [*data.written, *data.public]
        self._asked = Texts(tokens, [*(one.text for one in self._questions), *data.nothing], device)
        self._order: list[int] = []
        with torch.inference_mode():
            self.net.eval()
            base = self._docs[0].vectors(self.net, range(len(data.docs)))
        self._twins = (base @ base.T > _TWIN).cpu().clone()

    def _number(self, bound: int) -> int:
        return int(torch.randint(bound, (1,), generator=self.chance))

    def _batch(self) -> list[int]:
        """Every written query once, before any comes again."""
        if len(self._order) < _BATCH:
            self._order = torch.randperm(len(self.data.written), generator=self.chance).tolist()
        batch, self._order = self._order[:_BATCH], self._order[_BATCH:]
        if self.data.public:
            batch += [len(self.data.written) + self._number(len(self.data.public)) for _ in range(_PUBLIC_ROWS)]
        return batch

    def _pool(self, batch: Sequence[int], right: Sequence[int]) -> list[int]:
        """The right workflows of the batch, a hard one for each, and some public ones."""
        asked = [self._questions[one] for one in batch]
        pool = [*right, *(one.hard[self._number(len(one.hard))] for one in asked if one.hard)]
        if self.data.public:
            pool += [self.data.own + self._number(len(self.data.docs) - self.data.own) for _ in range(_PUBLIC_OTHERS)]
        return list(dict.fromkeys(pool))

    def loss(self) -> Tensor:
        batch = self._batch()
        right = [one.right[self._number(len(one.right))] for one in (self._questions[row] for row in batch)]
        pool = self._pool(batch, right)
        view = int(torch.multinomial(torch.tensor(_VIEWS), 1, generator=self.chance))
        self.net.train()
        found = self._docs[view].vectors(self.net, pool)
        cosines = self._asked.vectors(self.net, batch) @ found.T
        targets = torch.tensor([pool.index(doc) for doc in right], device=self.device)
        served = self._served(batch, pool, right).to(self.device)
        others = served.clone()
        others[torch.arange(len(batch)), targets] = False  # right as well, but not the one that is asked for
        odd = torch.randint(len(self.data.nothing), (_NOTHING_ROWS,), generator=self.chance) + len(self._questions)
        own = [column for column, doc in enumerate(pool) if doc < self.data.own]
        away = self._asked.vectors(self.net, odd) @ found[own].T
        return F.cross_entropy((cosines / _TAU).masked_fill(others, -1e4), targets) + _NOTHING * (
            self._against_nothing(cosines.masked_fill(others, -9), targets)
            + 0.5 * self._against_nothing(cosines.masked_fill(served, -9))
            + 0.5 * self._against_nothing(away)
        )

    def _served(self, batch: Sequence[int], pool: Sequence[int], right: Sequence[int]) -> Tensor:
        """For each query (rows) the workflows of the pool that serve it, or may."""
        served = self._twins[torch.tensor(right)][:, torch.tensor(pool)].clone()
        for row, one in enumerate(batch):
            for doc in (right[row], *self._questions[one].right):
                if doc in pool:
                    served[row, pool.index(doc)] = True
        return served

    def _against_nothing(self, cosines: Tensor, targets: Tensor | None = None) -> Tensor:
        """The loss with one more class: nothing fits. It is the right one where there are no `targets`."""
        rows, columns = cosines.shape
        if targets is None:
            targets = torch.full((rows,), columns, device=self.device)
        return F.cross_entropy(torch.cat([cosines, self.none.expand(rows, 1)], 1) / _TAU, targets)


def train(training: Training, steps: int) -> None:
    trained = [parameter for parameter in training.net.parameters() if parameter.requires_grad]
    groups = [{"params": trained, "weight_decay": 0.01}, {"params": [training.none], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=_RATE)
    began = time.monotonic()
    for step in range(steps):
        loss = training.loss()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        share = min(1.0, (step + 1) / (0.1 * steps)) * (1 - step / steps)  # warms up, and falls to nothing
        for group, rate in zip(optimizer.param_groups, (_RATE, _NOTHING_RATE), strict=True):
            group["lr"] = rate * share
        optimizer.step()
        sys.stderr.write(f"step {step + 1} of {steps}, loss {loss.item():.3f}, {time.monotonic() - began:.0f} s\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--public", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=_STEPS)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    training = Training(load_data(options.public), options.model, device, options.seed)
    train(training, options.steps)
    about = {"share": str(_SHARE), "rank": str(_RANK), "none": f"{training.none.item():.4f}"}
    save_file(training.net.changes(_SHARE), str(options.out), metadata=about)


if __name__ == "__main__":
    main()
