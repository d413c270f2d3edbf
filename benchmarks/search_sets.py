"""What search is measured on: workflows with queries in a user's own words, and, where a checkout has it, a public set beside them.

Data of this project (`own_words/`): *own words*, each query written without the words of the workflow that it wants; *plain words*, the
same workflows asked for as one would, written after the weights were chosen; and queries that none of them serves. The public set
(`corpus.jsonl` and `queries.jsonl`, of tool-retrieval benchmarks) is not part of it: `--search-set DIR` names its folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import WorkflowVersion, version_hash
from repertoire.registry.source import analyse
from repertoire.signature.schema import read

_OWN = Path(__file__).parent / "own_words"
_MAX_BYTES = 100_000


@dataclass(frozen=True)
class Query:
    text: str
    wanted: frozenset[str]
    """Names of the workflows that serve it, each as good as the other."""


@dataclass(frozen=True)
class SearchSet:
    name: str
    workflows: Mapping[str, WorkflowVersion]
    queries: tuple[Query, ...]
    unanswerable: tuple[str, ...] = ()
    """Queries that none of the workflows serves."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of workflows of which it is known, what field of work they belong to: a library of a few fields serves no other."""


def own_sets() -> list[SearchSet]:
    """Own words and plain words, over the same workflows."""
    workflows = {}
    for part in re.split(r"^# === ", (_OWN / "workflows.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, source = part.partition("\n")
        workflows[name.strip()] = _version(name.strip(), source.strip() + "\n")
    known = dict(sorted(workflows.items()))
    unanswerable = tuple(_lines("unanswerable.txt"))
    return [
        SearchSet("own words", known, _queries("queries.tsv"), unanswerable),
        SearchSet("plain words", known, _queries("plain.tsv"), unanswerable),
    ]


def _queries(file: str) -> tuple[Query, ...]:
    rows = [line.split("\t") for line in _lines(file)]
    return tuple(Query(text, frozenset(wanted.split(","))) for wanted, text in rows)


def _lines(file: str) -> list[str]:
    return (_OWN / file).read_text(encoding="utf-8").splitlines()


def public_set(folder: Path) -> SearchSet:
    """Tools as workflows: their source is a stub, since there is none."""
    workflows: dict[str, WorkflowVersion] = {}
    names: dict[str, str] = {}
    fields: dict[str, str] = {}
    for number, line in enumerate((folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()):
        tool = json.loads(line)
        spoken = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", tool["name"]).lower().strip("_")
        name = names[tool["id"]] = spoken if spoken not in workflows else f"{spoken}_{number}"
        if of := (tool.get("tags") or "").partition("/")[0]:
            fields[name] = of
        parameters = tool.get("parameters") or {}
        described = {key: {"description": value.get("description", "")} for key, value in parameters.items()}
        stub = f"def {spoken}({', '.join(parameters)}):\n    {tool['description']!r}\n"
        workflows[name] = _made(name, stub, tool["description"], described)
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    queries = tuple(Query(row["query"], frozenset(names[id] for id in row["relevant"])) for row in rows)
    return SearchSet("public", dict(sorted(workflows.items())), queries, tuple(_lines("unanswerable.txt")), fields)


def _version(name: str, source: str) -> WorkflowVersion:
    analysis = analyse(source, max_bytes=_MAX_BYTES)
    namespace: dict[str, Any] = {}
    exec(compile(source, name, "exec"), namespace)  # our own data: defining `run` needs nothing, and nothing calls it
    schema = read(namespace["run"], namespace).input_schema
    return _made(name, source, analysis.description, schema.get("properties", {}))


def _made(name: str, source: str, description: str, properties: Mapping[str, Any]) -> WorkflowVersion:
    options = Options()
    return WorkflowVersion(
        hash=version_hash(name, source, description, options, ()), name=name, origin="operator", source=source,
        description=description, options=options, input_schema={"type": "object", "properties": dict(properties)},
        output_schema={},
    )  # fmt: skip
