"""The workflows that ship, each called as plain Python on real files. That a server runs them is test_start's matter."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire import Context, SqliteStorage, Workflow, session_state
from support.ready import FOLDER, load


@pytest.fixture(autouse=True)
def _no_state_is_left() -> Iterator[None]:
    session_state.clear()
    yield
    session_state.clear()


@pytest.mark.parametrize("file", sorted(FOLDER.glob("[!_]*.py")), ids=lambda file: file.stem)
def test_every_ready_workflow_says_what_it_does_and_knows_only_the_products_options(file: Path) -> None:
    module = load(file.stem)
    assert (module.__doc__ or "").strip().splitlines()[0].endswith(".")
    classes = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Workflow) and one is not Workflow
    ]
    for run in [one.run for one in classes] or [module.run]:
        assert (run.__doc__ or "").strip()
        assert set(run.__annotations__) >= {"return"}
    known = {"title", "tags", "timeout_s", "read_only", "idempotent", "disconnect", "callable_by_untrusted"}
    assert set(module.__workflow__) <= known


# counter


def test_counter_keeps_its_value_and_its_last_ten_changes() -> None:
    counter = load("counter")
    results = [counter.run(by=2) for _ in range(12)]
    assert [(result.previous, result.count) for result in results[-2:]] == [(20, 22), (22, 24)]
    assert [change.count for change in results[-1].history] == list(range(6, 25, 2))
    assert session_state["count"] == 24
    assert all(change.at.endswith("+00:00") for change in results[-1].history)


def test_counter_reads_without_changing_and_starts_again() -> None:
    counter = load("counter")
    counter.run(by=5)
    read = counter.run(by=0)
    assert (read.count, len(read.history)) == (5, 1)
    again = counter.run(reset=True)
    assert (again.previous, again.count, len(again.history)) == (5, 0, 1)


def test_counter_refuses_to_leave_what_json_can_carry_and_keeps_its_value() -> None:
    counter = load("counter")
    counter.run(by=3)
    with pytest.raises(ValueError, match="reset=true"):
        counter.run(by=2**53)
    assert session_state["count"] == 3


# find_duplicates


def test_find_duplicates_yields_groups_of_equal_files_largest_first(tmp_path: Path) -> None:
    large = os.urandom(100_000)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.bin").write_bytes(large)
    (tmp_path / "sub" / "b.bin").write_bytes(large)
    (tmp_path / "same_start.bin").write_bytes(large[:-1] + bytes([large[-1] ^ 1]))
    for name in ("x", "y", "z"):
        (tmp_path / name).write_text("small")
    (tmp_path / "other").write_text("diffs")
    (tmp_path / "empty1").touch()
    (tmp_path / "empty2").touch()

    groups = list(load("find_duplicates").run(str(tmp_path)))

    assert [(g.size_bytes, g.wasted_bytes, [Path(p).name for p in g.paths]) for g in groups] == [
        (100_000, 100_000, ["a.bin", "b.bin"]),
        (5, 10, ["x", "y", "z"]),
    ]
    assert groups[0].sha256 == hashlib.sha256(large).hexdigest()


def test_find_duplicates_counts_no_links_and_nothing_hidden_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    os.link(tmp_path / "a", tmp_path / "hard")
    (tmp_path / "soft").symlink_to(tmp_path / "a")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b").write_text("text")
    find = load("find_duplicates").run
    assert list(find(str(tmp_path))) == []
    (group,) = find(str(tmp_path), include_hidden=True)
    assert len(group.paths) == 2


def test_find_duplicates_respects_the_least_size_and_the_most_groups(tmp_path: Path) -> None:
    for size in (1, 2, 3):
        for copy in "ab":
            (tmp_path / f"{size}{copy}").write_bytes(b"x" * size)
    find = load("find_duplicates").run
    assert [group.size_bytes for group in find(str(tmp_path), min_bytes=2)] == [3, 2]
    assert [group.size_bytes for group in find(str(tmp_path), max_groups=1)] == [3]


def test_find_duplicates_reports_what_it_has_before_it_has_read_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (10, 20):
        for copy in "ab":
            (tmp_path / f"{size}{copy}").write_bytes(b"x" * size)
    module = load("find_duplicates")
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "progress", lambda done, total, message: seen.append((done, total)))
    groups = module.run(str(tmp_path))
    assert next(groups).size_bytes == 20
    assert seen == [(0, 4)]
    assert [group.size_bytes for group in groups] == [10]
    assert seen == [(0, 4), (2, 4), (4, 4)]


def test_find_duplicates_logs_a_file_that_vanished_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_text("same")
    module = load("find_duplicates")
    said: list[str] = []
    monkeypatch.setattr(module, "log", said.append)
    monkeypatch.setattr(module, "progress", lambda *_: (tmp_path / "b").unlink(missing_ok=True))
    (group,) = module.run(str(tmp_path))
    assert [Path(path).name for path in group.paths] == ["a", "c"]
    assert len(said) == 1 and "No such file" in said[0]


def test_find_duplicates_refuses_with_a_sentence(tmp_path: Path) -> None:
    find = load("find_duplicates").run
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        next(find(str(tmp_path / "missing")))
    with pytest.raises(ValueError, match="at least 1"):
        next(find(str(tmp_path), min_bytes=0))


# topic_digest


def test_topic_digest_quotes_what_speaks_of_the_topic_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "rivers.md").write_text(
        "# Rivers\n\nA river flows.\n\nNothing here.\n\nThe river delta is wide.\n"
    )
    (tmp_path / "docs" / "deltas.txt").write_text("A delta has arms.\n")
    (tmp_path / "docs" / "cakes.md").write_text("A cake is sweet.\n")
    (tmp_path / "docs" / ".hidden.md").write_text("river delta\n")
    kind = load("topic_digest").TopicDigest

    def digest(**options: Any) -> str:
        storage = SqliteStorage("digests", db_file=str(tmp_path / "digests.db"))
        workflow = kind(session_id="one", storage=storage)
        return "".join(
            item.content for item in workflow.run(topic="River delta", folder=str(tmp_path / "docs"), **options)
        )

    first = digest()
    assert first.startswith(
        "# River delta\n\nFrom 2 documents.\n\n## rivers.md\n\n> A river flows.\n>\n> The river delta is wide.\n"
    )
    assert first.endswith("## deltas.txt\n\n> A delta has arms.\n")
    (tmp_path / "docs" / "deltas.txt").write_text("A delta has many arms.\n")
    assert digest() == first, "the digest of before"
    assert digest(use_digest=False) == first, "the passages of before"
    assert "many arms" in digest(use_digest=False, use_passages=False)
    assert "many arms" in digest()


def test_topic_digest_says_when_nothing_fits(tmp_path: Path) -> None:
    kind = load("topic_digest").TopicDigest
    assert [item.content for item in kind().run(topic="tides", folder=str(tmp_path))] == [
        f"No document below {tmp_path} speaks of tides.\n"
    ]
    with pytest.raises(ValueError, match="no folder"):
        list(kind().run(topic="tides", folder=str(tmp_path / "none")))
    with pytest.raises(ValueError, match="three letters"):
        list(kind().run(topic="a b", folder=str(tmp_path)))


# outline


def test_outline_knows_headings_from_code_and_makes_anchors_as_github_does() -> None:
    module = load("outline")
    text = "# One\ntwo words\n```py\n# no heading\n```\n## A b, c! ##\n## A b c\n#### Deep\nx\n#no\n"
    found = module.run(Context(module.Payload(text=text)))
    assert [(h.level, h.title, h.anchor, h.line, h.words) for h in found.headings] == [
        (1, "One", "one", 1, 7),
        (2, "A b, c!", "a-b-c", 6, 0),
        (2, "A b c", "a-b-c-1", 7, 0),
    ]
    assert found.words == len(text.split())
    assert module.run(Context(module.Payload(text=""))).headings == []
