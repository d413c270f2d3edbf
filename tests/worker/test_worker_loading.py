"""What a worker loads, what it is given and gives back: modules, arguments, results, the session's state."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from repertoire import wire
from support import workers
from support.workers import Worker

shared, worker = workers.shared, workers.worker


@pytest.mark.parametrize(
    ("source", "code", "line", "words"),
    [
        ("def run(:\n  pass", "syntax_error", 1, "invalid syntax"),
        ("x = '\0'", "syntax_error", None, "null"),
        ("x = 1", "no_run", None, "no run"),
        ("run = 5", "no_run", None, "int"),
        ("from . import other\ndef run(): ...", "import_failed", 1, "relatively"),
        ("from .other import x\ndef run(): ...", "import_failed", 1, "relatively"),
        ("\nimport nowhere_at_all.sub\ndef run(): ...", "import_failed", 2, "nowhere_at_all"),
        ("\n\n1 / 0\ndef run(): ...", "import_failed", 3, "ZeroDivisionError"),
        ("import sys\nsys.exit(2)", "exit", 2, "sys.exit(2)"),
        ("def run(session_id: str): ...", "bad_signature", 1, "session_id"),
    ],
)
def test_a_module_that_cannot_be_loaded_says_why(
    worker: Worker, source: str, code: str, line: int | None, words: str
) -> None:
    for fault in (worker.fault(source), worker.inspect(source).fault):
        assert (fault.code, fault.line) == (code, line)
        assert words in fault.message


def test_a_missing_module_says_how_to_add_it(worker: Worker) -> None:
    for source in ("import nowhere_at_all.sub\ndef run(): ...", "def run():\n    import nowhere_at_all.sub"):
        fault = worker.fault(source)
        assert fault.hint is not None and f"{sys.executable} -m pip install PACKAGE" in fault.hint


def test_inspect_gives_schemas_and_notes_and_runs_only_the_top_level(worker: Worker) -> None:
    source = """
    from typing import TypedDict
    class Movie(TypedDict):
        title: str
    print("dropped")
    session_state["x"] = 1
    def run(a, m: Movie, n: int = 2) -> Movie:
        raise RuntimeError("not called")
    """
    inspected = worker.inspect(source)
    assert isinstance(inspected, wire.Inspected)
    schema = json.loads(inspected.input_schema)
    assert schema["required"] == ["a", "m"] and schema["$defs"]["Movie"]["type"] == "object"
    assert json.loads(inspected.output_schema)["title"] == "Movie"
    assert [note.rule for note in inspected.notes] == ["untyped_parameter"]


def test_module_globals_environment_path_and_folder_do_not_reach_the_next_run(worker: Worker, tmp_path: Path) -> None:
    source = """
    import os, sys
    count = 0
    def run(folder: str, items: list = []):
        global count
        count += 1
        items.append(count)
        found = [items, os.environ.get("LEAK"), "leak" in sys.path, os.getcwd() == folder]
        os.environ["LEAK"] = "1"; sys.path.insert(0, "leak"); os.chdir("/")
        return found
    """
    for _ in range(3):
        assert worker.result(source, {"folder": str(tmp_path)}, cwd=str(tmp_path)) == [[1], None, False, True]


def test_the_modules_own_types_are_fresh_in_each_run(worker: Worker) -> None:
    source = """
    import dataclasses, enum
    from pydantic import BaseModel, field_validator
    seen = []
    class Color(enum.Enum):
        RED = "red"
    class Item(BaseModel):
        n: int
        @field_validator("n")
        @classmethod
        def note(cls, value):
            seen.append(value)
            return value
    def run(item: Item, color: Color = Color.RED) -> list[int]:
        assert type(item) is Item and color is Color.RED
        return seen
    """
    for n in (1, 2, 3):
        assert worker.result(source, {"item": {"n": n}, "color": "red"}) == [n]


def test_bundled_modules_are_imported_and_belong_to_their_version(worker: Worker) -> None:
    source = "import helper\nfrom pack.deep import two\nimport sys\ndef run(): return [helper.one(), two, 'json' in sys.modules]"
    first = {"helper": "def one(): return 1", "pack/": "", "pack.deep": "two = 2"}
    second = {"helper": "def one(): return 10", "pack.deep": "two = 20"}
    assert worker.result(source, modules=first) == [1, 2, True]
    assert worker.result(source, modules=second) == [10, 20, True]
    assert worker.result(source, modules=first) == [1, 2, True]
    assert worker.fault("import helper\ndef run(): ...").code == "import_failed"


def test_an_exception_in_a_bundled_module_names_the_workflows_line(worker: Worker) -> None:
    fault = worker.fault(
        "import helper\ndef run():\n    return helper.bad()", modules={"helper": "\n\n\ndef bad():\n    return 1 / 0"}
    )
    assert fault.line == 3
    assert fault.traceback is not None and "/nowhere/helper.py" in fault.traceback and "return 1 / 0" in fault.traceback


def test_an_installed_module_wins_over_a_file_beside_the_workflow(worker: Worker) -> None:
    assert worker.result("import json\ndef run(): return json.dumps(1)", modules={"json": "dumps = None"}) == "1"


def test_a_key_that_the_worker_does_not_have_is_an_answer(worker: Worker) -> None:
    worker.line.send(wire.Task("run", "never sent", "{}"))
    assert worker.end().fault.code == "unknown_key"


# Arguments and results.


def test_wrong_arguments_are_a_fault_with_every_problem(worker: Worker) -> None:
    fault = worker.fault("def run(a: int, b: str): ...", {"a": "x", "z": 1})
    assert (fault.code, fault.type) == ("invalid_arguments", "ValidationError")
    assert all(f"`{name}`" in fault.message for name in "abz")


def test_long_strings_and_large_results_pass(worker: Worker) -> None:
    text = "é" * (1 << 20)
    assert worker.result("def run(text: str) -> str: return text", {"text": text}) == text
    assert len(worker.result("def run(): return 'x' * 5_000_000")) == 5_000_000


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def run(): return object()", "result_not_json"),
        ("def run() -> int: return 'x'", "result_mismatch"),
        ("def run(): return 'x' * 2000", "result_too_large"),
    ],
)
def test_a_result_that_is_none_fails_the_run(worker: Worker, source: str, code: str) -> None:
    assert worker.fault(source, max_result_bytes=1000).code == code


# Session state.

COUNTER = "def run():\n    session_state['n'] = session_state.get('n', 0) + 1\n    return session_state['n']"


def test_state_goes_round_and_is_silent_when_unchanged(worker: Worker) -> None:
    state = "{}"
    for n in (1, 2, 3):
        done = worker.run(COUNTER, state=state)
        assert json.loads(done.result) == n
        state = done.state
    assert worker.run("def run(): return session_state['n']", state=state) == wire.Done("3", None)
    assert worker.run("def run(): return len(session_state)", state="{}") == wire.Done("0", None)


def test_a_run_without_state_keeps_nothing_and_says_so(worker: Worker) -> None:
    assert worker.run(COUNTER) == wire.Done("1", None)
    assert "nothing of it is kept" in worker.messages[0]
    assert worker.run(COUNTER) == wire.Done("1", None)


def test_state_is_a_dict_with_nested_values_and_models_of_the_workflow(worker: Worker) -> None:
    source = """
    import json
    from pydantic import BaseModel
    class Note(BaseModel):
        text: str
    session_state.setdefault("notes", [])
    def run(text: str):
        assert isinstance(session_state, dict) and all(type(n) is Note for n in session_state["notes"])
        session_state["notes"].append(Note(text=text))
        session_state.setdefault("seen", set()).add((text, 1))
        return [n.text for n in session_state["notes"]]
    """
    first = worker.run(source, {"text": "a"}, state="{}")
    second = worker.run(source, {"text": "b"}, state=first.state)
    assert json.loads(second.result) == ["a", "b"]


def test_a_state_that_cannot_be_stored_fails_the_run_and_names_the_key(worker: Worker) -> None:
    fault = worker.fault("def run():\n    session_state['a'] = {'b': [open('/dev/null')]}", state='{"old":1}')
    assert fault.code == "state_not_serialisable" and "session_state['a']['b'][0]" in fault.message


def test_commit_state_stores_at_once_and_stays_when_the_run_fails(worker: Worker) -> None:
    source = "def run():\n    print('before')\n    session_state['n'] = 1\n    commit_state()\n    session_state['n'] = 2\n    raise ValueError"
    worker.fault(source, state="{}")
    assert [json.loads(state) for state in worker.commits] == [{"n": 1}]
    done = worker.run("async def run():\n    session_state['n'] = 1\n    await commit_state()", state="{}")
    assert done.state is None


def test_a_refused_commit_raises_in_the_body(worker: Worker) -> None:
    worker.refuse_commits = "the disk is full"
    fault = worker.fault("def run():\n    session_state['n'] = 1\n    commit_state()", state="{}")
    assert (fault.type, fault.line) == ("RuntimeError", 3) and "the disk is full" in fault.message


def test_replacing_the_dict_is_answered_with_a_warning(worker: Worker) -> None:
    assert worker.run("def run():\n    global session_state\n    session_state = {'n': 1}", state="{}").state is None
    assert "replaced" in worker.messages[0]


AT_THE_END = """
from agno.agent import Agent
from agno.workflow import RunResponse, Workflow

class Greeting(Workflow):
    agent = Agent(model="openai:none")

    def run(self, name: str) -> RunResponse:
        return RunResponse(content=self.agent.run(name).content)

    async def arun(self, name: str):
        yield RunResponse(content=name)

def run() -> str:
    return "loaded"

print(Greeting().run(name="Ada").content)
print([one for one in Agent(model="openai:none").run("x", stream=True)])
"""


def test_runs_at_the_top_level_are_skipped_and_told(worker: Worker) -> None:
    inspected = worker.inspect(AT_THE_END)
    assert isinstance(inspected, wire.Inspected)
    notes = [one for one in inspected.notes if one.rule == "top_level_run"]
    assert [("Greeting.run()" in one.message, "Agent.run()" in one.message) for one in notes] == [
        (True, False),
        (False, True),
    ]
    assert all("__main__" in one.message and one.line for one in notes)


def test_all_missing_modules_are_told_at_once(worker: Worker) -> None:
    fault = worker.fault(
        "import nowhere_one\nimport dotenv_no, json\nimport faiss\nfrom nowhere_two.x import y\ndef run(): ..."
    )
    assert "no modules 'nowhere_one', 'dotenv_no', 'faiss', 'nowhere_two'" in fault.message
    assert fault.hint is not None and "-m pip install faiss-cpu." in fault.hint
    assert "pip install nowhere" not in fault.hint and "workflows.nowhere_two(...)" in fault.hint
