"""Bad input and bad bodies: each gives a clear error, the server stays up, and nothing stored is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from support.mcp_calls import COUNT, ECHO, call, create, eventually, made
from support.transports import Way

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("way", ["memory-modern", "stdio-legacy", "http-modern"], indirect=True, scope="module"),
]

ENVIRON = {"REPERTOIRE_WORKER_MEMORY_MB": "512", "REPERTOIRE_RUN_TIMEOUT_S": "20", "REPERTOIRE_INSPECT_TIMEOUT_S": "3"}


async def still_well(client: Client) -> None:
    answer = await made(client, "still_well", ECHO, number=7)
    assert answer["result"] == {"number": 7, "text": "x"}


async def failed(client: Client, source: str, **arguments: Any) -> dict[str, Any]:
    """Run a body that must fail; its error, after the server has shown that it is well."""
    answer = await made(client, "bad_body", source, **arguments)
    assert answer["is_error"] and answer["status"] == "failed" and answer["result"] is None, answer
    stored = await call(client, "get_run", {"run_id": answer["run_id"]})
    assert not stored["is_error"] and stored["error"] == answer["error"] and stored["events"][-1]["type"] == "run_end"
    await still_well(client)
    error: dict[str, Any] = answer["error"]
    return error


async def test_an_unknown_tool_is_a_protocol_error_that_names_close_ones(way: Way) -> None:
    async with way.client() as client:
        await create(client, "echo_it", ECHO)
        with pytest.raises(MCPError, match=r"Unknown tool: echo_if\. Did you mean echo_it"):
            await client.call_tool("echo_if", {})
        answer = await call(client, "run_workflow", {"name": "echo_if"})
        assert (
            answer["is_error"]
            and answer["error"]["code"] == "unknown_workflow"
            and "echo_it" in answer["error"]["hint"]
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["`number`", "missing", "integer"]),
        ({"number": "five"}, ["`number`", "integer", "'five'"]),
        ({"number": 1, "colour": "red"}, ["`colour`", "unknown", "number, text"]),
        ({"number": None, "text": 5}, ["`number`", "`text`", "string"]),
    ],
)
async def test_wrong_arguments_name_the_field_what_came_and_what_is_wanted(
    way: Way, arguments: dict[str, Any], words: list[str]
) -> None:
    async with way.client() as client:
        answer = await made(client, "echo_it", ECHO, **arguments)
        assert answer["is_error"] and answer["error"]["code"] == "invalid_arguments"
        assert all(word in answer["error"]["message"] for word in words), answer["error"]


@pytest.mark.parametrize(
    ("tool", "arguments", "word"),
    [
        ("search_workflows", {}, "`query`: missing"),
        ("search_workflows", {"query": "x", "limit": 0}, "`limit`"),
        ("search_workflows", {"query": 5}, "wants string"),
        ("get_run", {"run_id": "x", "wait_s": "soon"}, "`wait_s`"),
        ("run_workflow", {"name": "x", "arguments": [1]}, "`arguments`"),
        ("create_workflow", {"name": "x", "source": "y", "overwrite": True}, "`overwrite`: unknown argument"),
        ("get_run", {"run_id": "workflow:x:1"}, "no run"),
        ("cancel_run", {"run_id": "../../etc/passwd"}, "no run"),
        ("get_workflow", {"name": "../x"}, "no workflow"),
    ],
)
async def test_fixed_tools_check_their_arguments(way: Way, tool: str, arguments: dict[str, Any], word: str) -> None:
    async with way.client() as client:
        answer = await call(client, tool, arguments)
        assert answer["is_error"] and word in answer["error"]["message"], answer


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "a-b", "1x", "", "class", "list", "run_workflow", "x" * 41, "A", "list_runs"]
)
async def test_bad_names_are_refused(way: Way, name: str) -> None:
    async with way.client() as client:
        answer = await call(client, "create_workflow", {"name": name, "source": ECHO})
        assert answer["is_error"] and answer["error"]["code"] == "bad_name"


@pytest.mark.parametrize(
    ("source", "code", "word"),
    [
        ("def run(:\n    pass\n", "syntax_error", "line 1"),
        ("def go() -> int:\n    return 1\n", "no_run", "run(...)"),
        ("# " + "x" * 300_000 + "\ndef run() -> None: ...\n", "source_too_large", "262144"),
        ("import io\n\ndef run(s: io.StringIO) -> None: ...\n", "bad_signature", "`s`"),
        ("def run(session_id: str) -> None: ...\n", "bad_signature", "session_id"),
        ("import no_such_package\n\ndef run() -> None: ...\n", "import_failed", "no_such_package"),
        ("1 / 0\n\ndef run() -> None: ...\n", "import_failed", "ZeroDivisionError"),
        ("while True:\n    pass\n\ndef run() -> None: ...\n", "import_timeout", "longer than 3 s"),
        ("import os\nos._exit(3)\n\ndef run() -> None: ...\n", "worker_exit", "exit code 3"),
        ("__workflow__ = {'timeout': 5}\n\ndef run() -> None: ...\n", "bad_options", "__workflow__"),
        ("\0", "syntax_error", "null bytes"),
        ("(" * 5000, "syntax_error", ""),
        ("x = " + "-" * 100_000 + "1", "source_too_large", ""),
    ],
)
async def test_a_refused_source_says_why_and_is_not_published(way: Way, source: str, code: str, word: str) -> None:
    async with way.client() as client:
        answer = await call(client, "create_workflow", {"name": "refused", "source": source})
        assert answer["is_error"] and answer["error"]["code"] == code and word in answer["error"]["message"], answer
        assert (await call(client, "get_workflow", {"name": "refused"}))["is_error"]
        await still_well(client)


async def test_nothing_of_a_refused_source_runs(way: Way) -> None:
    mark = way.home / "ran"
    source = f"open({str(mark)!r}, 'w').close()\n\ndef stop() -> None: ...\n"
    async with way.client() as client:
        assert (await call(client, "create_workflow", {"name": "refused", "source": source}))["error"][
            "code"
        ] == "no_run"
        assert not mark.exists()


async def test_a_body_that_raises_is_answered_with_its_line(way: Way) -> None:
    async with way.client() as client:
        error = await failed(
            client, '"""Fail."""\n\ndef run(x: int) -> int:\n    y = x\n    raise ValueError(f"no {y}")\n', x=3
        )
        assert error == {"code": "exception", "type": "ValueError", "message": "no 3", "line": 5, "hint": error["hint"]}


async def test_a_body_that_never_ends_is_stopped(way: Way) -> None:
    source = '"""Loop."""\n__workflow__ = {"timeout_s": 1}\n\ndef run() -> None:\n    while True:\n        pass\n'
    async with way.client() as client:
        error = await failed(client, source)
        assert error["code"] == "timeout" and "1 s" in error["message"]


async def test_a_body_that_exits_its_process_is_named(way: Way) -> None:
    async with way.client() as client:
        error = await failed(client, '"""Exit."""\nimport os\n\ndef run() -> None:\n    os._exit(3)\n')
        assert error["code"] == "worker_exit" and "exit code 3" in error["message"]
        error = await failed(client, '"""Exit."""\nimport sys\n\ndef run() -> None:\n    sys.exit("enough")\n')
        assert error["code"] == "exit"
        error = await failed(client, '"""Exit."""\nimport os\n\ndef run() -> None:\n    os.abort()\n')
        assert error["code"] == "worker_lost"


async def test_a_body_that_eats_memory_ends_at_its_limit(way: Way) -> None:
    source = (
        '"""Eat."""\n\ndef run() -> int:\n    held = []\n    while True:\n        held.append(bytearray(10_000_000))\n'
    )
    async with way.client() as client:
        assert (await failed(client, source))["code"] in ("out_of_memory", "worker_lost")


async def test_megabytes_of_print_do_not_disturb_the_answer(way: Way) -> None:
    source = '"""Print."""\n\ndef run() -> str:\n    print("x" * 3_000_000)\n    for i in range(20_000):\n        print(i)\n    return "ok"\n'
    async with way.client() as client:
        answer = await made(client, "prints", source)
        assert answer["result"] == "ok"
        events = (await call(client, "get_run", {"run_id": answer["run_id"]}))["events"]
        assert len(events) <= 500 and max(len(event["data"].get("message", "")) for event in events) <= 70_000
        await still_well(client)


async def test_a_result_that_is_not_json_fails_the_run(way: Way) -> None:
    async with way.client() as client:
        error = await failed(
            client, '"""Odd."""\nimport threading\n\ndef run():\n    return {"lock": threading.Lock()}\n'
        )
        assert error["code"] == "result_not_json" and "lock" in error["message"]
        error = await failed(client, '"""Odd."""\n\ndef run() -> int:\n    return "many"\n')
        assert error["code"] == "result_mismatch"


async def test_a_long_result_is_paged_and_a_too_long_one_refused(way: Way) -> None:
    async with way.client() as client:
        answer = await made(
            client, "long", '"""Long."""\n\ndef run(n: int) -> str:\n    return "é" * n\n', n=5 * 1024 * 1024
        )
        assert answer["status"] == "completed" and answer["result"] is None and len(answer["result_preview"]) == 2000
        text = ""
        for part in range(1, 4):
            text += (await call(client, "get_run", {"run_id": answer["run_id"], "part": part}))["text"]
        assert text == '"' + "é" * (3 * 40_000 - 1) and answer["parts"] == 132
        beyond = await call(client, "get_run", {"run_id": answer["run_id"], "part": 133})
        assert beyond["is_error"] and "132" in beyond["error"]["hint"]
        assert (await failed(client, '"""Long."""\n\ndef run() -> str:\n    return "x" * 20_000_000\n'))[
            "code"
        ] == "result_too_large"


async def test_a_megabyte_of_argument_passes(way: Way) -> None:
    async with way.client() as client:
        answer = await made(
            client, "size", '"""Size."""\n\ndef run(text: str) -> int:\n    return len(text)\n', text="x" * (1 << 20)
        )
        assert answer["result"] == 1 << 20


async def test_failing_keeps_the_state_that_was_stored(way: Way) -> None:
    source = COUNT.replace("    return", "    if by < 0:\n        raise ValueError('negative')\n    return")
    async with way.client() as client:
        await create(client, "careful_count", source)
        first = await call(client, "careful_count", {"by": 3, "session_id": "new"})
        mine = {"session_id": first["session_id"]}
        assert (await call(client, "careful_count", {**mine, "by": -1}))["is_error"]
        assert (await call(client, "careful_count", {**mine, "by": 1}))["result"] == 4
        odd = '"""Odd."""\n\ndef run(ok: bool) -> int:\n    session_state["n"] = session_state.get("n", 0) + 1\n'
        odd += '    if not ok:\n        session_state["bad"] = [object()]\n    return session_state["n"]\n'
        await create(client, "odd_state", odd)
        assert (await call(client, "odd_state", {**mine, "ok": True}))["result"] == 1
        refused = await call(client, "odd_state", {**mine, "ok": False})
        assert refused["is_error"] and "session_state['bad'][0]" in refused["error"]["message"]
        assert (await call(client, "odd_state", {**mine, "ok": True}))["result"] == 2


async def test_commit_state_survives_a_failure(way: Way) -> None:
    source = '"""Commit."""\n\ndef run() -> int:\n    n = session_state.get("n", 0) + 1\n    session_state["n"] = n\n    commit_state()\n'
    source += '    session_state["n"] = 100\n    if n < 2:\n        raise ValueError(n)\n    return n\n'
    async with way.client() as client:
        await create(client, "commits", source)
        first = await call(client, "commits", {"session_id": "new"})
        assert first["is_error"]
        assert (await call(client, "commits", {"session_id": first["session_id"]}))["result"] == 2


async def test_broken_files_are_named_and_the_others_are_published(way: Way) -> None:
    folder = way.home / "workflows"
    (folder / "good_file.py").write_text(ECHO)
    (folder / "bad_syntax.py").write_text('"""x"""\n\ndef run(:\n')
    (folder / "bad_import.py").write_text("import no_such_package\n\ndef run() -> None: ...\n")
    (folder / "bad_hang.py").write_text("while True:\n    pass\n\ndef run() -> None: ...\n")
    (folder / "_helper.py").write_text("this is no Python")
    async with way.client() as client:

        async def reported() -> bool:
            answer = await call(client, "list_workflows", {"limit": 1000})
            broken = {file["file"].rpartition("/")[2]: file["findings"][0] for file in answer["broken"]}
            names = [workflow["name"] for workflow in answer["workflows"]]
            return (
                "good_file" in names and set(broken) == {"bad_syntax.py", "bad_import.py", "bad_hang.py"}
                and broken["bad_syntax.py"]["line"] == 3 and "longer than" in broken["bad_hang.py"]["message"]
            )  # fmt: skip

        await eventually(reported)
        refused = await call(client, "delete_workflow", {"name": "good_file"})
        assert refused["is_error"] and str(folder / "good_file.py") in refused["error"]["message"]
        taken = await call(client, "create_workflow", {"name": "good_file", "source": ECHO, "replace": True})
        assert taken["is_error"] and taken["error"]["code"] == "name_taken"
        assert (await call(client, "good_file", {"number": 1}))["status"] == "completed"


async def test_a_file_is_read_again_when_it_or_its_helper_changes(way: Way) -> None:
    folder = way.home / "workflows"
    (folder / "_answers.py").write_text("ANSWER = 1\n")
    (folder / "asks.py").write_text('"""Ask."""\nfrom _answers import ANSWER\n\ndef run() -> int:\n    return ANSWER\n')
    async with way.client() as client:

        def gives(number: int) -> Callable[[], Awaitable[bool]]:
            async def check() -> bool:
                answer = await call(client, "run_workflow", {"name": "asks"})
                return bool(answer.get("result") == number)

            return check

        await eventually(gives(1))
        (folder / "_answers.py").write_text("ANSWER = 22\n")
        await eventually(gives(22))
        (folder / "asks.py").unlink()

        async def gone() -> bool:
            return bool((await call(client, "get_workflow", {"name": "asks"}))["is_error"])

        await eventually(gone)


async def test_ten_calls_wait_their_turn_beside_one_that_blocks(way: Way) -> None:
    async with way.client() as client:
        await create(
            client, "naps", '"""Nap."""\nimport time\n\ndef run(s: float) -> float:\n    time.sleep(s)\n    return s\n'
        )
        async with anyio.create_task_group() as tasks:
            answers: list[Any] = []

            async def nap(s: float) -> None:
                answers.append((await call(client, "naps", {"s": s}))["result"])

            tasks.start_soon(nap, 0.5)
            for _ in range(10):
                tasks.start_soon(nap, 0.01)
        assert sorted(answers) == [0.01] * 10 + [0.5]
