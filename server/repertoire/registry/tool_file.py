"""Tool files: `read_tool_file` reads the functions of an operator's Python file, each as a version to run; used by FunctionSource.

A public function of the top level is a tool. `__tools__ = {...}` says more about them. Nothing of the file runs here.
"""

from __future__ import annotations

import ast
import os
from typing import NamedTuple

import msgspec

from ..errors import Refused
from ..limits import Limits
from ..model.workflow_options import Options
from ..model.workflow_version import WorkflowVersion, version_hash
from ..text import well_formed, well_formed_json
from .bundle import Bundle
from .source import first_paragraph, literal_of, parse, read_source
from .source_imports import uses_of


class ToolOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options in `__tools__`. `env`: variables of the server's environment that the functions see. The lists name functions."""

    timeout_s: float | None = None
    env: tuple[str, ...] = ()
    only_reads: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()


class ToolFile(NamedTuple):
    """`files` are all the files that were read, and absent ones that would change the result."""

    versions: dict[str, WorkflowVersion]
    options: ToolOptions
    files: tuple[str, ...]


def read_tool_file(path: str, limits: Limits) -> ToolFile:
    """Raises Refused."""
    source = read_source(path, limits.max_source_bytes)
    tree = parse(source, limits.max_source_bytes)
    options = _options(tree)
    bundle = Bundle(os.path.dirname(path), limits.max_bundle_bytes)
    bundle.gather(uses_of(tree))
    modules, run_options = tuple(bundle.modules), Options(timeout_s=options.timeout_s)

    def version(function: ast.FunctionDef | ast.AsyncFunctionDef) -> WorkflowVersion:
        description = well_formed(first_paragraph(function))
        return WorkflowVersion(
            hash=version_hash(function.name, source, description, run_options, modules, bundle.data),
            name=function.name,
            origin="operator",
            source=source,
            description=description,
            options=run_options,
            modules=modules,
            files=bundle.data,
            package=bundle.package,
            input_schema={},
            output_schema={},
            root=os.path.dirname(path),
            path=path,
            entry=function.name,
        )

    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {node.name: version(node) for node in functions if not node.name.startswith("_")}
    if unknown := sorted({*options.only_reads, *options.destructive} - set(found)):
        raise Refused(f"__tools__ names {unknown[0]}, and the file has no function of that name.", code="bad_options")
    return ToolFile(found, options, (path, *bundle.files))


def _options(tree: ast.Module) -> ToolOptions:
    value, line = literal_of(tree, "__tools__")
    if line is None:
        return ToolOptions()
    try:
        return msgspec.convert(well_formed_json(ast.literal_eval(value)) if value else None, ToolOptions, strict=False)
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise Refused(
            f"__tools__ in line {line} is not what it should be: {error}.",
            f"It is a literal dict with any of: {', '.join(ToolOptions.__struct_fields__)}.",
            code="bad_options",
            line=line,
        ) from error
