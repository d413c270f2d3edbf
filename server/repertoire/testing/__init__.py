"""Testing: the pytest fixture `stage`, for tests of workflows. `from repertoire.testing import Stage, stage`.

`stage` holds the fixture and its answers and mocks, `crashes` runs a workflow by the real engine and kills its worker on purpose. Used by
tests of users; nothing of Repertoire imports it.
"""

from .answers import NoAnswer
from .crashes import Survival
from .stage import Stage, stage

__all__ = ["NoAnswer", "Stage", "Survival", "stage"]
