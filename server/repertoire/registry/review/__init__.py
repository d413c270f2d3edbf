"""Review of a source before it is published, from its text alone: remarks, ruff's findings, and calls of other workflows.

- `remarks.review`: our own rules, one module for each group: `ambient_calls`, `documentation`, `entry_points`, `failures`,
  `missing_types`, `naming`, `outside_effects`, `secret`, `step_changes`.
- `imports.bad_imports`, `unknown_names.explain_names`: imports and names that cannot work, with what to write instead.
- `ruff.lint`: ruff's findings, from a subprocess.
- `called_names.references`: the workflows and tools that the source calls. `callers`: whether those calls fit.
- `certainty`: which remarks are about something that cannot work. Those are errors.
- `findings`, `tree`: what the rules share.

Used by the service. Nothing of the source runs. A finding that is an error stops publishing.
"""

from .called_names import Reference, References, references
from .callers import ChangeProblem, Draft, Known, change_problem, unfit_calls
from .certainty import reads_undefined, stop_for_undefined
from .findings import distinct, merge
from .imports import RULES_OF_IMPORTS, bad_imports
from .mocked_calls import calls_to_mock
from .remarks import review
from .ruff import lint, ruff_path
from .unknown_names import Workflows, explain_names

__all__ = [
    "RULES_OF_IMPORTS",
    "ChangeProblem",
    "Draft",
    "Known",
    "Reference",
    "References",
    "Workflows",
    "bad_imports",
    "calls_to_mock",
    "change_problem",
    "distinct",
    "explain_names",
    "lint",
    "merge",
    "reads_undefined",
    "references",
    "review",
    "ruff_path",
    "stop_for_undefined",
    "unfit_calls",
]
