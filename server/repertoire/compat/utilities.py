"""Utilities: the small functions of `agno.utils` and `phi.utils` that workflow files use, written anew. Used by workflow files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import re
import textwrap
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..classes import logging
from ..classes.stored_sessions import overlay


class Timer:
    """Measures seconds: `timer.start()`, `timer.stop()`, `timer.elapsed`; or as a context manager."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._ended: float | None = None

    def start(self) -> float:
        self._began, self._ended = time.perf_counter(), None
        return self._began

    def stop(self) -> float:
        self._ended = time.perf_counter()
        return self._ended

    @property
    def elapsed(self) -> float:
        if self._began is None:
            return 0.0
        return (time.perf_counter() if self._ended is None else self._ended) - self._began

    def __enter__(self) -> Timer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def hash_string_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def url_safe_string(text: str) -> str:
    """The text as a part of a URL: words joined by `-`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_.]+", "-", text)
    return re.sub(r"-+", "-", re.sub(r"[^\w.-]", "", spaced)).strip("-").lower()


def current_datetime() -> datetime:
    return datetime.now()


def current_datetime_utc() -> datetime:
    return datetime.now(UTC)


def get_from_env(key: str, required: bool = False) -> str | None:
    value = os.environ.get(key)
    if value is None and required:
        raise ValueError(f"{key} is not set: name it in the setting worker_env, and set it for the host")
    return value


def merge_dictionaries(a: dict[str, Any], b: Mapping[str, Any]) -> None:
    """Merge b into a, at every depth."""
    overlay(a, dict(b))


def dataclass_to_dict(value: Any, exclude: set[str] | None = None, exclude_none: bool = False) -> dict[str, Any]:
    fields = dataclasses.asdict(value)
    return {
        name: one for name, one in fields.items() if name not in (exclude or ()) and not (exclude_none and one is None)
    }


def remove_indent(text: str | None) -> str | None:
    return None if text is None else textwrap.dedent(text).strip()


def read_json_file(file_path: str | Path | None) -> Any:
    """The file's value; None if there is no such file."""
    return json.loads(Path(file_path).read_text("utf-8")) if file_path and Path(file_path).is_file() else None


def write_json_file(file_path: str | Path | None, data: Any, **options: Any) -> None:
    if file_path is not None and data is not None:
        Path(file_path).parent.mkdir(parents=True, exist_ok=True)
        Path(file_path).write_text(json.dumps(data, **{"indent": 4, **options}), "utf-8")


def read_yaml_file(file_path: str | Path | None) -> Any:
    """The file's value; None if there is no such file."""
    import yaml

    return yaml.safe_load(Path(file_path).read_text("utf-8")) if file_path and Path(file_path).is_file() else None


def write_yaml_file(file_path: str | Path | None, data: Any, **options: Any) -> None:
    import yaml

    if file_path is not None and data is not None:
        Path(file_path).parent.mkdir(parents=True, exist_ok=True)
        Path(file_path).write_text(yaml.safe_dump(data, **options), "utf-8")


def pickle_object_to_file(value: Any, file_path: str | Path) -> Path:
    path = Path(file_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))
    return path


def unpickle_object_from_file(file_path: str | Path, verify_class: Any = None) -> Any:
    """The object of a file that `pickle_object_to_file` wrote; None if there is no such file. Unpickling runs code of that file."""
    path = Path(file_path)
    value = pickle.loads(path.read_bytes()) if path.is_file() else None
    return value if verify_class is None or isinstance(value, verify_class) else None


def open_html_file(file_path: str | Path) -> None:
    """Say where the page is. Nothing opens a browser: a server has no one who would look at it."""
    logging.log_info(f"The page is in {Path(file_path).resolve()}")
