"""Masks: replaces secrets that the host holds by their names, in texts and JSON values; used before anything is shown or stored.

A secret is found by its exact text, also as it stands in JSON and in a URL. Short values are not masked: they occur in any text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

_MIN_CHARS: Final = 6
_TALKATIVE: Final = ("httpx2", "mcp.client")
"""Loggers that write addresses with their arguments, and ids of sessions, at the level INFO."""


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


class _LogMask(logging.Filter):
    """Masks the message and the traceback of each record that a handler gets."""

    def __init__(self, masks: Masks) -> None:
        super().__init__()
        self._masks = masks
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        masked = self._masks.mask(message)
        if masked != message:
            record.msg, record.args = masked, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._masks.mask(self._formatter.formatException(record.exc_info))
        return True


@contextmanager
def masked_logs(masks: Masks) -> Iterator[None]:
    """While the block runs, the process's log shows no secret, not even in what libraries write."""
    log_mask = _LogMask(masks)
    handlers = tuple(logging.getLogger().handlers)
    levels = {name: logging.getLogger(name).level for name in _TALKATIVE}
    for handler in handlers:
        handler.addFilter(log_mask)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(log_mask)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
