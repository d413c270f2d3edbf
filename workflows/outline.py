"""Give the outline of a Markdown document: its headings, their anchors and how many words stand under each.

A context workflow, as PyFlue has them: `run(ctx)`, here with a typed payload.
"""

import re

from pydantic import BaseModel, Field

from repertoire import Context

__workflow__ = {
    "tags": ["text", "markdown", "example"],
    "timeout_s": 30,
    "read_only": True,
    "callable_by_untrusted": True,
}


class Payload(BaseModel):
    text: str = Field(description="The document, Markdown.", max_length=5_000_000)
    deepest: int = Field(3, ge=1, le=6, description="Headings of this level and above.")


class Heading(BaseModel):
    level: int
    title: str
    anchor: str = Field(description="As GitHub makes it, unique within the document.")
    line: int
    words: int = Field(description="Words until the next heading of any level.")


class Outline(BaseModel):
    headings: list[Heading]
    words: int = Field(description="Of the whole document, headings and code included.")


def run(ctx: Context[Payload]) -> Outline:
    """Read the headings; those inside fenced code are none."""
    found: list[Heading] = []
    seen: dict[str, int] = {}
    fence = ""
    for number, line in enumerate(ctx.payload.text.splitlines(), 1):
        if mark := re.match(r" {0,3}(```+|~~~+)", line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence):
                fence = ""
        heading = None if fence or mark else re.match(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$", line)
        if heading is not None:
            title = heading[2]
            found.append(Heading(level=len(heading[1]), title=title, anchor=_anchor(title, seen), line=number, words=0))
        elif found:
            found[-1].words += len(line.split())
    ctx.log.info("read", headings=len(found))
    kept = [heading for heading in found if heading.level <= ctx.payload.deepest]
    return Outline(headings=kept, words=len(ctx.payload.text.split()))


def _anchor(title: str, seen: dict[str, int]) -> str:
    base = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    seen[base] = seen.get(base, -1) + 1
    return f"{base}-{seen[base]}" if seen[base] else base
