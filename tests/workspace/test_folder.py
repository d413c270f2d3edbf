"""The folder of a workspace: files below it, nothing outside of it, and its limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repertoire.workspace import operations
from repertoire.workspace.faults import BUILTIN, WorkspaceFault, builtin
from repertoire.workspace.folder import Bounds, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "secret.txt").write_text("secret")
    return Folder(str(tmp_path / "files"))


def code(work: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(WorkspaceFault) as caught:
        work(*args, **kwargs)
    return caught.value.code


def test_files_are_written_read_listed_and_removed(folder: Folder) -> None:
    folder.write("notes/a.md", "Grüße\n".encode())
    assert folder.read("/workspace/notes/a.md") == folder.read("/notes/./a.md") == "Grüße\n".encode()
    folder.write("notes/a.md", b"b")
    assert folder.read("notes/a.md") == b"b"
    row = folder.describe("notes/a.md")
    assert row is not None and (row["path"], row["is_file"], row["size"]) == ("notes/a.md", True, 1)
    assert folder.describe("no") is None and folder.describe("notes/a.md/x") is None
    folder.make_folder("deep/er")
    folder.make_folder("deep/er")
    assert [one["path"] for one in folder.entries(".")] == ["deep", "notes"]
    assert [one["path"] for one in folder.entries(".", recursive=True)] == ["deep", "deep/er", "notes", "notes/a.md"]
    assert code(folder.make_folder, "deep/er", recursive=False) == "file_exists"
    assert code(folder.make_folder, "x/y", recursive=False) == "no_such_file"
    assert code(folder.remove, "deep") == "not_a_file"
    folder.remove("deep", recursive=True)
    folder.remove("deep", force=True)
    assert code(folder.remove, "deep") == "no_such_file" and code(folder.read, "deep") == "no_such_file"
    assert code(folder.read, "notes") == code(folder.write, "notes", b"") == code(folder.read, ".") == "not_a_file"
    assert code(folder.entries, "notes/a.md") == "not_a_folder"
    assert code(folder.remove, ".", recursive=True) == "not_a_file"


@pytest.mark.parametrize("path", ["../secret.txt", "a/../../secret.txt", "/../secret.txt", "..", "a/b/../../.."])
def test_a_path_never_leads_out(folder: Folder, path: str) -> None:
    folder.make_folder("a/b")
    for work in (folder.read, folder.describe, folder.entries, folder.make_folder, folder.remove):
        assert code(work, path) == "outside_workspace"
    assert code(folder.write, path, b"") == "outside_workspace"


def test_links_inside_are_followed_and_links_to_the_outside_are_refused(folder: Folder, tmp_path: Path) -> None:
    root = Path(folder.root)
    folder.write("data/one.txt", b"1")
    (root / "inner").symlink_to("data")
    (root / "absolute").symlink_to(root / "data")
    (root / "file").symlink_to("inner/one.txt")
    assert folder.read("inner/one.txt") == folder.read("absolute/one.txt") == folder.read("file") == b"1"
    folder.write("inner/two.txt", b"2")
    assert folder.read("data/two.txt") == b"2" and folder.read("inner/../data/one.txt") == b"1"
    for name, target in (("up", ".."), ("etc", "/etc"), ("leak", "../secret.txt"), ("chain", "up/secret.txt")):
        (root / name).symlink_to(target)
    for path in ("up/secret.txt", "etc/passwd", "leak", "chain", "inner/../up/secret.txt"):
        assert code(folder.read, path) == code(folder.write, path, b"x") == "outside_workspace"
    (root / "loop").symlink_to("loop")
    assert code(folder.read, "loop/x") == "outside_workspace"
    folder.remove("leak")
    folder.remove("etc", recursive=True)
    assert (tmp_path / "secret.txt").read_text() == "secret" and not (root / "leak").is_symlink()
    assert {one["path"] for one in folder.entries(".") if one["is_symbolic_link"]} == {
        "inner", "absolute", "file", "up", "chain", "loop",
    }  # fmt: skip


def test_a_removed_folder_takes_nothing_outside_with_it(folder: Folder, tmp_path: Path) -> None:
    folder.make_folder("tree")
    (Path(folder.root) / "tree" / "out").symlink_to(tmp_path)
    folder.remove("tree", recursive=True)
    assert (tmp_path / "secret.txt").exists()


def test_special_files_do_not_block(folder: Folder) -> None:
    os.mkfifo(os.path.join(folder.root, "pipe"))
    assert code(folder.read, "pipe") == "not_a_file"
    assert code(folder.write, "pipe", b"") in ("not_a_file", "no_such_file")


def test_limits_on_size_and_number(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "files"), Bounds(bytes=100, files=4, file_bytes=60))
    assert code(folder.write, "a", b"x" * 61) == "workspace_full"
    folder.write("a", b"x" * 60)
    assert code(folder.write, "b", b"x" * 41) == "workspace_full" and folder.describe("b") is None
    folder.write("a", b"")
    for name in ("b", "c", "d"):
        folder.write(name, b"1")
    assert code(folder.write, "e", b"1") == "workspace_full"
    folder.remove("d")
    folder.write("e", b"1")
    (Path(folder.root) / "big").write_bytes(b"x" * 61)
    assert code(folder.read, "big") == "workspace_full"
    folder.forget_size()
    assert folder.is_full()


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "\ud800", 7, None])
def test_what_cannot_be_a_path_is_refused(folder: Folder, path: Any) -> None:
    assert code(folder.read, path) == code(folder.write, path, b"") == "no_such_file"


def test_contents_of_operations(folder: Folder) -> None:
    def do(op: str, **args: Any) -> Any:
        return operations.perform(folder, op, args)

    do("fs.write", path="a", content="\ud800ä")
    assert do("fs.read", path="a").endswith("ä")
    do("fs.write", path="b", content="AP8=", bytes=True)
    assert do("fs.read", path="b", bytes=True) == "AP8=" and do("fs.read", path="b") == "\0�"
    assert code(do, "fs.write", path="b", content="?", bytes=True) == "not_a_file"
    assert code(do, "fs.write", path="b", content=1) == "not_a_file"
    assert code(do, "fs.stat", path="no") == "no_such_file" and do("fs.stat", path="no", missing_ok=True) is None
    assert do("fs.list", path="new", make=True) == []


def test_each_code_is_an_exception_that_python_code_catches() -> None:
    assert all(issubclass(kind, OSError) for kind in BUILTIN.values())
    assert builtin("no_such_file", "There is no x.") is not None and builtin("over_budget", "") is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "in", "out", "workspace"]), min_size=1, max_size=6))
def test_no_path_of_parts_reaches_the_outside(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    above = tmp_path_factory.mktemp("above")
    folder = Folder(str(above / "files"))
    (above / "files" / "in").symlink_to("a")
    (above / "files" / "out").symlink_to("..")
    try:
        folder.write("/".join(parts), b"x")
    except WorkspaceFault:
        pass
    assert [one.name for one in above.iterdir()] == ["files"]


def test_halves_of_characters_are_joined_in_a_file(folder: Folder) -> None:
    operations.perform(folder, "fs.write", {"path": "a", "content": "\ud83d\ude42 and \ud83d"})
    assert folder.read("a").decode() == "🙂 and \ufffd"
