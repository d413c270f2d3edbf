"""Sources in pydantic-monty: results, errors with their lines, limits, and that nothing of the machine is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repertoire.errors import Refused
from repertoire.model.session import Caller
from repertoire.worker.source import interpreter
from repertoire.worker.source.loader import BadSyntax
from support.services import opened, run

pytest.importorskip("pydantic_monty")


def result_of(source: str, **arguments: Any) -> Any:
    return interpreter.call(source, "w.py", None, **arguments)


def test_a_function_with_helpers_gives_its_result() -> None:
    source = """
import json
N = 2
def twice(x):
    return x * N
def run(x, y="b"):
    return json.loads(json.dumps({"x": twice(x), "y": y}))
"""
    assert result_of(source, x=3) == {"x": 6, "y": "b"}


def test_an_error_has_its_type_and_its_line() -> None:
    with pytest.raises(ValueError, match="no such thing") as caught:
        result_of("def run():\n    x = 1\n    raise ValueError('no such thing')\n")
    frames = [(frame.path, frame.lineno + 1) for frame in caught.traceback]
    assert str(frames[-1][0]).endswith("w.py") and frames[-1][1] == 3


@pytest.mark.parametrize("source", ["class A(dict):\n    pass\n", "def f():\n    yield 1\n"])
def test_a_source_that_the_interpreter_cannot_read_is_told(source: str) -> None:
    with pytest.raises(BadSyntax, match="pydantic-monty cannot run it"):
        interpreter.read(source, "w.py")


def test_reading_executes_the_top_level_only() -> None:
    interpreter.read("x = 1\ndef run():\n    raise ValueError\n", "w.py")
    with pytest.raises(ZeroDivisionError):
        interpreter.read("x = 1 / 0\n", "w.py")


@pytest.mark.parametrize(
    "body",
    [
        "open('/etc/passwd').read()",
        "__import__('os').system('true')",
        "__import__('subprocess')",
        "__import__('socket').socket()",
        "__import__('os').environ['PATH']",
        "().__class__.__base__.__subclasses__()",
        "__import__('pathlib').Path('/etc/passwd').read_text()",
        "tools._path",
        "artifacts.__class__",
        "workflows.invoke.aio",
    ],
)
def test_nothing_of_the_machine_is_there(body: str) -> None:
    with pytest.raises(Exception):  # noqa: B017  # which error is the interpreter's own matter
        result_of(f"def run():\n    return {body}\n")


def test_memory_and_recursion_end_at_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_MOST_BYTES", 32 << 20)
    with pytest.raises(MemoryError):
        result_of("def run():\n    x = []\n    while True:\n        x.append('a' * 1000000)\n")
    with pytest.raises(RecursionError):
        result_of("def run():\n    return run()\n")


def test_time_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_MOST_S", 0.2)
    with pytest.raises(TimeoutError):
        result_of("def run():\n    while True:\n        pass\n")


ME = Caller(principal="me", client="a test")
DOORS = '''
"""Use the doors."""
from repertoire import log

def run(text: str, count: int = 1) -> dict:
    """Use the doors.

    Args:
        text: Any text.
    """
    log(f"got {text}")
    print("printed")
    session_state["seen"] = session_state.get("seen", 0) + count
    artifacts.save("note", {"text": text})
    called = workflows.upper(text=text)
    found = tools.list()
    return {"called": called, "saved": artifacts.load("note"), "seen": session_state["seen"], "listed": isinstance(found, list)}
'''


@pytest.mark.anyio
async def test_a_created_workflow_runs_in_it_with_its_doors(tmp_path: Path) -> None:
    async with opened(tmp_path / "home", executor="monty") as app:
        await app.service.publishing.create(ME, "upper", "def run(text: str) -> str:\n    return text.upper()\n")
        created = await app.service.publishing.create(ME, "doors", DOORS)
        assert created["input_schema"]["properties"]["text"]["description"] == "Any text."
        first = await run(app, ME, "doors", None, text="a")
        again = await run(app, ME, "doors", first["session_id"], text="b", count=2)
        wrong = await run(app, ME, "doors", None, text="b", count="many")
        shown = await app.service.runs.get(ME, again["run_id"])
    wanted = {"called": "B", "saved": {"text": "b"}, "seen": 3, "listed": True}
    assert again["status"] == "completed", again["error"]
    assert again["result"] == wanted
    assert wrong["status"] == "failed" and wrong["error"]["code"] == "invalid_arguments"
    assert {"got b", "printed"} <= {event["data"].get("message") for event in shown["events"] if event["type"] == "log"}


@pytest.mark.anyio
async def test_a_path_of_that_code_is_no_file_for_a_door(tmp_path: Path) -> None:
    source = "from pathlib import Path\ndef run():\n    return artifacts.save('stolen', Path('/etc/passwd'))\n"
    async with opened(tmp_path / "home", executor="monty") as app:
        await app.service.publishing.create(ME, "thief", source)
        ended = await run(app, ME, "thief")
    assert ended["status"] == "failed" and "plain data" in ended["error"]["message"], ended


ASKS = """
import random
import time

def run():
    drawn, began = random.random(), time.time()
    log(f"{drawn} {began}")
    return {"drawn": drawn, "began": began, "answer": ask("Go on?", {"type": "boolean"})}
"""


@pytest.mark.anyio
async def test_a_run_that_waits_for_a_person_goes_on_with_the_same_values(tmp_path: Path) -> None:
    async with opened(tmp_path / "home", executor="monty") as app:
        await app.service.publishing.create(ME, "asks", ASKS)
        live = await app.service.runs.start(ME, "asks", {}, None)
        while not (shown := await app.service.runs.get(ME, live.run.id, wait_s=5)).get("questions"):
            assert shown["status"] in ("working", "input_required"), shown
        (question,) = shown["questions"]
        await app.service.runs.answer(ME, live.run.id, True, question["id"])
        ended = await app.service.runs.get(ME, live.run.id, wait_s=20)
    logged = [event["data"]["message"] for event in ended["events"] if event["type"] == "log"]
    assert ended["result"]["answer"] is True, ended
    assert logged == [f"{ended['result']['drawn']} {ended['result']['began']}"]


@pytest.mark.anyio
async def test_without_a_sandbox_simple_code_runs_in_it_and_other_code_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPERTOIRE_SANDBOX_WITHOUT", "seccomp")
    unreadable = "import uuid\ndef run() -> str:\n    return str(uuid.uuid4())\n"
    other = "class A(dict): ...\ndef run() -> str:\n    return 'a'\n"
    async with opened(tmp_path / "home") as app:
        made = await app.service.publishing.create(ME, "simple", "def run() -> int:\n    return 7\n")
        assert made["isolation"].startswith("interpreted: ")
        assert (await run(app, ME, "simple"))["result"] == 7
        for name, source in (("unreadable", unreadable), ("other", other)):
            with pytest.raises(Refused) as refused:
                await app.service.publishing.create(ME, name, source)
            assert refused.value.reason == "approval_required", refused.value
