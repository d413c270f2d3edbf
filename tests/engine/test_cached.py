"""`cached` with its options: by what results are kept, for how long, and for whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.authoring import ambient
from repertoire.authoring.cache import cached
from repertoire.authoring.local_doors import LocalDoors
from repertoire.model.session import Caller
from support.services import opened

pytestmark = pytest.mark.anyio

ME, OTHER = Caller(), Caller(principal="another")
OFF = {"search_model": "off", "ready_workflows": "false"}


def source(options: str, define: str = "def") -> str:
    wait = "await " if define == "async def" else ""
    return f'''"""Look words up."""

@cached({options})
{define} look_up(word: str, loud: bool = False) -> dict:
    log.info("looked up " + word)
    return {{"letters": {{*word}}}}

{define} run(words: list[str]) -> list:
    found = []
    for n, word in enumerate(words):
        found.append(sorted(({wait}look_up(word, loud=n % 2 == 1))["letters"]))
    return found
'''


async def looked_up(
    app: App, *words: str, caller: Caller = ME, name: str = "looks", session: str | None = "new"
) -> int:
    """How many of the words were not known."""
    live = await app.service.runs.start(caller, name, {"words": list(words)}, session)
    ended = await app.service.runs.wait_for_end(live)
    assert json.loads(ended.result or "null") == [sorted({*word}) for word in words], ended.error
    return len([event async for event in app.service.runs.follow(live.run.id) if event.type == "log"])


@pytest.mark.parametrize("define", ["def", "async def"])
async def test_shared_results_are_those_of_all_sessions_of_one_user_and_workflow(tmp_path: Path, define: str) -> None:
    async with opened(tmp_path, **OFF) as app:
        create = app.service.publishing.create
        example = {"arguments": {"words": ["ab"]}, "expect": [["a", "b"]]}
        made = await create(ME, "looks", source("shared=True", define), examples=[example])
        assert made["examples"] == {"passed": 1, "failed": 0}
        assert await looked_up(app, "ab", "c") == 2, "an example leaves nothing"
        assert await looked_up(app, "ab", "c") == 0 == await looked_up(app, "ab", session=None)
        assert await looked_up(app, "ab", caller=OTHER) == 1
        await create(ME, "other", source("shared=True", define))
        assert await looked_up(app, "ab", name="other") == 1
    async with opened(tmp_path, **OFF) as app:
        assert await looked_up(app, "ab") == 0, "they outlive the server"
        await app.store.drop_cached(9e12)
        assert await looked_up(app, "ab") == 1


async def test_a_key_stands_for_the_arguments_and_a_ttl_ends_results(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        create = app.service.publishing.create
        await create(ME, "looks", source("key=lambda word, **others: word, shared=True"))
        assert await looked_up(app, "ab", "ab", "ab") == 1
        await create(ME, "looks", source(""), replace=True)
        assert await looked_up(app, "ab", "ab", "ab") == 2, "`loud` is another argument"
        await create(ME, "looks", source("ttl=-1, shared=True"), replace=True)
        assert await looked_up(app, "ab", "ab") == 2
        await create(ME, "looks", source("ttl=-1"), replace=True)
        assert await looked_up(app, "ab", "ab") == 2


async def test_a_replay_gets_the_same_and_code_that_is_run_once_shares_with_its_own_text_only(tmp_path: Path) -> None:
    text = source("shared=True") + "\n# {}\n"
    async with opened(tmp_path, **OFF) as app:

        async def code(text: str) -> Any:
            live = await app.service.code_runs.start(ME, text, {"words": ["ab"]}, "new")
            run = await app.service.runs.wait_for_end(live)
            logs = [event async for event in app.service.runs.follow(run.id) if event.type == "log"]
            return run, len(logs)

        first, count = await code(text)
        assert count == 1 and (await code(text))[1] == 0 and (await code(text + "# more"))[1] == 1
        await app.store.drop_cached(9e12)
        again = await app.service.runs.wait_for_end(await app.service.history.rerun(ME, first.id))
        assert again.status == "completed" and (await code(text))[1] == 1, "a rerun is answered from its records"


async def test_a_result_that_is_too_large_is_refused_with_a_sentence(tmp_path: Path) -> None:
    text = "@cached(shared=True)\ndef long(n):\n    return 'x' * n\n\nlong(300_000)"
    async with opened(tmp_path, **OFF) as app:
        live = await app.service.code_runs.start(ME, text, {})
        ended = await app.service.runs.wait_for_end(live)
        assert ended.error is not None and "262,144 characters" in ended.error.message


def test_without_a_server_shared_results_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    @cached(ttl=60, shared=True)
    def double(n: int) -> int:
        called.append(n)
        return 2 * n

    doors = LocalDoors(lambda op, args: None, lambda kind, data: None)
    ambient.begin(doors)
    try:
        assert [double(1), double(1), double(2)] == [2, 2, 4] and called == [1, 2]
        assert [call.op for call in doors.calls].count("cache.keep") == 2 and "cached" not in ambient.session_state
        monkeypatch.setattr("repertoire.authoring.local_cache.time.time", lambda: 9e12)
        assert double(1) == 2 and called == [1, 2, 1]
    finally:
        ambient.end()


def test_wrong_options_are_told() -> None:
    with pytest.raises(TypeError, match="give one of them"):
        cached(ttl=1, expires_s=1)
    with pytest.raises(TypeError, match="takes a function of the arguments"):
        cached(key="word")  # type: ignore[call-overload]
