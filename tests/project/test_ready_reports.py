"""The workflows that ship and report on files or texts: source_report, csv_profile and compare_texts, called as plain Python."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.ready import load

# source_report


def test_source_report_counts_lines_functions_classes_and_imports(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""Doc\n# not a comment\n\nend."""\n\nimport os\nimport os.path, json\n\n# a comment\n'
        "class A:\n    def short(self): return 1\n\n    async def long(self):\n        x = 1\n        return x\n"
    )
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "b.py").write_bytes(
        b"from os import path\r\nfrom . import a\r\n\r\ndef f():\r\n    def g():\r\n        pass\r\n"
    )
    (tmp_path / "notes.txt").write_text("def no(): pass")

    report = load("source_report").run(path=str(tmp_path))

    assert report.files == 2
    assert (report.lines.total, report.lines.code, report.lines.comment, report.lines.blank) == (21, 15, 1, 5)
    assert (report.functions, report.classes) == (4, 1)
    longest = [(f.name, f.file, f.line, f.lines) for f in report.longest_functions]
    assert longest == [
        ("A.long", "a.py", 13, 3),
        ("f", "pkg/b.py", 4, 3),
        ("f.g", "pkg/b.py", 5, 2),
        ("A.short", "a.py", 11, 1),
    ]
    assert [(m.module, m.files) for m in report.imports] == [("os", 2), ("json", 1)]
    assert (report.problem_count, report.problems) == (0, [])


def test_source_report_names_what_it_could_not_parse_and_still_counts_the_rest(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("x = 1\ndef (:\n")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "declared.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (tmp_path / "huge.py").write_bytes(b"#" * (2 * 1024 * 1024 + 1))
    (tmp_path / "deep.py").write_text("(" * 5000 + ")" * 5000)

    report = load("source_report").run(path=str(tmp_path))

    assert report.files == 2
    reasons = {problem.file: (problem.line, problem.reason) for problem in report.problems}
    assert set(reasons) == {"broken.py", "latin.py", "huge.py", "deep.py"}
    assert reasons["broken.py"][0] == 2
    assert "larger than" in reasons["huge.py"][1]
    assert report.problem_count == 4


def test_source_report_leaves_out_hidden_folders_environments_and_caches(tmp_path: Path) -> None:
    for folder in (".git", "venv", "__pycache__", "node_modules", "kept"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.py").write_text("x = 1\n")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    assert load("source_report").run(path=str(tmp_path)).files == 1


def test_source_report_takes_one_file_and_lists_no_more_functions_than_asked(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text("def a(): pass\ndef b(): pass\n")
    report = load("source_report").run(path=str(file), longest=1)
    assert (report.files, report.functions, len(report.longest_functions)) == (1, 2, 1)


@pytest.mark.parametrize("package", ["json", "os"])
def test_source_report_finds_an_installed_package_and_a_frozen_module(package: str) -> None:
    report = load("source_report").run(package=package)
    assert report.files >= 1 and report.functions > 5 and report.problem_count == 0


def test_source_report_reads_a_package_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_imported").mkdir()
    (tmp_path / "never_imported" / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load("source_report").run(package="never_imported").files == 1
    assert "never_imported" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ValueError, "either"),
        ({"path": ".", "package": "json"}, ValueError, "either"),
        ({"path": "/no/such/place"}, FileNotFoundError, "/no/such/place"),
        ({"package": "no_such_package_here"}, ModuleNotFoundError, "no_such_package_here"),
        ({"package": "os.path"}, ValueError, "without dots"),
        ({"package": "sys"}, ValueError, "no Python source"),
        ({"path": ".", "longest": 5000}, ValueError, "longest"),
    ],
)
def test_source_report_refuses_with_a_sentence(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load("source_report").run(**arguments)


def test_source_report_refuses_a_folder_without_python(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.py files"):
        load("source_report").run(path=str(tmp_path))


# csv_profile


def profile(tmp_path: Path, content: str | bytes, **arguments: Any) -> Any:
    file = tmp_path / "data.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load("csv_profile").run(str(file), **arguments)


def test_csv_profile_tells_types_ranges_means_and_empties(tmp_path: Path) -> None:
    result = profile(
        tmp_path,
        "id,price,paid,on,name,code,none\n"
        "1,1.5,true,2024-01-31,Ann,007,\n"
        '2,2,false,2024-02-01T10:00:00+02:00,"Bob, the second",12,\n'
        "4,,yes,2023-12-31,Ann,1,null\n",
    )

    assert (result.rows, result.has_header, result.delimiter, result.encoding) == (3, True, ",", "utf-8")
    columns = {column.name: column for column in result.columns}
    assert {name: column.type for name, column in columns.items()} == {
        "id": "int", "price": "float", "paid": "bool", "on": "date", "name": "text", "code": "text", "none": "empty",
    }  # fmt: skip
    assert (columns["id"].min, columns["id"].max, columns["id"].mean) == (1, 4, pytest.approx(7 / 3))
    assert (columns["price"].min, columns["price"].max, columns["price"].mean) == (1.5, 2, 1.75)
    assert (columns["price"].values, columns["price"].empty) == (2, 1)
    assert (columns["on"].min, columns["on"].max) == ("2023-12-31", "2024-02-01T10:00:00+02:00")
    assert (columns["name"].min, columns["name"].max, columns["name"].distinct) == ("Ann", "Bob, the second", 2)
    assert [(top.value, top.count) for top in columns["name"].top_values] == [("Ann", 2), ("Bob, the second", 1)]
    assert (columns["none"].empty, columns["none"].min, columns["none"].mean) == (3, None, None)


@pytest.mark.parametrize(("delimiter", "shown"), [(";", ";"), ("\t", "\t"), ("|", "|"), (",", ",")])
def test_csv_profile_finds_the_delimiter(tmp_path: Path, delimiter: str, shown: str) -> None:
    rows = [["name", "text"], ["a", '"x, y; z"'], ["b", '"1|2"'], ["c", "plain"]]
    result = profile(tmp_path, "\n".join(delimiter.join(row) for row in rows))
    assert (result.delimiter, len(result.columns), result.ragged_rows) == (shown, 2, 0)


def test_csv_profile_counts_ragged_rows_by_line(tmp_path: Path) -> None:
    result = profile(tmp_path, 'a,b\n1,2\n3\n\n"4\n5",6,7\n8,9\n')
    assert (result.rows, result.ragged_rows, result.ragged_lines) == (4, 2, [3, 6])


def test_csv_profile_knows_a_file_without_header_unless_told(tmp_path: Path) -> None:
    found = profile(tmp_path, "1,x\n2,y\n")
    assert (found.has_header, found.rows, [c.name for c in found.columns]) == (False, 2, ["column_1", "column_2"])
    told = profile(tmp_path, "2019,2020\n5,6\n", header=True)
    assert (told.rows, [c.name for c in told.columns]) == (1, ["2019", "2020"])
    words = profile(tmp_path, "x,y\nz,w\n", header=False)
    assert (words.has_header, words.rows) == (False, 2)


def test_csv_profile_gives_each_column_a_name_of_its_own(tmp_path: Path) -> None:
    result = profile(tmp_path, "a,a,,a (2)\n1,2,3,4\n")
    names = [column.name for column in result.columns]
    assert len(set(names)) == 4
    assert names[0] == "a" and names[2] == "column_3"


@pytest.mark.parametrize(
    ("content", "encoding", "value"),
    [
        ("\ufeffname\nÄrger\n".encode(), "utf-8-sig", "Ärger"),
        ("name\nÄrger\n".encode("utf-16"), "utf-16", "Ärger"),
        ("name\nÄrger\n".encode("cp1252"), "cp1252", "Ärger"),
        (b"name\n\x81\n", "latin-1", "\x81"),
        (b"name\n" + b"plain\n" * 20_000 + "Ä\n".encode("cp1252"), "cp1252", "plain"),
    ],
)
def test_csv_profile_falls_back_to_another_encoding(tmp_path: Path, content: bytes, encoding: str, value: str) -> None:
    result = profile(tmp_path, content)
    assert (result.encoding, result.columns[0].name, result.columns[0].top_values[0].value) == (encoding, "name", value)


def test_csv_profile_stops_after_max_rows_and_says_so(tmp_path: Path) -> None:
    content = "n\n" + "".join(f"{i}\n" for i in range(10))
    assert (profile(tmp_path, content, max_rows=4).rows, profile(tmp_path, content, max_rows=4).truncated) == (4, True)
    assert profile(tmp_path, content, max_rows=10).truncated is False


def test_csv_profile_bounds_what_it_remembers_and_says_so(tmp_path: Path) -> None:
    result = profile(tmp_path, "n\n" + "".join(f"{i}\n" for i in range(25_000)))
    (column,) = result.columns
    assert (column.distinct, column.distinct_is_exact) == (10_000, False)
    assert (column.min, column.max, column.mean) == (0, 24_999, 12_499.5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\0c\n", "NUL"),
        (b'a,b\n"never closed' + b"x" * 200_000, "never closed"),
        (b"a" * 1_500_000, "longer than"),
        (",".join("x" * 1500).encode(), "1500 fields"),
    ],
)
def test_csv_profile_refuses_what_is_no_csv(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        profile(tmp_path, content)


@pytest.mark.parametrize("arguments", [{"delimiter": "ab"}, {"delimiter": '"'}, {"delimiter": ""}, {"max_rows": 0}])
def test_csv_profile_refuses_bad_arguments(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        profile(tmp_path, "a\n1\n", **arguments)


def test_csv_profile_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.csv"):
        load("csv_profile").run(str(tmp_path / "missing.csv"))


# compare_texts


def compare(old: str, new: str, **arguments: Any) -> Any:
    return load("compare_texts").run(old=old, new=new, **arguments)


def test_compare_texts_counts_added_removed_and_changed_lines() -> None:
    result = compare("one\ntwo\nthree\nfour\n", "one\n2\nthree\nfour\nfive\n", context=1)
    assert (result.added_lines, result.removed_lines, result.changed_lines) == (1, 0, 1)
    assert result.similarity == pytest.approx(6 / 9, abs=1e-4)
    assert result.word_similarity == pytest.approx(6 / 9, abs=1e-4)
    assert result.diff.splitlines() == ["@@ -1,4 +1,5 @@", " one", "-two", "+2", " three", " four", "+five"]
    assert (result.old.lines, result.new.words, result.old.characters) == (4, 5, 19)
    assert (result.identical, result.approximate, result.diff_truncated) == (False, False, False)


def test_compare_texts_of_equal_and_of_empty_texts() -> None:
    same = compare("a\nb", "a\nb")
    assert (same.identical, same.similarity, same.diff) == (True, 1.0, "")
    empty = compare("", "")
    assert (empty.identical, empty.similarity, empty.old.lines) == (True, 1.0, 0)
    added = compare("", "a\nb\n")
    assert (added.similarity, added.added_lines, added.diff) == (0.0, 2, "@@ -0,0 +1,2 @@\n+a\n+b")


def test_compare_texts_names_moved_paragraphs() -> None:
    first, second, third = "First one.\nmore of it", "Second.", "Third."
    result = compare("\n\n".join([first, second, third]), "\n\n".join([second, third, first]))
    assert [(move.text, move.old_line, move.new_line) for move in result.moved_paragraphs] == [(first, 1, 5)]
    assert result.word_similarity == 1.0


def apply(old: str, diff: str) -> str:
    """Applies a unified diff that has all its lines, checking each against the old text."""
    source, result, place = old.split("\n")[:-1], [], 0
    for line in diff.split("\n") if diff else []:
        if line.startswith("@@"):
            start, _, length = line.split()[1][1:].partition(",")
            begin = int(start) - (0 if length == "0" else 1)
            result += source[place:begin]
            place = begin
        elif line.startswith("+"):
            result.append(line[1:])
        else:
            assert source[place] == line[1:]
            result += [source[place]] if line.startswith(" ") else []
            place += 1
    return "".join(f"{line}\n" for line in [*result, *source[place:]])


@pytest.mark.parametrize("seed", range(40))
def test_compare_texts_makes_diffs_that_apply(seed: int) -> None:
    chance = random.Random(seed)
    words = [f"w{n}" for n in range(chance.choice([3, 30]))] + [""]
    old = [chance.choice(words) for _ in range(chance.randrange(60))]
    new = [line for line in old if chance.random() > 0.2]
    for _ in range(chance.randrange(10)):
        new.insert(chance.randrange(len(new) + 1), chance.choice([*words, f"new {chance.random()}"]))
    old_text, new_text = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    result = compare(old_text, new_text, context=chance.randrange(4), max_diff_lines=5000)
    assert apply(old_text, result.diff) == new_text
    assert result.new.lines - result.old.lines == result.added_lines - result.removed_lines


def test_compare_texts_of_large_texts_without_unique_lines_stays_quick_and_says_that_it_is_approximate() -> None:
    chance = random.Random(1)
    old, new = ("\n".join(chance.choice("abcdefgh") for _ in range(50_000)) for _ in range(2))
    started = time.monotonic()
    result = compare(old, new, max_diff_lines=20)
    assert time.monotonic() - started < 10
    assert result.approximate and result.diff_truncated
    assert len(result.diff.splitlines()) == 20


def test_compare_texts_of_long_documents_with_few_changes_is_exact() -> None:
    lines = [f"line {n}" if n % 3 else "" for n in range(60_000)]
    changed = [*lines[:100], "extra", *lines[100:40_000], *lines[40_001:]]
    result = compare("\n".join(lines), "\n".join(changed))
    assert (result.added_lines, result.removed_lines, result.changed_lines, result.approximate) == (1, 1, 0, False)


def test_compare_texts_reads_files_whatever_their_encoding_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("Größe\r\nzwei\r\n".encode("cp1252"))
    (tmp_path / "new.txt").write_bytes("\ufeffGröße\nzwei\n".encode())
    result = load("compare_texts").run(old_path=str(tmp_path / "old.txt"), new_path=str(tmp_path / "new.txt"))
    assert result.identical


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"old": "a"}, ValueError, "`new`"),
        ({"old": "a", "old_path": "b", "new": "c"}, ValueError, "either `old`"),
        ({"old": "a", "new_path": "/no/such.txt"}, FileNotFoundError, "/no/such.txt"),
        ({"old": "a", "new": "b", "context": -1}, ValueError, "context"),
        ({"old": "a" * 20_000_001, "new": "b"}, ValueError, "larger than"),
    ],
)
def test_compare_texts_refuses_with_a_sentence(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load("compare_texts").run(**arguments)


def test_compare_texts_refuses_a_binary_file(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ValueError, match="NUL"):
        load("compare_texts").run(old_path=str(tmp_path / "x.bin"), new="")
