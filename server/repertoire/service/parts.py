"""What the verbs are made of."""

from __future__ import annotations

from typing import NamedTuple

from ..engine.long_waits import Waits
from ..engine.retention import Retention
from ..engine.runner import Runner
from ..registry.catalog import Catalog
from ..registry.search import Finder
from ..settings import Settings
from ..store import Store


class Parts(NamedTuple):
    settings: Settings
    store: Store
    catalog: Catalog
    runner: Runner
    waits: Waits
    retention: Retention
    finder: Finder


class Verbs:
    """Verbs of one subject are a class below this; they share the parts and keep what only they know."""

    def __init__(self, parts: Parts) -> None:
        self._settings, self._store, self._catalog, self._runner, self._waits, self._retention, self._finder = parts
        self._limits = parts.settings.limits
