"""One job, written in three styles, sync and async, plain and streaming: the same result, the same events, the same stored rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App, open_app
from repertoire.home import database_path
from repertoire.model.session import Caller
from repertoire.settings import load

pytestmark = pytest.mark.anyio

JOB = "Count the words of a text and remember how many texts there were."

PLAIN = {
    "function": '''"""{job}"""

{d}ef run(text: str, loud: bool = False) -> str:
    progress(1, 2, "counting")
    session_state["texts"] = session_state.get("texts", 0) + 1
    log.info("counted", words=len(text.split()))
    answer = f"{{len(text.split())}} words, text {{session_state['texts']}}"
    return answer.upper() if loud else answer
''',
    "context": '''"""{job}"""

{d}ef run(ctx, text: str, loud: bool = False) -> str:
    ctx.progress(1, 2, "counting")
    ctx.session_state["texts"] = ctx.session_state.get("texts", 0) + 1
    ctx.log.info("counted", words=len(text.split()))
    answer = f"{{len(text.split())}} words, text {{ctx.session_state['texts']}}"
    return answer.upper() if loud else answer
''',
    "class": '''from repertoire import RunResponse, Workflow, log, progress


class Job(Workflow):
    """{job}"""

    {d}ef {run}(self, text: str, loud: bool = False) -> RunResponse:
        progress(1, 2, "counting")
        self.session_state["texts"] = self.session_state.get("texts", 0) + 1
        log.info("counted", words=len(text.split()))
        answer = f"{{len(text.split())}} words, text {{self.session_state['texts']}}"
        return RunResponse(content=answer.upper() if loud else answer)
''',
}

STREAMING = {
    "function": '''"""{job}"""

from repertoire import RunResponse, WorkflowCompletedEvent

{d}ef run(text: str):
    session_state["texts"] = session_state.get("texts", 0) + 1
    for word in text.split():
        yield RunResponse(content=word + " ")
    yield WorkflowCompletedEvent(content=text + " ")
''',
    "context": '''"""{job}"""

from repertoire import RunResponse, WorkflowCompletedEvent

{d}ef run(ctx, text: str):
    ctx.session_state["texts"] = ctx.session_state.get("texts", 0) + 1
    for word in ctx.payload["text"].split():
        yield RunResponse(content=word + " ")
    yield WorkflowCompletedEvent(content=text + " ")
''',
    "class": '''from repertoire import RunResponse, Workflow, WorkflowCompletedEvent


class Job(Workflow):
    """{job}"""

    {d}ef {run}(self, text: str):
        self.session_state["texts"] = self.session_state.get("texts", 0) + 1
        for word in text.split():
            yield RunResponse(content=word + " ")
        yield WorkflowCompletedEvent(content=text + " ")
''',
}


@pytest.mark.parametrize("kind", ["plain", "streaming"])
@pytest.mark.parametrize("how", ["sync", "async"])
async def test_one_job_in_three_styles_is_one_record(tmp_path: Path, kind: str, how: str) -> None:
    sources = PLAIN if kind == "plain" else STREAMING
    words = {"d": "async d" if how == "async" else "d", "run": "arun" if how == "async" else "run", "job": JOB}
    seen = {}
    for style, source in sources.items():
        home = tmp_path / style
        (home / "workflows").mkdir(parents=True)
        home.chmod(0o700)
        (home / "workflows" / "job.py").write_text(source.format(**words))
        async with open_app(load(home=str(home), environ={})) as app:
            await app.settled(Caller())
            seen[style] = await _told(app)
        seen[style]["rows"] = _rows(home)
    assert seen["function"] == seen["context"] == seen["class"]
    assert [run["status"] for run in seen["class"]["runs"]] == ["completed", "completed", "failed"]
    types = [event["type"] for event in seen["class"]["runs"][1]["events"]]
    middle = ["progress", "log"] if kind == "plain" else ["text", "text", "text"]
    assert types == ["run_start", *middle, "run_end"]
    if kind == "plain":
        assert [run["result"] for run in seen["class"]["runs"]] == ["1 words, text 1", "3 words, text 2", None]
    else:
        assert seen["class"]["runs"][1]["result"] == "a b c "


async def _told(app: App) -> dict[str, Any]:
    """What a caller sees of the workflow and of three runs, without what differs from run to run."""
    version = app.service.library.find(Caller(), "job")
    runs = []
    for arguments in ({"text": "a"}, {"text": "a b c"}, {"words": 3}):
        live = await app.service.runs.start(Caller(), "job", arguments)
        await app.service.runs.wait_for_end(live)
        answer = await app.service.runs.get(Caller(), live.run.id)
        events = [
            {"n": event["n"], "type": event["type"], "data": {k: v for k, v in event["data"].items() if k != "version"}}
            for event in answer["events"]
        ]
        error = {key: answer.get("error", {}).get(key) for key in ("code", "type", "message")}
        runs.append({"status": answer["status"], "result": answer["result"], "error": error, "events": events})
    return {"schema": version.input_schema, "description": version.description, "runs": runs}


def _rows(home: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(database_path(str(home))) as db:
        return {
            "runs": db.execute(
                "SELECT workflow, principal, status, arguments, result, last_event FROM run ORDER BY id"
            ).fetchall(),
            "state": db.execute("SELECT workflow, value FROM state").fetchall(),
            "events": db.execute("SELECT n, type FROM event JOIN run ON run.id = run_id ORDER BY run.id, n").fetchall(),
        }
