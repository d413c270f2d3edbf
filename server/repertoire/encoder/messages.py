"""Messages between the host and the encoder, in the frames of `wire`. Each request gets one reply with the same number.

Used by the encoder's loop and by the host's client (`registry/encoder_client`).
"""

from __future__ import annotations

import msgspec

from ..wire import MAX_FRAME_BYTES
from .models import Candidate
from .search_weights import Recipe


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Load the first of these models that passes the checks. The reply is Ready or RequestRefused."""

    candidates: tuple[Candidate, ...]
    recipe: Recipe = Recipe()


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Vectors (float32, one after the other) that were encoded before. They are the next rows. The reply is Accepted."""

    values: bytes


class Encode(msgspec.Struct, frozen=True, tag="encode"):
    """Encode these texts. Their vectors are the next rows. The reply is Encoded."""

    texts: list[str]


class Doc(msgspec.Struct, frozen=True, array_like=True):
    """A workflow: the row of each of its views, and the text whose words are compared with a query."""

    rows: tuple[int, ...]
    text: str


class Docs(msgspec.Struct, frozen=True, tag="docs"):
    """Add workflows. Their numbers continue from the last one. The reply is Accepted."""

    docs: list[Doc]


class BuildShelf(msgspec.Struct, frozen=True, tag="shelf"):
    """Build the shelf of one caller: the numbers (int32) of the workflows that it sees. Their order decides between equal scores. The reply is
    Accepted."""

    number: int
    docs: bytes


class Find(msgspec.Struct, frozen=True, tag="find"):
    """Find the best workflows of a shelf. `within`: only among these numbers (int32). The reply is Found."""

    shelf: int
    query: str
    limit: int
    within: bytes | None = None


class Hit(msgspec.Struct, frozen=True, array_like=True):
    """`meaning` is the best cosine with name, description or parameters. `words` are the query's words that the text has."""

    doc: int
    score: float
    meaning: float
    words: list[str]


Request = Open | Put | Encode | Docs | BuildShelf | Find


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded. `model` is a sha256 of everything that decides its vectors, and the adapter's if it has one. `refused`: why
    earlier candidates were not used. `languages`: those that the model knows; empty if we do not know them."""

    model: str
    dimension: int
    where: str
    refused: list[str]
    languages: tuple[str, ...] = ()


class RequestRefused(msgspec.Struct, frozen=True, tag="refusal"):
    """The request could not be carried out."""

    reason: str


class Accepted(msgspec.Struct, frozen=True, tag="done"):
    pass


class Encoded(msgspec.Struct, frozen=True, tag="vectors"):
    values: bytes


class Found(msgspec.Struct, frozen=True, tag="found"):
    """Fitting workflows, best first. After the first `limit` come near ties: the outcome of their runs may lift them above it. If none
    fits: the `nearest`."""

    hits: list[Hit]
    nearest: list[Hit]


Reply = Ready | RequestRefused | Accepted | Encoded | Found


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
    """The message with its length in front, as `wire.frames` reads it. Raises ValueError above MAX_FRAME_BYTES."""
    body = _encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {len(body)} bytes; at most {MAX_FRAME_BYTES} pass")
    return len(body).to_bytes(4, "little") + body
