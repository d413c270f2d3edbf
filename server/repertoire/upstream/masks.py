"""Masks: replaces secrets that the host holds by their names, in texts and JSON values; used before anything is shown or stored.

A secret is found by its exact text, also as it stands in JSON and in a URL. Short values are not masked: they occur in any text.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

_MIN_CHARS: Final = 6


class Masks:
    """The secrets of one home."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._longest_first: tuple[tuple[str, str], ...] = ()

    def add(self, secret: str, name: str) -> None:
        """Mask this text from now on. `name` is shown instead, as `[secret GITHUB_TOKEN]`."""
        if len(secret) < _MIN_CHARS:
            return
        for form in (
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret, safe=""),
        ):
            self._names.setdefault(form, f"[secret {name}]")
        self._longest_first = tuple(sorted(self._names.items(), key=lambda item: -len(item[0])))

    def mask(self, text: str) -> str:
        for secret, shown in self._longest_first:
            if secret in text:
                text = text.replace(secret, shown)
        return text

    def mask_json(self, value: Any) -> Any:
        """The value with its texts masked, keys too. Other values, such as a Blob, are left as they are."""
        if not self._longest_first:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(key): self.mask_json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_json(item) for item in value]
        return value
