"""Describe a project folder: the headings of its README, its Python source, and files that are in it twice.

Composes three other workflows. Each is a run of its own, and the three run at the same time.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repertoire import CallError, workflows

__workflow__ = {"tags": ["files", "report", "example"], "timeout_s": 300, "read_only": True}

READMES = ("README.md", "Readme.md", "readme.md", "README.markdown", "README")
LARGEST_README = 1_000_000
"""Bytes. The rest of a longer one is left out."""


@dataclass(frozen=True)
class Copies:
    """One content that several files have, and the bytes that all but one of them take."""

    paths: list[str]
    wasted_bytes: int


@dataclass(frozen=True)
class Python:
    """The Python source in numbers; imports are the five modules that most files import."""

    files: int
    code_lines: int
    functions: int
    classes: int
    imports: list[str]


@dataclass(frozen=True)
class Overview:
    """A part that the folder does not have is null or empty; `remarks` say why."""

    folder: str
    readme: str | None
    headings: list[str]
    python: Python | None
    duplicates: list[Copies]
    wasted_bytes: int
    remarks: list[str]


async def run(folder: str = ".", most_duplicates: int = 10) -> Overview:
    """Describe a project folder.

    Args:
        folder: The project's folder; an absolute path is safest.
        most_duplicates: How many contents to list that several files have, those with the most wasted bytes first.

    Raises:
        NotADirectoryError: The folder does not exist.
    """
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder. Give the absolute path of a project as `folder`.")
    readme = next((file for name in READMES if (file := root / name).is_file()), None)
    remarks: list[str] = [] if readme is not None else ["There is no README."]
    text = readme.read_bytes()[:LARGEST_README].decode("utf-8", "replace") if readme is not None else ""

    outline, source, groups = await asyncio.gather(
        _part("outline", workflows.outline(text=text, deepest=2), remarks),
        _part("source_report", workflows.source_report(path=str(root)), remarks),
        _part("find_duplicates", workflows.find_duplicates(folder=str(root), max_groups=most_duplicates), remarks),
    )
    listed: list[dict[str, Any]] = groups or []
    headings: list[dict[str, Any]] = outline["headings"] if outline is not None else []
    duplicates = [Copies(group["paths"], group["wasted_bytes"]) for group in listed]
    return Overview(
        folder=str(root),
        readme=readme.name if readme is not None else None,
        headings=[heading["title"] for heading in headings],
        python=_numbers(source) if source is not None else None,
        duplicates=duplicates,
        wasted_bytes=sum(copies.wasted_bytes for copies in duplicates),
        remarks=remarks,
    )


async def _part(name: str, result: Awaitable[Any], remarks: list[str]) -> Any:
    """The result of a workflow. One that fails leaves a remark instead: the other parts are still worth having."""
    try:
        return await result
    except CallError as error:
        remarks.append(f"{name}: {error.message}")
        return None


def _numbers(report: dict[str, Any]) -> Python:
    imports = [one["module"] for one in report["imports"][:5]]
    return Python(report["files"], report["lines"]["code"], report["functions"], report["classes"], imports)
