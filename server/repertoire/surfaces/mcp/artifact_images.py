"""Artifact images: the images that a run's result names, as MCP image content beside the result; used by call_results.py.

A result names an artifact by the dict that `artifacts.save` or `artifacts.get` has given. Only the run's own principal's artifacts are shown,
and only with the content that the dict names.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from ...errors import RepertoireError
from ...model.artifact import SCHEME, name_of_uri
from ...service import Service

_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Images that models can look at."""
_MOST: Final = 10
_MAX_BYTES: Final = 1024 * 1024
"""Of all images of one answer together: a larger one is read as a resource."""
_VALUES: Final = 10_000
"""So many values of a result are looked at."""


async def images_in(service: Service, principal: str, result: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    left = _MAX_BYTES
    for uri, hash in _images_of(result):
        try:
            artifact = await service.artifacts.use(principal, name_of_uri(uri))
            if artifact.hash != hash or artifact.mime_type not in _TYPES or artifact.size > left:
                continue
            data = await service.artifacts.read(artifact)
        except RepertoireError:  # deleted meanwhile, or never there: the body can write anything
            continue
        left -= artifact.size
        found.append({"type": "image", "data": base64.b64encode(data).decode(), "mimeType": artifact.mime_type})
        if len(found) == _MOST:
            break
    return found


def _images_of(result: Any) -> Iterator[tuple[str, str]]:
    """URI and hash of each dict that names an image, each once."""
    rest, seen = [result], set()
    for _ in range(_VALUES):
        if not rest:
            return
        value = rest.pop()
        if isinstance(value, list):
            rest += reversed(value[:_VALUES])
        elif isinstance(value, dict):
            uri, hash = value.get("uri"), value.get("sha256")
            if (
                isinstance(uri, str)
                and isinstance(hash, str)
                and uri.startswith(SCHEME)
                and isinstance(kind := value.get("mime_type"), str)
                and kind in _TYPES
            ):
                if (uri, hash) not in seen:
                    seen.add((uri, hash))
                    yield uri, hash
            else:
                rest += reversed(list(value.values()))
