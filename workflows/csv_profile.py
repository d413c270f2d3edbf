"""Profile a CSV file: the type, range, empties and most frequent values of each column, and rows that do not fit.

Reads the file as a stream, so it may be larger than memory. Encoding, delimiter and header are found out by looking.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from repertoire import log, progress

__workflow__ = {
    "title": "CSV profile",
    "tags": ["csv", "data", "report"],
    "timeout_s": 600,
    "read_only": True,
}

Kind = Literal["int", "float", "date", "bool", "text", "empty"]

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 64 * 1024
MAX_COLUMNS = 1000
MAX_LINE = 1_000_000
"""Characters. A longer line means that this is no CSV file, and it bounds what one line can take of memory."""
MAX_DISTINCT = 10_000
"""Distinct values remembered per column. Beyond it `distinct` and the counts of the top values are lower bounds."""
MAX_SHOWN = 80
"""Characters of a text value that are shown."""
BATCH_ROWS = 5000
"""Rows between two looks at the values: equal values of a batch are examined once."""
LINES_PER_REPORT = 10_000
LISTED_RAGGED = 10
LISTED_TOP = 5
EMPTY = frozenset({"", "null", "nan", "n/a", "#n/a"})
INT = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})", re.ASCII)
FLOAT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?", re.ASCII)


@dataclass(frozen=True)
class TopValue:
    """A value and how often it occurs; long ones are shown cut."""

    value: str
    count: int


@dataclass(frozen=True)
class Column:
    """One column. `min`, `max` and `mean` are of its type; dates are ISO 8601; text is compared letter by letter.

    `distinct_is_exact` is false where more values occur than are remembered: `distinct` is then a lower bound.
    """

    name: str
    type: Kind
    values: int
    empty: int
    distinct: int
    distinct_is_exact: bool
    min: int | float | str | None
    max: int | float | str | None
    mean: float | None
    top_values: list[TopValue]


@dataclass(frozen=True)
class CsvProfile:
    """`rows` excludes the header and blank lines; `truncated` says that the file has more rows than were read.

    Rows with another number of fields than the header are counted in `ragged_rows`, the first ten by line number.
    """

    file: str
    encoding: str
    delimiter: str
    has_header: bool
    rows: int
    truncated: bool
    ragged_rows: int
    ragged_lines: list[int]
    columns: list[Column]


@dataclass(frozen=True)
class _Source:
    """The file, its beginning, and what the caller says of it."""

    file: Path
    sample: bytes
    delimiter: str | None
    header: bool | None


def run(path: str, delimiter: str | None = None, max_rows: int = 1_000_000, header: bool | None = None) -> CsvProfile:
    """Profile a CSV file.

    Args:
        path: The file; an absolute path is safest.
        delimiter: The character between fields; found out by looking when not given. Write a tab as "\\t".
        max_rows: Stop after this many rows.
        header: Whether the first row holds the names of the columns. When not given, a row of words only does.

    Returns:
        What was found out about the file, and one entry per column.

    Raises:
        FileNotFoundError: There is no file at `path`.
        ValueError: The file is empty, not text, not CSV, or an argument does not fit.
    """
    if delimiter == "\\t":
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ValueError(f"The delimiter must be one character, not a quote or a line end; {delimiter!r} is not.")
    if max_rows < 1:
        raise ValueError("max_rows must be at least 1.")
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise FileNotFoundError(f"There is no file at {file}. Give the absolute path of a CSV file.")

    with file.open("rb") as raw:
        sample = raw.read(SAMPLE_BYTES)
    encodings = _encodings(sample)
    if not sample.strip():
        raise ValueError(f"{file} is empty.")
    source = _Source(file, sample, delimiter, header)
    for encoding in encodings:
        try:
            return _profile(source, encoding, max_rows)
        except UnicodeDecodeError as error:
            log(f"{file.name} is not {encoding}: {error.reason}. Trying the next encoding.")
    raise ValueError(f"{file} is none of {', '.join(encodings)}. Convert it to UTF-8 first.")


def _encodings(sample: bytes) -> list[str]:
    """What to try, in order. latin-1 accepts every byte, so the last try on text without a mark never fails."""
    if sample.startswith(b"\xef\xbb\xbf"):
        return ["utf-8-sig"]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16"]
    if b"\0" in sample:
        raise ValueError("The file holds NUL bytes, so it is not CSV text. Export the table as CSV first.")
    return ["utf-8", "cp1252", "latin-1"]


def _profile(source: _Source, encoding: str, max_rows: int) -> CsvProfile:
    # A sample may end within a character, hence "ignore"; the file itself is read strictly.
    beginning = source.sample.decode(encoding, errors="ignore")
    delimiter = source.delimiter or _delimiter(beginning, whole=len(source.sample) < SAMPLE_BYTES)
    with source.file.open(encoding=encoding, newline="") as text:
        rows = _rows(_lines(text, source.file.stat().st_size), delimiter)
        first_line, first = next(rows, (0, [""]))
        if len(first) > MAX_COLUMNS:
            raise ValueError(
                f"The first row has {len(first)} fields; at most {MAX_COLUMNS} are taken. Is the delimiter right?"
            )
        named = _is_header(first) if source.header is None else source.header
        table = _Table(_names(first if named else [""] * len(first)))
        if not named:
            table.add(first_line, first)
        truncated = False
        for line, row in rows:
            if table.rows == max_rows:
                truncated = True
                break
            table.add(line, row)
        table.flush()
    return CsvProfile(
        file=str(source.file),
        encoding=encoding,
        delimiter=delimiter,
        has_header=named,
        rows=table.rows,
        truncated=truncated,
        ragged_rows=table.ragged,
        ragged_lines=table.ragged_lines,
        columns=[column.result() for column in table.columns],
    )


class _Table:
    """The columns while rows arrive."""

    def __init__(self, names: list[str]) -> None:
        self.columns = [_Column(name) for name in names]
        self.rows = self.ragged = 0
        self.ragged_lines: list[int] = []

    def add(self, line: int, row: list[str]) -> None:
        self.rows += 1
        if len(row) != len(self.columns):
            self.ragged += 1
            if len(self.ragged_lines) < LISTED_RAGGED:
                self.ragged_lines.append(line)
        for column, value in zip(self.columns, row, strict=False):
            column.batch[value] += 1
        if self.rows % BATCH_ROWS == 0:
            self.flush()

    def flush(self) -> None:
        for column in self.columns:
            column.flush()


class _Range:
    """The least and the greatest of the values seen."""

    def __init__(self) -> None:
        self.least: Any = None
        self.greatest: Any = None

    def add(self, value: Any) -> None:
        if self.least is None or value < self.least:
            self.least = value
        if self.greatest is None or value > self.greatest:
            self.greatest = value


class _Column:
    """What is known of one column so far. A column is of a type when all its values are; int and float make float."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batch: Counter[str] = Counter()
        self.values: Counter[str] = Counter()
        self.all_remembered = True
        self.kinds: Counter[Kind] = Counter()
        self.sum = 0.0
        self.numbers, self.dates, self.texts = _Range(), _Range(), _Range()

    def flush(self) -> None:
        for value, count in self.batch.items():
            value = value.strip()
            kind = _kind(value)
            self.kinds[kind] += count
            if kind == "empty":
                continue
            if value in self.values or len(self.values) < MAX_DISTINCT:
                self.values[value] += count
            else:
                self.all_remembered = False
            self.texts.add(value[:MAX_SHOWN])
            if kind in ("int", "float"):
                number = int(value) if kind == "int" else float(value)
                self.sum += number * count
                self.numbers.add(number)
            elif kind == "date":
                self.dates.add((_utc(value), value))
        self.batch.clear()

    def result(self) -> Column:
        kind = self._kind()
        count = self.kinds.total() - self.kinds["empty"]
        low: int | float | str | None
        high: int | float | str | None
        if kind in ("int", "float"):
            low, high = self.numbers.least, self.numbers.greatest
        elif kind == "date":
            low, high = self.dates.least[1], self.dates.greatest[1]
        else:
            low, high = self.texts.least, self.texts.greatest
        return Column(
            name=self.name,
            type=kind,
            values=count,
            empty=self.kinds["empty"],
            distinct=len(self.values),
            distinct_is_exact=self.all_remembered,
            min=low,
            max=high,
            mean=self.sum / count if kind in ("int", "float") and math.isfinite(self.sum) else None,
            top_values=[TopValue(value[:MAX_SHOWN], n) for value, n in self.values.most_common(LISTED_TOP)],
        )

    def _kind(self) -> Kind:
        kinds: set[Kind] = {kind for kind, count in self.kinds.items() if count and kind != "empty"}
        if not kinds:
            return "empty"
        if len(kinds) == 1:
            return kinds.pop()
        return "float" if kinds == {"int", "float"} else "text"


def _kind(value: str) -> Kind:
    """The type that one value looks like. `007`, `inf` and numbers beyond 18 digits are text: names, not amounts."""
    value = value.strip()
    if value.lower() in EMPTY:
        return "empty"
    if INT.fullmatch(value):
        return "int"
    if FLOAT.fullmatch(value) and math.isfinite(float(value)):
        return "float"
    if value.lower() in ("true", "false", "yes", "no"):
        return "bool"
    if DATE.fullmatch(value):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return "text"
        return "date"
    return "text"


def _utc(value: str) -> datetime:
    """A date as a moment that compares with others: without a zone it is taken as UTC."""
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lines(text: io.TextIOWrapper, size: int) -> Iterator[str]:
    """The lines of the file with their ends, each bounded; reports how far in bytes the reading is."""
    reported = 0
    file = cast(io.BufferedReader, text.buffer)
    for number, line in enumerate(_bounded_lines(text), start=1):
        yield line
        if number % LINES_PER_REPORT == 0 and file.tell() > reported:
            reported = file.tell()
            progress(reported, size, f"line {number}")
    progress(size, size, "read")


def _bounded_lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise ValueError(f"Line {number} is longer than {MAX_LINE} characters, so this is not a CSV file.")
        yield line


def _rows(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of the line on which it ends."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            hint = "A quote that is never closed is the usual cause." if "field limit" in str(error) else ""
            raise ValueError(f"Line {reader.line_num} is not CSV: {error}. {hint}".rstrip()) from None
        if row:
            yield reader.line_num, row


def _delimiter(beginning: str, whole: bool) -> str:
    """The delimiter that splits the first rows most evenly, and among equals into most fields; a comma if none does."""
    lines = beginning.splitlines(keepends=True)[:200]
    if not whole and len(lines) > 1:
        lines.pop()
    best, best_score = ",", (0.0, 1)
    for candidate in DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=candidate) if row)
        except csv.Error:
            continue
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        score = (round(count / widths.total(), 1), width)
        if width > 1 and score > best_score:
            best, best_score = candidate, score
    return best


def _is_header(row: list[str]) -> bool:
    """A first row of words only is taken as a header."""
    return any(cell.strip() for cell in row) and all(_kind(cell) in ("text", "empty") for cell in row)


def _names(header: list[str]) -> list[str]:
    """The names of the columns: trimmed, never empty, each once."""
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(header, start=1):
        base = cell.strip()[:MAX_SHOWN] or f"column_{number}"
        name, copy = base, 1
        while name in taken:
            copy += 1
            name = f"{base} ({copy})"
        taken.add(name)
        names.append(name)
    return names
