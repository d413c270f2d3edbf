"""Artifact: a named text, JSON value or file that a body or a person has saved, and the check of its name; used everywhere in the server."""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, unquote

import msgspec

from ..errors import BadArguments
from ..text import is_well_formed
from .run import iso

if TYPE_CHECKING:
    from mimetypes import MimeTypes

Kind = Literal["text", "json", "bytes"]
"""What `load` gives: a string, a JSON value or bytes."""
SCHEME: Final = "artifact:///"

_MAX_NAME_CHARS: Final = 200
_MAX_DESCRIPTION_CHARS: Final = 1_000
_MAX_METADATA_CHARS: Final = 16_384
_NAME_RULE: Final = (
    "A name is up to 200 printable characters, such as report.txt or sales/2026/q1.csv, without backslash, and without empty parts, . or .. "
    "between its slashes."
)
_DEFAULT_TYPES: Final = {"text": "text/plain", "json": "application/json", "bytes": "application/octet-stream"}

_MORE_TYPES: Final = {
    ".webp": "image/webp",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""Endings that not every version of Python knows."""


class NewArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that is to be saved, without its content."""

    name: str
    kind: Kind
    mime_type: str
    description: str = ""
    metadata: str = "{}"
    """A JSON object as text."""
    run_id: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A stored artifact. `hash` is the sha256 of its bytes. Times are seconds since the epoch."""

    principal: str
    name: str
    hash: str
    size: int
    kind: Kind
    mime_type: str
    description: str
    metadata: str
    run_id: str | None
    created_at: float
    updated_at: float
    used_at: float

    @property
    def uri(self) -> str:
        return SCHEME + quote(self.name)

    def brief(self) -> dict[str, Any]:
        """A row of a list: ten thousand of them are one answer."""
        return {
            "name": self.name,
            "uri": self.uri,
            "kind": self.kind,
            "mime_type": self.mime_type,
            "size": self.size,
            "description": self.description,
            "updated_at": iso(self.updated_at),
        }

    def public(self) -> dict[str, Any]:
        return self.brief() | {
            "sha256": self.hash,
            "metadata": json.loads(self.metadata),
            "created_at": iso(self.created_at),
            "run_id": self.run_id,
        }


def checked_name(name: object) -> str:
    """The name, in the one Unicode form of its characters. Raises BadArguments.

    A name is never a path: contents lie in files that are named by their hash. Names that look like a way out are refused all the same,
    because people save an artifact under its name.
    """
    if not isinstance(name, str) or not name.strip():
        raise BadArguments("An artifact needs a name.", _NAME_RULE)
    name = unicodedata.normalize("NFC", name)
    parts = name.split("/")
    if (
        len(name) > _MAX_NAME_CHARS
        or not name.isprintable()
        or "\\" in name
        or any(part.strip() in ("", ".", "..") for part in parts)
    ):
        raise BadArguments(f"{name[:80]!r} cannot be an artifact's name.", _NAME_RULE)
    return name


def new_artifact(
    name: object,
    kind: object,
    *,
    mime_type: object = None,
    description: object = None,
    metadata: object = None,
    run_id: str | None = None,
) -> NewArtifact:
    """The checked values of a call. Without a MIME type, the name's ending decides, then the kind. Raises BadArguments."""
    name = checked_name(name)
    if kind not in _DEFAULT_TYPES:
        raise BadArguments(f"There is no kind of artifact {str(kind)[:40]!r}.", "The kinds are text, json and bytes.")
    if mime_type is not None and not is_mime_type(mime_type):
        raise BadArguments(f"{str(mime_type)[:80]!r} is no MIME type.", "One is text/csv or image/png.")
    description = "" if description is None else description
    if not isinstance(description, str) or len(description) > _MAX_DESCRIPTION_CHARS:
        raise BadArguments(f"The description of {name!r} must be a text of up to {_MAX_DESCRIPTION_CHARS} characters.")
    metadata = {} if metadata is None else metadata
    text = json.dumps(metadata, ensure_ascii=False)
    if not isinstance(metadata, dict) or len(text) > _MAX_METADATA_CHARS:
        raise BadArguments(
            f"The metadata of {name!r} must be a dict of up to {_MAX_METADATA_CHARS} characters as JSON."
        )
    for what, given in (("description", description), ("metadata", text)):
        if not is_well_formed(given):
            raise BadArguments(
                f"The {what} of {name!r} has half of a character (a lone surrogate, such as \\ud83d), which no text can hold.",
                'Leave it out, for example with text.encode("utf-8", "replace").decode().',
            )
    known = str(mime_type) if mime_type else _type_of(name) or _DEFAULT_TYPES[str(kind)]
    return msgspec.convert(
        {
            "name": name,
            "kind": kind,
            "mime_type": known,
            "description": description,
            "metadata": text,
            "run_id": run_id,
        },
        NewArtifact,
    )


def name_of_uri(uri: str) -> str:
    """The artifact's name in `artifact:///NAME`. Raises BadArguments."""
    if not uri.startswith(SCHEME):
        raise BadArguments(f"{uri[:100]!r} is not the address of an artifact.", "One is artifact:///report.txt.")
    return checked_name(unquote(uri.removeprefix(SCHEME)))


def is_mime_type(text: object) -> bool:
    if not isinstance(text, str) or len(text) > 100 or not text.isascii() or not text.isprintable():
        return False
    major, slash, minor = text.partition("/")
    return bool(slash) and major.isalpha() and bool(minor) and " " not in text.partition(";")[0]


def _type_of(name: str) -> str | None:
    """By Python's own table: the machine's may say something else on each machine."""
    last = name.rpartition("/")[2]
    return (
        next((kind for end, kind in _MORE_TYPES.items() if last.lower().endswith(end)), None)
        or (_python_types().guess_type(last)[0])
    )


@lru_cache(maxsize=1)
def _python_types() -> MimeTypes:
    from mimetypes import MimeTypes  # here, because most processes that have this module save nothing

    return MimeTypes(filenames=())
