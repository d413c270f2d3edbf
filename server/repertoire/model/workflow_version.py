"""Workflow versions: one immutable source of a named workflow, with its options, schemas and findings; used everywhere."""

from __future__ import annotations

import hashlib
import json
import keyword
import os
import re
from typing import Any, Final, Literal

import msgspec

from ..names import RUN_CODE, snake_case
from ..text import line_in
from ..wire import Code, DataFile, Module
from .run import iso
from .workflow_options import Options

Origin = Literal["operator", "tool"]
"""The origin of a source: the operator's files and command line, or a client through a tool."""

Trust = Literal["operator", "approved", "untrusted"]
"""`approved`: a client has made the version, and a person has approved this very text."""

Way = Literal["command line", "form"]
"""The way in which a person approved: `repertoire approve`, or a form that the person's client showed."""

FIXED_TOOLS: Final = (
    "search_workflows",
    "list_workflows",
    "get_workflow",
    "create_workflow",
    "guide",
    "delete_workflow",
    "run_workflow",
    "run_code",
    "get_run",
    "list_runs",
    "cancel_run",
    "answer_run",
    "publish_workflow",
    "search_tools",
)
"""In the order in which they are listed."""

RESERVED_NAMES: Final = frozenset(
    (*FIXED_TOOLS, "pin_workflow", "approve_workflow") + ("list", "search", "get", "invoke", "create", "delete")
)
"""Names of fixed tools, of tools in coming releases, and of the `workflows` namespace in bodies."""

_AGENT: Final = re.compile(r"\b(?:Agent|Team|create_agent)\b|\.init\(")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Finding(msgspec.Struct, frozen=True):
    """A remark on a source or a file. `severity` is error (it stops publishing), warning or info."""

    rule: str
    severity: Literal["error", "warning", "info"]
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    file: str | None = None
    """The file, when it is not the workflow's own but one that it imports."""

    def public(self) -> dict[str, Any]:
        """The finding as callers see it; `file` only when it is set."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        return shown if self.file else {key: value for key, value in shown.items() if key != "file"}


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's consent to one version: it is trusted as the operator's own file is. It says nothing of other versions."""

    principal: str
    client: str = ""
    """The own name of the program through which it was given."""
    way: Way
    at: float

    def public(self) -> dict[str, Any]:
        return {"by": self.client or self.principal, "way": self.way, "at": iso(self.at)}


class WorkflowVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable source, and the facts read from it. `root` is its workflow folder ("" for created ones), `path` the file."""

    hash: str
    name: str
    origin: Origin
    source: str
    sent: str = ""
    """The text of code that is run once, as it was sent. Empty: it is the source."""
    description: str
    options: Options
    modules: tuple[Module, ...] = ()
    files: tuple[DataFile, ...] = ()
    package: str = ""
    """The package of the file, when it lies below its workflow folder: `from . import x` is resolved there."""
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    findings: tuple[Finding, ...] = ()
    uses_state: bool = False
    tools: tuple[str, ...] | None = None
    """The tools that it may use (`registry.used_tools`). None: an older release stored it."""
    root: str = ""
    path: str | None = None
    entry: str | None = None
    """The class that is run, in class style, or the function, in a file of tools; None: the module's `run`."""
    author: str = ""
    created_at: float = 0.0
    is_loaded: bool = True
    """False: it waits for a person's approval. Nothing of it has run yet, so there are no schemas."""
    approval: Approval | None = None
    """Read from the table of approvals with the version. It is not stored in the version itself."""

    @property
    def trust(self) -> Trust:
        if self.origin == "operator":
            return "operator"
        return "untrusted" if self.approval is None else "approved"

    @property
    def is_trusted(self) -> bool:
        """Whether its body runs with the rights of the operator. An untrusted one runs in the sandbox."""
        return self.trust != "untrusted"

    @property
    def is_unnamed(self) -> bool:
        """True: no name ever runs it. It lives as long as its runs."""
        return self.name == RUN_CODE

    @property
    def uses_agents(self) -> bool:
        """Whether its text names an agent, so its worker will most likely want pydantic-ai."""
        return _AGENT.search(self.source) is not None

    @property
    def short(self) -> str:
        """The hash as people see it."""
        return self.hash[:12]

    @property
    def title(self) -> str:
        return self.options.title or self.name.replace("_", " ").capitalize()

    @property
    def filename(self) -> str:
        """The file name in tracebacks."""
        return self.path or f"workflow:{self.name}@{self.short}"

    def line_sent(self, line: int) -> int:
        """The line of the text as it was sent of a line of the source."""
        return line_in(self.sent, self.source, line) if self.sent else line

    def answers_to(self, name: str) -> bool:
        """Whether `name` is its own name, or that of its class or its file."""
        if name in (self.name, self.entry) or name_of_file(name) == self.name:
            return True
        return self.path is not None and name == os.path.relpath(self.path, self.root or None).removesuffix(".py")

    @property
    def key(self) -> str:
        """The key of its code in a worker. The same source in two folders is one version, but it has other files beside it."""
        return self.hash if self.path is None else f"{self.hash}@{self.path}"

    def code(self, *, is_interpreted: bool = False) -> Code:
        """Everything that a worker needs to load it. `is_interpreted`: in pydantic-monty."""
        places = (self.modules, self.entry, self.files, self.package)
        return Code(self.key, self.name, self.source, self.filename, *places, is_interpreted=is_interpreted)


class BrokenFile(msgspec.Struct, frozen=True):
    """A file in a workflow folder that could not be published, and why."""

    path: str
    root: str
    findings: tuple[Finding, ...]
    name: str | None = None
    imports: tuple[str, ...] = ()
    """The files that it imports from its folders, if it has no `run`: those are helpers."""


def version_hash(
    name: str,
    source: str,
    description: str,
    options: Options,
    modules: tuple[Module, ...],
    files: tuple[DataFile, ...] = (),
) -> str:
    """sha256 of canonical JSON, without time or author: the same source is the same version everywhere."""
    content: dict[str, Any] = {
        "name": name,
        "source": source,
        "description": description,
        "options": msgspec.to_builtins(options),
        "modules": sorted([one.name, one.package, one.source, *([one.path] if one.path else [])] for one in modules),
    }
    if files:
        content["files"] = {one.path: hashlib.sha256(one.data).hexdigest() for one in files}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def name_problem(name: str) -> str | None:
    """Why `name` cannot be a workflow's name, as a sentence; None when it can."""
    if name in RESERVED_NAMES:
        return f"{name!r} is a reserved name."
    if keyword.iskeyword(name):
        return f"{name!r} is a Python keyword."
    if not NAME.fullmatch(name):
        shown = name if len(name) <= 60 else name[:57] + "..."
        return f"{shown!r} is not a workflow name: a lower-case letter, then at most 39 lower-case letters, digits or underscores."
    return None


def name_of_file(relative: str) -> str:
    """`a/b.py`, `draft-email.py`, `FetchJson.py` → `a_b`, `draft_email`, `fetch_json`. The result may still be a bad name."""
    return re.sub(r"[^a-z0-9_]+", "_", snake_case(relative.removesuffix(".py").replace("\\", "/")))
