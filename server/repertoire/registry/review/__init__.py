"""What is said of a source that is about to be published, from its text alone: remarks, ruff's too, and what it calls by name."""

from .called_names import Reference, References, references
from .callers import missing, narrowed
from .findings import distinct, merge
from .remarks import review
from .ruff import lint, ruff_path

__all__ = [
    "Reference",
    "References",
    "distinct",
    "lint",
    "merge",
    "missing",
    "narrowed",
    "references",
    "review",
    "ruff_path",
]
