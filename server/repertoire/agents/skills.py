"""Skills: reads a skill from a Markdown file with a head of YAML, as `load_skill(path)` of PyFlue does. Used by workflow files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .definition import Skill


def load_skill(path: str | Path) -> Skill:
    """The skill of a file. Its name is in its head, or else that of the file, for SKILL.md that of its folder."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no skill {path}")
    text = file.read_text(encoding="utf-8")
    head, body = _parts(text, file)
    default = file.resolve().parent.name if file.name.upper() == "SKILL.MD" else file.stem
    return Skill(
        name=str(head.get("name") or default),
        description=str(head.get("description") or "").strip(),
        instructions=body.strip(),
        input_schema=head.get("input_schema") if isinstance(head.get("input_schema"), dict) else None,
        output_schema=head.get("output_schema") if isinstance(head.get("output_schema"), dict) else None,
        path=file,
    )


def load_skills(folder: str | Path) -> dict[str, Skill]:
    """The skills of all Markdown files below a folder, by name."""
    return {skill.name: skill for skill in map(load_skill, sorted(Path(folder).expanduser().rglob("*.md")))}


def _parts(text: str, file: Path) -> tuple[dict[str, Any], str]:
    if not text.startswith("---\n"):
        return {}, text
    head, fence, body = text[4:].partition("\n---")
    if not fence:
        return {}, text
    import yaml

    try:
        read = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: its head is no YAML: {error}") from None
    return (read if isinstance(read, dict) else {}), body.partition("\n")[2]
