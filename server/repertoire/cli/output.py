"""Output: prints tables, findings, errors and events for people; used by every command. Data goes to stdout, the rest to stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from .commands_for_tools import in_commands

_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
"""Characters that move a terminal's cursor, colour or reverse text, or that nobody sees although a model reads them. A source could use them
to hide code from the person who approves it."""


class _Plain(Console):
    """A console that shows control characters as escapes. Its own styles are added afterwards."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


STATUS_STYLES: Final = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "working": "cyan",
    "input_required": "magenta",
}
_GAP: Final = 2
_NARROW: Final = 12
"""Cells between columns, and of a flexible column at least."""


def visible(text: str) -> str:
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


out = _Plain(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = _Plain(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Both print verbatim: `:book:` in a source or an id is not an emoji, and `[red]` is not a colour."""


def print_json(value: Any) -> None:
    sys.stdout.write(_escaped(json.dumps(value, ensure_ascii=False, indent=2)) + "\n")


def print_line(value: Any) -> None:
    """One JSON value on a line of its own, at once: for pipes."""
    sys.stdout.write(_escaped(json.dumps(value, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """A text as it is, for a pipe or a file. A terminal shows control characters as escapes."""
    sys.stdout.write((visible(text) if sys.stdout.isatty() else text) + "\n")


def _escaped(text: str) -> str:
    """JSON text with JSON's own escapes for characters that a terminal obeys: the value is the same."""
    return _CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)


class Column(NamedTuple):
    """A column of a table. `show` makes a cell's text of the value. A `flexible` one may be cut at a narrow terminal, with an ellipsis."""

    heading: str
    show: Callable[[Any], str] = str
    flexible: bool = False


Columns = Mapping[str, str | Column]


def table(columns: Columns, rows: Iterable[Mapping[str, Any]], empty: str) -> None:
    """Print a row for each of `rows`; `columns` maps a key to its heading. Without rows it says `empty` on stderr.

    On a terminal a row is one line. Flexible columns, and the last one if it is only a heading, become narrower first. If that is not
    enough, columns are left out whole from the right. No other column is cut, so a number is whole or not there.
    """
    *before, last = columns.items()
    shown = {key: Column(one) if isinstance(one, str) else one for key, one in before}
    shown[last[0]] = Column(last[1], flexible=True) if isinstance(last[1], str) else last[1]
    cells = [[_cell(row.get(key), column) for key, column in shown.items()] for row in rows]
    if not cells:
        say(empty)
        return
    headings = [column.heading for column in shown.values()]
    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    if out.is_terminal:
        widths = fit(widths, [column.flexible for column in shown.values()], out.width)
    status = list(shown).index("status") if "status" in shown else None
    out.print(_line(headings, widths, bold=True))
    for row in cells:
        out.print(_line(row, widths, status=status))


def _cell(value: Any, column: Column) -> str:
    return "" if value is None else " ".join(visible(column.show(value)).split("\n"))


def fit(widths: list[int], flexible: list[bool], room: int) -> list[int]:
    """The widths of the columns that fit into `room` cells, each two cells from the next."""
    kept = list(widths)
    while True:
        over = sum(kept) + _GAP * (len(kept) - 1) - room
        can_give = [max(width - _NARROW, 0) if flexible[i] else 0 for i, width in enumerate(kept)]
        if over <= sum(can_give):
            for _ in range(over):
                widest = max((i for i, give in enumerate(can_give) if give), key=kept.__getitem__)
                kept[widest] -= 1
                can_give[widest] -= 1
            return kept
        if len(kept) == 1:
            return [room]
        del kept[-1]


def _line(cells: list[str], widths: list[int], *, bold: bool = False, status: int | None = None) -> Text:
    line = Text(style="bold" if bold else "")
    for i, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        line.append(_padded(cell, width), style=STATUS_STYLES.get(cell, "") if i == status else "")
        line.append(" " * _GAP)
    line.rstrip()
    return line


def _padded(cell: str, width: int) -> str:
    if cell_len(cell) > width:
        cell = set_cell_size(cell, width - 1).rstrip() + "…"
    return set_cell_size(cell, width)


def say(text: str, style: str | None = None) -> None:
    """Print a sentence of the product on stderr, in this program's words."""
    err.print(in_commands(text), style=style)


def findings(path: str, found: Iterable[dict[str, Any]]) -> None:
    """Print the findings of a file, or of a source that has no name yet."""
    for finding in found:
        line = f":{finding['line']}" if finding.get("line") else ""
        path = finding.get("file") or path
        place = f"{path}{line}: " if path else f"line {finding['line']}: " if line else ""
        say(f"{place}{finding['message']}", "yellow")
        if finding.get("hint"):
            say(f"    {finding['hint']}")


def error(message: str, hint: str | None = None) -> None:
    say(f"error: {message}", "red")
    if hint:
        say(f"  {hint}")


def event_line(event: dict[str, Any]) -> str:
    """An event as one line for people."""
    data = event["data"]
    match event["type"]:
        case "log":
            text = f"{data.get('level', 'info')!s:<7} {data.get('message', '')}"
            fields = {key: value for key, value in data.items() if key not in ("level", "message", "source")}
            text += "".join(f" {key}={value!r}" for key, value in fields.items())
        case "progress":
            total = f"/{_number(data['total'])}" if data.get("total") else ""
            text = f"{_number(data.get('done', 0))}{total} {data.get('message') or ''}"
        case "text":
            text = str(data.get("text", ""))
        case "stream_reset":
            text = f"the text of call {data['call']} is written anew"
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
    return f"{event['n']:>5} {clock(event['at'])} {event['type']:<10} {text}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _call(data: dict[str, Any]) -> str:
    return " ".join(f"{data['path']}  {data['op']} {data.get('name') or ''}".rstrip().split("\n"))


def _outcome(data: dict[str, Any]) -> str:
    text = f"  {data['run_id']}" if "run_id" in data else ""
    if "error" in data:
        text += f"  failed: {data['error']['type']}: {data['error']['message']}"
    return text + ("  cancelled" if data.get("cancelled") else "")


def duration(seconds: float) -> str:
    """A duration for people, with at most three digits."""
    if seconds < 0.9995:
        return f"{_digits(seconds * 1000)} ms"
    if seconds < 119.5:
        return f"{_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _digits(number: float) -> str:
    places = 2 if number < 10 else 1 if number < 100 else 0
    return f"{number:.{places}f}".rstrip("0").rstrip(".") if places else f"{number:.0f}"


def when(at: str) -> str:
    """A time (ISO) as people say it: how long ago within a week, then its date here."""
    moment = datetime.fromisoformat(at)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    far = abs(seconds)
    if far >= 7 * 86_400:
        return moment.astimezone().strftime("%-d %b %Y")
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")):
        if far >= size * (2 if unit == "days" else 1):
            text = f"{far // size:.0f} {unit}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "now"


def clock(at: str) -> str:
    """A time (ISO) on the clock here, with the date unless it is today."""
    moment = datetime.fromisoformat(at).astimezone()
    return moment.strftime("%H:%M:%S" if moment.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


class Waiting:
    """A bar on stderr while a person waits; nothing when stderr is not a terminal."""

    def __init__(self, what: str) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task: TaskID = self._bar.add_task(visible(what), total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def update(self, what: str, done: float, total: float | None) -> None:
        self._bar.update(self._task, description=visible(what), completed=done, total=total)


class RunProgress(Waiting):
    """A bar that follows a run's events."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._name = name

    def take(self, event: dict[str, Any]) -> None:
        data = event.get("data", {})
        if event.get("type") == "progress":
            label = f"{self._name}: {data['message']}" if data.get("message") else self._name
            done, total = data.get("done", 0), data.get("total")
            if isinstance(done, int | float) and isinstance(total, int | float | None):
                self.update(label, done, total)
        elif event.get("type") == "log":
            self._bar.console.print(f"{data.get('level', 'info')}: {data.get('message', '')}", markup=False)
