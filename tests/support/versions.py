"""A version of a workflow, made without a registry."""

from __future__ import annotations

from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import WorkflowVersion, version_hash


def a_version(name: str = "w", source: str = "def run(): ...", description: str = "Do a thing.") -> WorkflowVersion:
    return WorkflowVersion(
        hash=version_hash(name, source, description, Options(), ()), name=name, origin="tool", source=source,
        description=description, options=Options(), output_schema={},
        input_schema={"type": "object", "properties": {"path": {"description": "A file."}}},
    )  # fmt: skip
