"""Ready: the folder of the ready workflows, and a loader for one of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[2] / "workflows"


def load(name: str) -> Any:
    """The module of a ready workflow, loaded from its file as the registry does: under a name that nothing imports."""
    spec = importlib.util.spec_from_file_location(f"ready_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
