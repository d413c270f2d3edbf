"""Encoder: carries out the host's requests; `serve` answers one after the other until the host closes the socket. Used by `__main__`."""

from __future__ import annotations

import socket
from collections import OrderedDict
from typing import Protocol

import msgspec
import numpy as np

from ..wire import frames
from .messages import (
    Accepted,
    Answered,
    BuildShelf,
    Docs,
    Encode,
    Encoded,
    Find,
    Found,
    Open,
    Put,
    Ready,
    Reply,
    Request,
    RequestRefused,
    asked_decoder,
    frame,
)
from .models import Candidate, problem
from .scoring import Documents, Shelf
from .vectors import Floats, Vectors, unit

_READ_BYTES = 1 << 20
_MAX_QUERY_CHARS = 2_000
"""More than fits into the model's 256 tokens."""
_REMEMBERED_QUERIES = 256


class LoadedModel(Protocol):
    """A loaded model, as Encoder uses it."""

    identity: str
    dimension: int
    languages: tuple[str, ...]
    adapter: str | None
    """The sha256 of the adapter that was merged into it."""

    def encode(self, texts: list[str]) -> Floats: ...


class Encoder:
    """Carries out requests. `load` gets a candidate that has passed `problem`. It returns the model or raises."""

    def __init__(self, load: Loader, scratch: str | None = None) -> None:
        self._load = load
        self._scratch = scratch
        self._model: LoadedModel | None = None
        self._vectors = Vectors(1)
        self._documents = Documents()
        self._shelves: dict[int, Shelf] = {}
        self._queries: OrderedDict[str, Floats] = OrderedDict()

    def answer(self, request: Request) -> Reply:
        match request:
            case Open():
                return self._open(request)
            case Put():
                self._vectors.append(np.frombuffer(request.values, np.float32).reshape(-1, self._vectors.dimension))
            case Encode():
                values = self._require_model().encode(request.texts)
                self._vectors.append(values)
                return Encoded(values.tobytes())
            case Docs():
                for doc in request.docs:
                    self._documents.add(doc.rows, doc.text)
            case BuildShelf():
                docs = np.frombuffer(request.docs, np.int32)
                self._shelves.pop(request.number, None)  # its memory is freed before the next one is built
                self._shelves[request.number] = Shelf(docs, self._documents, self._vectors, self._recipe)
            case Find():
                return self._find(request)
        return Accepted()

    def _require_model(self) -> LoadedModel:
        if self._model is None:
            raise RuntimeError("no model is open")
        return self._model

    def _open(self, request: Open) -> Ready | RequestRefused:
        refused: list[str] = []
        for candidate in request.candidates:
            try:
                if candidate.kind != "hub" and (reason := problem(candidate)):
                    raise ValueError(reason)
                model = self._load(candidate)
            except Exception as error:  # any: the folder may hold anything, and the next candidate may be good
                refused.append(f"The model at {candidate.where} ({candidate.kind}) is not used: {_first_line(error)}")
                continue
            self._model, self._vectors = model, Vectors(model.dimension, self._scratch)
            recipe = request.recipe
            self._recipe = recipe if model.adapter else msgspec.structs.replace(recipe, bound=recipe.other_bound)
            where = f"{candidate.where} ({candidate.kind}{', with the adapter' if model.adapter else ''})"
            return Ready(model.identity, model.dimension, where, refused, model.languages)
        return RequestRefused(" ".join(refused))

    def _find(self, request: Find) -> Found:
        shelf = self._shelves[request.shelf]
        within = None if request.within is None else np.frombuffer(request.within, np.int32)
        query = request.query[:_MAX_QUERY_CHARS]
        return Found(*shelf.find(query, self._vector_of(query), request.limit, within))

    def _vector_of(self, query: str) -> Floats:
        known = self._queries.get(query)
        if known is None:
            known = self._queries[query] = unit(self._require_model().encode([query])[0])
            if len(self._queries) > _REMEMBERED_QUERIES:
                self._queries.popitem(last=False)
        self._queries.move_to_end(query)
        return known


class Loader(Protocol):
    def __call__(self, candidate: Candidate) -> LoadedModel: ...


def serve(sock: socket.socket, encoder: Encoder) -> None:
    buffer = bytearray()
    while data := sock.recv(_READ_BYTES):
        buffer += data
        for raw in frames(buffer):
            asked = asked_decoder.decode(raw)
            try:
                reply = encoder.answer(asked.request)
            except Exception as error:  # the edge of a request: the host handles the refusal
                reply = RequestRefused(_first_line(error))
            sock.sendall(frame(Answered(asked.id, reply)))


def _first_line(error: Exception) -> str:
    """Libraries raise errors with long texts. The first line has the cause."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
