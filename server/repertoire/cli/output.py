"""Output: prints tables, findings, errors and events for people; used by every command. Data goes to stdout, the rest to stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that move a terminal's cursor, colour or reverse text. A source could use them to hide code from the person who approves
it."""


class _Plain(Console):
    """A console that shows control characters as escapes. Its own styles are added afterwards."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


def visible(text: str) -> str:
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


out = _Plain(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = _Plain(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Both print verbatim: `:book:` in a source or an id is not an emoji, and `[red]` is not a colour."""


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_line(value: Any) -> None:
    """One JSON value on a line of its own, at once: for pipes."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def table(columns: dict[str, str], rows: Iterable[dict[str, Any]], empty: str) -> None:
    """`columns` maps a row's key to its heading. Nothing is wrapped; on a terminal the last column is cut at its edge."""
    cells = [["" if row.get(key) is None else " ".join(str(row[key]).split()) for key in columns] for row in rows]
    if not cells:
        err.print(empty, markup=False)
        return
    lines = [list(columns.values()), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        out.print(text[: out.width] if out.is_terminal else text, markup=False)


def findings(path: str, found: Iterable[dict[str, Any]]) -> None:
    """Print the findings of a file, or of a source that has no name yet."""
    for finding in found:
        line = f":{finding['line']}" if finding.get("line") else ""
        path = finding.get("file") or path
        place = f"{path}{line}: " if path else f"line {finding['line']}: " if line else ""
        err.print(f"{place}{finding['message']}", style="yellow", markup=False)
        if finding.get("hint"):
            err.print(f"    {finding['hint']}", markup=False)


def error(message: str, hint: str | None = None) -> None:
    err.print(f"error: {message}", style="red", markup=False)
    if hint:
        err.print(f"  {hint}", markup=False)


def event_line(event: dict[str, Any]) -> str:
    """An event as one line for people."""
    data = event["data"]
    match event["type"]:
        case "log":
            text = f"{data.get('level', 'info'):<7} {data.get('message', '')}"
            fields = {key: value for key, value in data.items() if key not in ("level", "message", "source")}
            text += "".join(f" {key}={value!r}" for key, value in fields.items())
        case "progress":
            total = f"/{data['total']:g}" if data.get("total") else ""
            text = f"{data.get('done', 0):g}{total} {data.get('message') or ''}"
        case "text":
            text = str(data.get("text", ""))
        case "call_start":
            text = _call(data)
        case "call_end":
            text = f"{_call(data)}  {duration(data['duration_s'])}{_outcome(data)}"
        case "ask":
            text = f"{data['question']}  {json.dumps(data['schema'], ensure_ascii=False)}  {data['id']}"
        case "state":
            text = "the session's state is stored"
        case "resumed":
            text = f"begun again: {data['why']}"
        case "run_start":
            text = f"{data['workflow']} {data['version']}"
        case "run_end":
            text = data["status"] + (f": {data['error']['message']}" if "error" in data else "")
        case _:
            text = json.dumps(data, ensure_ascii=False)
    return f"{event['n']:>5} {event['at']} {event['type']:<10} {text}"


def _call(data: dict[str, Any]) -> str:
    return " ".join(f"{data['path']}  {data['op']} {data.get('name') or ''}".rstrip().split("\n"))


def _outcome(data: dict[str, Any]) -> str:
    text = f"  {data['run_id']}" if "run_id" in data else ""
    if "error" in data:
        text += f"  failed: {data['error']['type']}: {data['error']['message']}"
    return text + ("  cancelled" if data.get("cancelled") else "")


def duration(seconds: float) -> str:
    """A duration for people, with three digits."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


class RunProgress:
    """A bar on stderr that follows a run's events; prints nothing when stderr is not a terminal."""

    def __init__(self, name: str) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task: TaskID = self._bar.add_task(name, total=None)
        self._name = name

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def take(self, event: dict[str, Any]) -> None:
        data = event.get("data", {})
        if event.get("type") == "progress":
            label = f"{self._name}: {data['message']}" if data.get("message") else self._name
            self._bar.update(self._task, completed=data.get("done", 0), total=data.get("total"), description=label)
        elif event.get("type") == "log":
            self._bar.console.print(f"{data.get('level', 'info')}: {data.get('message', '')}", markup=False)
