"""Texts: the strings of a workflow or of a tool that search compares with a query; used by `EmbeddingIndex` and `Finder`.

One string for each view of the encoder's recipe, and one for the words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import msgspec

from ..model.workflow_version import WorkflowVersion

_MAX_CHARS = 1_500
"""More than the 256 tokens that the model reads. A longer text would only cost time in its tokenizer."""


class Texts(msgspec.Struct, frozen=True):
    """`views` in the order of `search_weights.VIEWS`; `words` is the text in which the words of a query are looked up."""

    views: tuple[str, ...]
    words: str

    def shas(self) -> tuple[str, ...]:
        return tuple(sha(view) for view in self.views)


class Described(msgspec.Struct, frozen=True):
    """Something that is searched as workflows are and is none, such as a tool. `hash` stands for all of its texts."""

    hash: str
    texts: Texts


Searched = WorkflowVersion | Described


class Names(Protocol):
    """All that one query searches, by name. The same object is always the same names and texts."""

    @property
    def names(self) -> Mapping[str, Searched]: ...


def texts_of(version: Searched) -> Texts:
    if isinstance(version, Described):
        return version.texts
    spoken = version.name.replace("_", " ")
    said = f"{spoken}: {version.description}" if version.description else spoken
    parameters = "; ".join(
        f"{name.replace('_', ' ')}: {schema.get('description', '')}"
        for name, schema in version.input_schema.get("properties", {}).items()
        if isinstance(schema, dict)
    )
    whole = f"{said}. {parameters}" if parameters else said
    words = " ".join([whole, version.options.title or "", *version.options.tags])
    return texts((said, whole, version.source), words)


def texts(views: tuple[str, ...], words: str) -> Texts:
    return Texts(tuple(sendable(view[:_MAX_CHARS]) for view in views), sendable(words))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sendable(text: str) -> str:
    """The text without lone surrogates: neither the frames nor the tokenizer accept them."""
    return text.encode("utf-8", "replace").decode()
