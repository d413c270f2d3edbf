"""The adapter: merged once into the one model that it fits, part of the vectors' name, and off where the setting says so."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
from pathlib import Path

import anyio
import pytest

from repertoire.encoder.adapter import PATH, adapter_sha256
from repertoire.encoder.models import WEIGHTS_SHA256, Candidate, candidates, is_minilm, languages
from repertoire.settings import load
from support.libraries import HUNGRY, need_model, seeking, small_model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _model() -> None:
    need_model()


def models(folder: Path) -> list[str]:
    rows = sqlite3.connect(folder / "search.db").execute("SELECT DISTINCT model FROM vector ORDER BY length(model)")
    return [str(model) for (model,) in rows]


async def test_vectors_with_and_without_the_adapter_are_kept_apart(tmp_path: Path) -> None:
    async with seeking(tmp_path, adapter=False) as seeker:
        await seeker.find(HUNGRY)
        encoded = seeker.meaning.encoded
    async with seeking(tmp_path) as seeker:
        assert (await seeker.names(HUNGRY))[0] == "plan_meals" and seeker.meaning.encoded == encoded
    plain, adapted = models(tmp_path)
    assert adapted == f"{plain}+{hashlib.sha256(PATH.read_bytes()).hexdigest()}" == f"{plain}+{adapter_sha256()}"
    async with seeking(tmp_path, adapter=False) as seeker:
        await seeker.find(HUNGRY)
        assert seeker.meaning.encoded == 0


async def test_it_is_merged_once_into_the_weights_and_costs_no_layer(tmp_path: Path) -> None:
    code = """
import json, msgspec
import numpy as np
from pathlib import Path
from safetensors.numpy import load_file
from repertoire.encoder.adapter import PATH
from repertoire.encoder.bert import Bert
from repertoire.encoder.minilm import load
from repertoire.encoder.models import candidates
(one, *_) = candidates("", download=False)
plain, adapted = (load(msgspec.structs.replace(one, adapter=adapter)) for adapter in (False, True))
old, new = (Bert(Path(one.where), adapter=adapter).weights for adapter in (False, True))
query, right, wrong = "our customers walk away", "predict which subscribers will cancel", "convert currencies"
change = load_file(PATH)
worst = 0.0
for number in range(6):
    name = f"encoder.layer.{number}.attention.self.query.weight"
    expected = (change[f"{number}.q.A"].astype(np.float32) @ change[f"{number}.q.B"].astype(np.float32)).T
    worst = max(worst, float(np.abs(new[name] - old[name] - expected).max()))
count = lambda weights: sum(one.size for one in weights.values())
found = [[float(a @ b) for b in model.encode([right, wrong])] for model in (plain, adapted) for a in model.encode([query])]
print(json.dumps({"worst": worst, "sizes": [count(old), count(new)], "found": found, "languages": adapted.languages}))
"""
    ended = await anyio.run_process(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    said = json.loads(ended.stdout)
    assert said["worst"] < 1e-6 and said["sizes"][0] == said["sizes"][1] and said["languages"] == ["English"]
    plain, adapted = said["found"]
    assert plain != adapted and adapted[0] > adapted[1]


async def test_it_gives_the_vectors_that_sentence_transformers_gives() -> None:
    """Texts of every length, more than one batch of them: none, a word, more than the model reads, letters of no language it knows."""
    code = """
import json, msgspec
import numpy as np
from sentence_transformers import SentenceTransformer
from repertoire.encoder.minilm import load
from repertoire.encoder.models import candidates
(one, *_) = candidates("", download=False)
texts = ["", "x", "word " * 2_000, "天气预报", "ß" * 300, "Join several PDF documents into one."]
texts = [*texts, *(" ".join(["Count the sheep of the meadow"] * n) for n in range(1, 60, 2))]
theirs = SentenceTransformer(one.where, device="cpu").encode(texts, normalize_embeddings=True)
print(json.dumps(float(np.abs(load(msgspec.structs.replace(one, adapter=False)).encode(texts) - theirs).max())))
"""
    ended = await anyio.run_process(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert json.loads(ended.stdout) < 1e-5


async def test_another_model_runs_without_it(tmp_path: Path) -> None:
    other = small_model(32)
    assert not is_minilm(Candidate(other, "folder")) and languages(Candidate(other, "folder")) == ()
    async with seeking(tmp_path, model=other) as seeker:
        answer = await seeker.find("several PDF documents")
        assert answer.ranking == "semantic" and answer.matches[0].name == "merge_pdfs"
        assert (await seeker.find("bitte mische das und das für mich")).note is None
    (model,) = models(tmp_path)
    assert "+" not in model


async def test_a_folder_with_the_same_weights_is_the_same_model() -> None:
    package = candidates("", download=False)[0]
    assert package.weights == WEIGHTS_SHA256 and is_minilm(package) and is_minilm(Candidate(package.where, "folder"))


def test_the_setting_switches_it_off(tmp_path: Path) -> None:
    assert load(home=str(tmp_path), environ={}).search_adapter
    off = load(home=str(tmp_path), environ={"REPERTOIRE_SEARCH_ADAPTER": "false"})
    assert not off.search_adapter
    assert not any(one.adapter for one in candidates("", download=False, adapter=off.search_adapter))
