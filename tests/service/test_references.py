"""References in arguments: what they may name, where they work, and what refuses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.errors import BadArguments, RepertoireError
from repertoire.model.artifact import new_artifact
from repertoire.model.session import Caller
from support.publishing import ME, OFF
from support.services import opened, run

pytestmark = pytest.mark.anyio

MAKE = 'def run(n: int) -> dict:\n    """Make rows."""\n    return {"rows": [{"id": i} for i in range(n)], "a/b": {"~": "x"}}\n'
COUNT = 'def run(rows: list[dict]) -> int:\n    """Count rows."""\n    return len(rows)\n'
GIVE = 'def run(value: dict | list | str | int | None = None) -> object:\n    """Give it back."""\n    return value\n'


async def prepared(app: App, **arguments: Any) -> str:
    """Create the workflows, and give the id of a run of `make`."""
    for name, source in (("make", MAKE), ("count", COUNT), ("give", GIVE)):
        await app.service.publishing.create(ME, name, source)
    return str((await run(app, ME, "make", **(arguments or {"n": 3})))["run_id"])


def ref(run_id: str, pointer: str = "") -> dict[str, str]:
    return {"$ref": f"run:///{run_id}{pointer}"}


async def test_a_reference_is_the_value(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        made = await prepared(app)
        assert (await run(app, ME, "count", rows=ref(made, "#/result/rows")))["result"] == 3
        whole = {"rows": [{"id": 0}, {"id": 1}, {"id": 2}], "a/b": {"~": "x"}}
        for pointer, value in {
            "": whole, "#/result": whole, "#/result/rows/1": {"id": 1}, "#/result/a~1b/~0": "x", "#/result/a%7E1b": {"~": "x"},
            "#/arguments/n": 3, "#/workflow": "make",
        }.items():  # fmt: skip
            assert (await run(app, ME, "give", value=ref(made, pointer)))["result"] == value, pointer
        deep = {"a": [ref(made, "#/result/rows/0"), 1]}
        given = await run(app, ME, "give", value=deep)
        assert given["result"] == {"a": [{"id": 0}, 1]}
        assert (await app.service.runs.get(ME, given["run_id"]))["arguments"] == {"value": {"a": [{"id": 0}, 1]}}


@pytest.mark.parametrize(
    "value",
    [{"$ref": "#/$defs/a"}, {"$ref": "https://example.org/a.json"}, {"$ref": "run:///x", "more": 1}, {"$ref": 1}],
)
async def test_another_ref_is_a_value_of_its_own(tmp_path: Path, value: dict[str, Any]) -> None:
    async with opened(tmp_path, **OFF) as app:
        await prepared(app)
        assert (await run(app, ME, "give", value=value))["result"] == value


async def test_a_value_from_a_reference_is_not_searched(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        made = await prepared(app)
        await app.service.publishing.create(
            ME, "sly", f'def run() -> dict:\n    """Give a reference."""\n    return {ref(made)!r}\n'
        )
        sly = await run(app, ME, "sly")
        assert (await run(app, ME, "give", value=ref(sly["run_id"])))["result"] == ref(made)


async def test_what_is_unknown_foreign_unfinished_or_failed_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        made = await prepared(app)
        waits = await app.service.code_runs.start(ME, 'ask("Go on?", bool)')
        await app.service.runs.wait(waits, 20)
        failed = await app.service.runs.wait_for_end(await app.service.code_runs.start(ME, "1 / 0"))
        other = Caller(principal="another")
        for caller, target, says in (
            (ME, ref("workflow:make:01K9Z3Q0J5V7W8X9Y0Z1A2B3C4"), "no such run"),
            (ME, ref(""), "no such run"),
            (other, ref(made), "no such run"),
            (ME, ref(waits.run.id), "has not ended"),
            (ME, ref(failed.id), "it is failed"),
            (ME, ref(made, "#/result/nothing"), "no 'nothing'"),
            (ME, ref(made, "#/result/rows/3"), "no '3'"),
            (ME, ref(made, "#/result/rows/-1"), "no '-1'"),
            (ME, ref(made, "#result"), "begins with /"),
            (ME, ref(made, "#/nothing"), "no 'nothing'"),
        ):
            before = len(await app.service.runs.list_runs(caller))
            with pytest.raises(BadArguments, match=says):
                await app.service.runs.start(caller, "give", {"value": target})
            assert len(await app.service.runs.list_runs(caller)) == before
        with pytest.raises(BadArguments, match="at most 100"):
            await app.service.runs.start(ME, "give", {"value": [ref(made, f"#/result/rows/{n}") for n in range(101)]})


async def test_large_values_pass_and_too_large_ones_do_not(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF, max_arguments_bytes="3000000") as app:
        made = await prepared(app, n=150_000)
        assert (await run(app, ME, "count", rows=ref(made, "#/result/rows")))["result"] == 150_000
        with pytest.raises(BadArguments, match="at most 3000000"):
            await app.service.runs.start(ME, "give", {"value": [ref(made), ref(made)]})


async def test_code_and_bodies_refer_too(tmp_path: Path) -> None:
    """Also when the body is begun again: the run below it is not begun twice."""
    async with opened(tmp_path, **OFF) as app:
        made = await prepared(app)
        live = await app.service.code_runs.start(ME, "len(rows)", {"rows": ref(made, "#/result/rows")})
        assert (await app.service.runs.wait_for_end(live)).result == "3"
        source = 'n = workflows.count(rows={"$ref": f"run:///{made}#/result/rows"})\ngo = ask("Go on?", bool)\n[n, go]'
        live = await app.service.code_runs.start(ME, source, {"made": made})
        asks = await app.service.runs.wait(live, 20)
        wrong = await app.service.code_runs.start(ME, source.replace('rows"}', 'row"}'), {"made": made})
        ended = await app.service.runs.wait_for_end(wrong)
        assert ended.error is not None and "no 'row'" in ended.error.message
    async with opened(tmp_path, **OFF) as app:
        await app.service.runs.answer(ME, asks.id, True)
        done = await app.service.runs.get(ME, asks.id, wait_s=20)
        assert done["result"] == [3, True]
        assert len(await app.service.runs.list_runs(ME, workflow="count")) == 1
        kept = await app.service.publishing.create(ME, "kept", from_run=asks.id)
        assert kept["examples"] == {"passed": 1, "failed": 0}


async def test_an_artifact_is_an_argument(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await prepared(app)
        source = 'artifacts.save("rows.json", {"rows": [{"a": 1}]})\nartifacts.save("note.txt", "hello")\nartifacts.save("raw", b"\\xff")'
        await app.service.runs.wait_for_end(await app.service.code_runs.start(ME, source))
        assert (await run(app, ME, "count", rows={"$ref": "artifact:///rows.json#/rows"}))["result"] == 1
        assert (await run(app, ME, "give", value={"$ref": "artifact:///note.txt"}))["result"] == "hello"
        inside = 'workflows.give(value={"$ref": "artifact:///rows.json"})'
        done = await app.service.runs.wait_for_end(await app.service.code_runs.start(ME, inside))
        assert done.result == '{"rows":[{"a":1}]}'
        for name, says in (("nothing", "nothing"), ("raw", "not text"), ("../rows", "rows")):
            with pytest.raises(RepertoireError, match=says):
                await app.service.runs.start(ME, "give", {"value": {"$ref": f"artifact:///{name}"}})
        with pytest.raises(RepertoireError, match="There is no artifact"):
            await app.service.runs.start(
                Caller(principal="another"), "give", {"value": {"$ref": "artifact:///note.txt"}}
            )


async def test_a_key_is_compared_with_the_reference_and_not_with_its_value(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "give", GIVE)
        for text in ("one", "two"):
            await app.service.artifacts.save_bytes(ME.principal, new_artifact("a.txt", "text"), text.encode())
            live = await app.service.runs.start(ME, "give", {"value": {"$ref": "artifact:///a.txt"}}, None, "key")
            assert (await app.service.runs.wait_for_end(live)).result == '"one"'
        with pytest.raises(BadArguments, match="other arguments"):
            await app.service.runs.start(ME, "give", {"value": "one"}, None, "key")
