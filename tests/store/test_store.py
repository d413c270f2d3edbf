"""The Store: whole facts, one writer, group commit, migrations, and what it refuses."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import anyio
import msgspec
import pytest

import repertoire.store
from repertoire.errors import DamagedStore, LostClaim, NewerSchema
from repertoire.model.lifecycle import FINAL, NEXT, STATUSES, before
from repertoire.model.run import Run, envelope, iso, result_part
from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import name_of_file, name_problem, version_hash
from repertoire.names import new_run_id
from repertoire.store import open_store
from repertoire.store.journal import NewRecord
from repertoire.store.migrate import migrations
from repertoire.store.runs import NewEvent
from repertoire.wire import Fault, Recorded
from support.versions import a_version

pytestmark = pytest.mark.anyio


def a_run(session: str = "s_1", workflow: str = "w") -> Run:
    return Run(
        id=new_run_id(workflow), workflow=workflow, version="0" * 64, session_id=session, principal="local", created_at=time.time(),
        started_at=time.time(), last_event=1,
    )  # fmt: skip


async def test_a_finished_run_has_its_result_its_state_and_its_last_event_together(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        run = a_run()
        place = await store.start_run(run, with_state=True, fingerprint="f")
        assert place is not None and place.held_by is None and place.state is None
        said: list[NewEvent] = [
            ("log", time.time(), {"message": "a"}),
            ("log", time.time(), '{"message":"b"}', "0/", 1),
        ]
        await store.add_events(run, 2, said)
        run = msgspec.structs.replace(run, last_event=3)
        done = await store.finish_run(run, "completed", result="7", state='{"n": 1}')
        assert (done.status, done.last_event) == ("completed", 4)
        assert [event.n for event in await store.events(run.id)] == [1, 2, 3, 4]
        assert [event.type for event in await store.events(run.id, after=2)] == ["log", "run_end"]
        assert await store.state("s_1", "w") == '{"n": 1}'
        stored = await store.run(run.id)
        assert stored is not None and stored.result == "7" and stored.ended_at is not None


async def test_a_run_ends_once(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        run = a_run()
        await store.start_run(run, with_state=False, fingerprint="f")
        await store.finish_run(run, "cancelled", error=Fault("cancelled", "Cancelled", "x"))
        with pytest.raises(LostClaim):
            await store.finish_run(run, "completed", result="1", state='{"n": 9}')
        stored = await store.run(run.id)
        assert stored is not None and stored.status == "cancelled" and stored.result is None
        assert await store.state("s_1", "w") is None
        assert [event.type for event in await store.events(run.id)] == ["run_start", "run_end"]


async def test_one_run_at_a_time_holds_the_place_of_a_state(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        first, second, elsewhere = a_run(), a_run(), a_run(session="s_2")
        for run in (first, second, elsewhere):
            await store.start_run(run, with_state=run is first, fingerprint="f")
        assert (await store.claim_turn(second)).held_by == first.id
        assert (await store.claim_turn(elsewhere)).held_by is None
        await store.finish_run(first, "completed", result="1", state="{}")
        assert (await store.claim_turn(second)).state == "{}"


async def test_what_an_earlier_owner_left_is_claimed_as_it_is_with_its_place(tmp_path: Path) -> None:
    path = str(tmp_path / "r.db")
    run, ended = a_run(), a_run(session="s_2")
    async with open_store(path) as store:
        for one in (run, ended):
            await store.start_run(one, with_state=True, fingerprint="f")
        await store.add_events(run, 2, [("log", time.time(), '{"message":"a"}', "0/", 1)])
        await store.finish_run(ended, "completed", result="1")
        async with open_store(path) as later:
            assert [left.id for left in await later.claim_unfinished()] == [run.id]
            left = await later.run(run.id)
            assert left is not None and left.status == "working" and left.error is None
            point = await later.resume_point(left)
            assert (point.records, point.told, point.last_event, point.fingerprint) == (0, {"0/": 1}, 2, "f")
            assert (await later.claim_turn(a_run())).held_by == run.id, "it is going on, so the state is still its"
            assert (await later.claim_turn(a_run(session="s_2"))).held_by is None
            with pytest.raises(LostClaim):
                await store.add_events(run, 3, [("log", time.time(), {"message": "too late"})])
            with pytest.raises(LostClaim):
                await store.finish_run(run, "completed", result="7")
            refused: list[BaseException | None] = []
            call = Recorded(1, "0/0", "step", "h", 0.1, result="1")
            store.record_call(run, NewRecord(call=call, began_at=0, ended_at=0), 3, [], refused.append)
            await store.write(lambda db: None)
            assert isinstance(refused[0], LostClaim)
            assert [event.n for event in await later.events(run.id)] == [1, 2]


async def test_a_fact_that_fails_takes_nothing_else_of_its_group_with_it(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        lost = a_run()
        outcomes: list[object] = []

        async def write(run: Run, known: bool) -> None:
            try:
                outcomes.append(
                    await (
                        store.start_run(run, with_state=False, fingerprint="f")
                        if known
                        else store.add_events(run, 1, [])
                    )
                )
            except LostClaim as error:
                outcomes.append(error)

        runs = [a_run() for _ in range(20)]
        async with anyio.create_task_group() as tasks:
            for i, run in enumerate(runs):
                tasks.start_soon(write, run, True)
                if i == 10:
                    tasks.start_soon(write, lost, False)
        assert sum(isinstance(outcome, LostClaim) for outcome in outcomes) == 1
        assert len(await store.runs("local")) == 20


async def test_a_version_is_found_by_a_unique_prefix_and_by_its_words(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        version = a_version(description="Profile the columns of a table.")
        await store.publish(version)
        await store.publish(version)
        assert await store.version(version.hash[:8]) == version
        assert await store.version("zz") is None
        assert [hash for hash, _ in await store.match('"column"', 5)] == [version.hash]
        assert [hash for hash, _ in await store.match('"file"', 5)] == [version.hash]
        assert await store.unpublish("w") and not await store.unpublish("w")
        assert await store.version(version.hash) == version


async def test_a_newer_database_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    before_bytes = path.read_bytes()
    with pytest.raises(NewerSchema):
        async with open_store(str(path)):
            pass
    assert path.read_bytes() == before_bytes


async def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    path.write_bytes(b"this is no database, but somebody's file" * 200)
    with pytest.raises(DamagedStore):
        async with open_store(str(path)):
            pass
    assert path.read_bytes() == b"this is no database, but somebody's file" * 200


async def test_named_sessions_are_the_principals_own(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        mine = await store.named_session("local", "default")
        assert await store.named_session("local", "default") == mine
        assert (await store.named_session("other", "default")).id != mine.id
        assert await store.session("s_nobody") is None


def test_every_status_has_a_row_and_final_ones_lead_nowhere() -> None:
    assert set(NEXT) == set(STATUSES)
    assert {"completed", "failed", "cancelled"} == FINAL
    assert before("completed") == ("working", "input_required"), "a body may end while it asks: a thread of its own may"
    assert set(before("cancelled")) == {"working", "input_required"}


def test_the_envelope_has_always_four_keys_and_pages_a_long_result() -> None:
    run = a_run()
    assert envelope(run, 100) == {"run_id": run.id, "session_id": "s_1", "status": "working", "result": None}
    text = '"' + "x" * 250 + '"'
    long = Run(
        **{**{field: getattr(run, field) for field in run.__struct_fields__}, "status": "completed", "result": text}
    )
    answer = envelope(long, 100)
    assert answer["result"] is None and answer["parts"] == 3 and answer["result_preview"] == text[:2000]
    assert "".join(result_part(long, part, 100) or "" for part in (1, 2, 3)) == text
    assert result_part(long, 4, 100) is None and result_part(long, 0, 100) is None
    assert iso(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("file", "name"),
    [("a/b.py", "a_b"), ("draft-email.py", "draft_email"), ("FetchJson.py", "fetch_json"), ("HTTPGet.py", "http_get")],
)
def test_file_names_become_workflow_names(file: str, name: str) -> None:
    assert name_of_file(file) == name
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["a-b", "1x", "", "../../x", "class", "list", "invoke", "run_workflow", "X", "a" * 41, "ä", "a\n"]
)
def test_bad_names_are_refused_with_a_reason(name: str) -> None:
    assert name_problem(name)


def test_a_version_hash_depends_on_the_text_only() -> None:
    one = version_hash("a", "x", "d", Options(), ())
    assert one == version_hash("a", "x", "d", Options(), ())
    assert one != version_hash("b", "x", "d", Options(), ())
    assert one != version_hash("a", "x", "d", Options(timeout_s=1), ())


def test_migrations_are_numbered_one_after_the_other() -> None:
    """Their order is that of their names: two with one number would be run in either order."""
    folder = Path(repertoire.store.__file__).parent / "migrations"
    numbers = sorted(int(file.name[:4]) for file in folder.glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1)) == list(range(1, len(migrations()) + 1))
