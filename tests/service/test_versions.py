"""Versions: going back, drafts, history, what belongs to which text.

In a real home with real workers.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from repertoire.errors import UnknownWorkflow
from support.publishing import DOUBLE, ME, OFF, TRIPLE, refused
from support.services import opened, run

pytestmark = pytest.mark.anyio


async def test_the_examples_of_the_version_before_hold_the_next_one_too(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.publishing.create(
            ME, "double", DOUBLE, examples=[{"arguments": {"n": 2}, "expect": 4}]
        )
        error = await refused(app, "double", TRIPLE, replace=True)
        assert error.reason == "examples_failed"
        assert (await run(app, ME, "double", n=2))["result"] == 4
        second = await app.service.publishing.create(ME, "double", TRIPLE, replace=True, examples=[])
        assert (await run(app, ME, "double", n=2))["result"] == 6
        await app.service.publishing.publish(ME, "double", first["version"])
        shown = await app.service.versions.get(ME, "double", diff=second["version"])
        assert (shown["version"], shown["status"]) == (first["version"], "published")
        assert "-    return n * 3" in shown["diff"] and "+    return n * 2" in shown["diff"]
        assert [row["status"] for row in shown["versions"]] == ["former", "published"]
        lines = [(line["action"], line["version"], line["from_version"]) for line in shown["history"]]
        one, two = first["version"], second["version"]
        assert lines == [
            ("published", one, two),
            ("published", two, one),
            ("draft", two, None),
            ("published", one, None),
        ]
        assert shown["history"][0]["client"] == "a test 1.0"
        await app.service.publishing.delete(ME, "double")
        await app.service.publishing.publish(ME, "double", one)
        assert (await run(app, ME, "double", n=2))["result"] == 4


async def test_old_versions_stay_for_going_back_and_drafts_for_a_month(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "double", TRIPLE, replace=True)
        draft = await app.service.publishing.create(ME, "other", TRIPLE, publish=False)
        store = app._store
        await store.write(lambda db: db.execute("UPDATE version SET created_at = created_at - 100").rowcount)
        assert (await app.service.history.collect_garbage(keep_s=1.0))["versions"] == 0
        month = 31 * 24 * 3600
        await store.write(lambda db: db.execute("DROP TRIGGER audit_is_not_changed").rowcount)
        await store.write(lambda db: db.execute(f"UPDATE audit SET at = at - {month}").rowcount)
        assert (await app.service.history.collect_garbage(keep_s=1.0))["versions"] == 1
        with pytest.raises(UnknownWorkflow):
            await app.service.versions.get(ME, "other", version=draft["version"])
        assert (await app.service.publishing.publish(ME, "double", first["version"]))["status"] == "published"


async def test_the_examples_of_a_version_are_those_it_was_published_with(tmp_path: Path) -> None:
    wrong, right = {"arguments": {"n": 1}, "expect": 99}, {"arguments": {"n": 1}, "expect": 2}
    async with opened(tmp_path, **OFF) as app:
        await refused(app, "double", DOUBLE, examples=[wrong])
        await app.service.publishing.create(ME, "double", DOUBLE)
        assert (await app.service.versions.get(ME, "double"))["examples"] == []
        await app.service.publishing.create(ME, "double", DOUBLE, replace=True, examples=[right])
        await refused(app, "double", DOUBLE, replace=True, examples=[wrong])
        shown = await app.service.versions.get(ME, "double")
        assert shown["examples"] == [right] and shown["checked"]["failed"] == 0
        await app.service.publishing.create(ME, "double", DOUBLE, replace=True, examples=[])
        assert (await app.service.versions.get(ME, "double"))["examples"] == []
    async with opened(tmp_path / "b", publish_requires="approval", **OFF) as app:
        error = await refused(app, "double", DOUBLE, examples=[right])
        assert error.details["examples"] == {"not_run": 1}
        for examples in ([], [wrong]):
            await refused(app, "double", DOUBLE, examples=examples)
        answer = await app.service.approvals.approve(ME, "double", error.details["version"])
        assert answer["examples"] == {"passed": 1, "failed": 0}, "what a person has looked at is what is run"
        await app.service.publishing.delete(ME, "double")
        assert (await app.service.publishing.create(ME, "double", DOUBLE, examples=[right]))["status"] == "published", (
            "it was approved once"
        )


async def test_old_and_unpublished_versions_are_found_however_many_there_are(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        first = await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "double", TRIPLE, replace=True)
        for n in range(120):
            await app.service.publishing.create(ME, "double", f"{DOUBLE}# {n}\n", publish=False)
        assert (await app.service.versions.get(ME, "double", version=first["version"]))["status"] == "former"
        assert (await app.service.publishing.publish(ME, "double", first["version"]))["status"] == "published"
        await app.service.publishing.create(ME, "only_a_draft", DOUBLE, publish=False)
        shown = await app.service.versions.get(ME, "only_a_draft")
        assert shown["status"] == "draft" and shown["source"] == DOUBLE
        assert (await app.service.library.list_workflows(ME, status="draft"))["workflows"][0]["name"] == "only_a_draft"
        await app.service.publishing.delete(ME, "double")
        assert (await app.service.versions.get(ME, "double"))["status"] in ("former", "draft")


async def test_two_texts_that_have_nothing_in_common_hold_up_nobody(tmp_path: Path) -> None:
    def text(sign: str) -> str:
        return DOUBLE + "".join(
            f"#{(sign + str(n))} {n * n % 101}\n" if n % 7 else f"#{n % 101}{sign}\n" for n in range(14_000)
        )

    def chosen(sign: int) -> str:
        return DOUBLE + "".join(f"#{sign * n % 101}\n" for n in range(40_000))

    async with opened(tmp_path, **OFF) as app:
        for one, other in ((chosen(1), chosen(-1)), (text("a"), text("b"))):
            first = await app.service.publishing.create(ME, "double", one, publish=False)
            second = await app.service.publishing.create(ME, "double", other, publish=False)
            with anyio.fail_after(60):
                shown = await app.service.versions.get(ME, "double", version=second["version"], diff=first["version"])
            assert shown["diff"]
        assert "too different" in (
            await app.service.versions.get(
                ME, "double",
                version=(await app.service.publishing.create(ME, "double", chosen(1), publish=False))["version"],
                diff=(await app.service.publishing.create(ME, "double", chosen(-1), publish=False))["version"],
            )
        )["diff"]  # fmt: skip


async def test_a_published_text_that_is_created_again_is_told_as_what_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        assert (await app.service.publishing.create(ME, "double", DOUBLE, publish=False))["status"] == "published"
        error = await refused(app, "double", DOUBLE, replace=True, examples=[{"arguments": {"n": 1}, "expect": 5}])
        assert error.details["status"] == "published" and "keeps the examples" in error.message


@pytest.mark.parametrize("text", ["\ud800", "", "..", "a" * 5000, "%", "*"])
async def test_names_versions_and_tags_that_are_none(tmp_path: Path, text: str) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        with pytest.raises(UnknownWorkflow):
            await app.service.versions.get(ME, text)
        with pytest.raises(UnknownWorkflow):
            await app.service.versions.get(ME, "double", version=text)
        with pytest.raises(UnknownWorkflow):
            await app.service.publishing.publish(ME, "double", text)
        if text not in ("..", "%", "*"):
            assert (await refused(app, "other", DOUBLE, tags=[text])).reason == "bad_tags"


async def test_a_file_with_the_text_of_a_draft_that_waits_is_loaded(tmp_path: Path) -> None:
    async with opened(tmp_path, publish_requires="approval", **OFF) as app:
        await refused(app, "double", DOUBLE, examples=[{"arguments": {"n": 1}, "expect": 2}])
        (tmp_path / "workflows" / "double.py").write_text(DOUBLE)
        await app.service.library.refresh(ME)
        assert app.service.library.find(ME, "double").input_schema["properties"]["n"]
