"""What the host and the encoder say to each other, in the frames of `wire`: each request is answered by one reply with its number."""

from __future__ import annotations

import msgspec

from ..wire import MAX_FRAME_BYTES
from .models import Candidate
from .score_weights import Recipe


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Load the first of these models that is what it should be. Answered with Ready or Refusal."""

    candidates: tuple[Candidate, ...]
    recipe: Recipe = Recipe()


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Vectors (float32, one after the other) that were encoded before: they are the next rows. Answered with Done."""

    values: bytes


class Encode(msgspec.Struct, frozen=True, tag="encode"):
    """Texts whose vectors are the next rows. Answered with Vectors."""

    texts: list[str]


class Doc(msgspec.Struct, frozen=True, array_like=True):
    """A workflow: the row of each of its views, and the text whose words count."""

    rows: tuple[int, ...]
    text: str


class Docs(msgspec.Struct, frozen=True, tag="docs"):
    """Workflows, numbered on from the last one. Answered with Done."""

    docs: list[Doc]


class Shelf(msgspec.Struct, frozen=True, tag="shelf"):
    """What one caller sees: numbers of workflows (int32) in their order, which decides between equals. Answered with Done."""

    number: int
    docs: bytes


class Find(msgspec.Struct, frozen=True, tag="find"):
    """The best of a shelf, of `within` (numbers of workflows, int32) where that is given. Answered with Found."""

    shelf: int
    query: str
    limit: int
    within: bytes | None = None


class Hit(msgspec.Struct, frozen=True, array_like=True):
    """`meaning` is the best cosine of name, description and parameters; `words` those of the query that the text has."""

    doc: int
    score: float
    meaning: float
    words: list[str]


Request = Open | Put | Encode | Docs | Shelf | Find


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded. `model` is a sha256 of all that decides its vectors; `refused` says which candidates were passed over, and why."""

    model: str
    dimension: int
    where: str
    refused: list[str]


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """The request could not be carried out."""

    reason: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    pass


class Vectors(msgspec.Struct, frozen=True, tag="vectors"):
    values: bytes


class Found(msgspec.Struct, frozen=True, tag="found"):
    """Hits that fit, best first, and behind `limit` those near enough to it that the outcome of their runs may lift them."""

    hits: list[Hit]


Reply = Ready | Refusal | Done | Vectors | Found


class Asked(msgspec.Struct, frozen=True, array_like=True):
    id: int
    request: Request


class Answered(msgspec.Struct, frozen=True, array_like=True):
    id: int
    reply: Reply


_encode = msgspec.msgpack.Encoder().encode
asked_decoder: msgspec.msgpack.Decoder[Asked] = msgspec.msgpack.Decoder(Asked)
answered_decoder: msgspec.msgpack.Decoder[Answered] = msgspec.msgpack.Decoder(Answered)


def frame(message: Asked | Answered) -> bytes:
    """The message with its length in front, as `wire.frames` takes it apart. Raises ValueError beyond MAX_FRAME_BYTES."""
    body = _encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {len(body)} bytes; at most {MAX_FRAME_BYTES} pass")
    return len(body).to_bytes(4, "little") + body
