"""Tables, times and sentences as people see them."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repertoire.cli import output
from repertoire.cli.commands_for_tools import in_commands
from repertoire.model.workflow_version import FIXED_TOOLS

SERVICE = Path(output.__file__).parents[1]


@pytest.mark.parametrize(
    ("widths", "flexible", "room", "kept"),
    [
        ([10, 10], [False, True], 80, [10, 10]),
        ([10, 100], [False, True], 80, [10, 68]),
        ([10, 40, 60], [False, True, True], 80, [10, 33, 33]),
        ([30, 30, 30], [False, False, False], 80, [30, 30]),
        ([30, 30, 100], [False, False, True], 80, [30, 30, 16]),
        ([30, 40, 100], [False, False, True], 80, [30, 40]),
        ([100, 10], [False, False], 80, [80]),
    ],
)
def test_n7_columns_become_narrow_or_are_left_out_whole(
    widths: list[int], flexible: list[bool], room: int, kept: list[int]
) -> None:
    assert output.fit(widths, flexible, room) == kept


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.118249, "118 ms"), (0.00012, "0.12 ms"), (0.0441, "44.1 ms"), (0.99999, "1 s"), (12.488231, "12.5 s"), (119.7, "2 min 0 s"),
        (3_700, "1 h 1 min"), (200_000, "2 days"),
    ],
)  # fmt: skip
def test_n21_durations_have_three_digits(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


def test_n21_times_are_relative_or_of_the_clock_here() -> None:
    now = datetime.now(UTC)
    ago = {
        5: "5 s ago",
        130: "2 min ago",
        7_300: "2 h ago",
        100_000: "27 h ago",
        200_000: "2 days ago",
        -90.5: "in 1 min",
    }
    for seconds, text in ago.items():
        assert output.when((now - timedelta(seconds=seconds)).isoformat()) == text
    assert output.when("2026-05-03T12:00:00.000Z") in ("3 May 2026", "4 May 2026")
    assert output.clock(now.isoformat().replace("+00:00", "Z")) in (
        now.astimezone().strftime("%H:%M:%S"),
        now.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
    )


@pytest.mark.parametrize(
    ("sentence", "command"),
    [
        ("get_run(run_id, wait_s) fetches it.", "`repertoire show RUN` fetches it."),
        ("get_workflow('add') shows them.", "`repertoire show add` shows them."),
        ("search_workflows and list_workflows show it.", "`repertoire search QUERY` and `repertoire list` show it."),
        ("call publish_workflow('add', '3fa1', force=true)", "call `repertoire publish add 3fa1 --force`"),
        ("`answer_run(run_id, answer)`", "`repertoire answer RUN ANSWER`"),
        ("see guide('writing')", "see the pages in docs/"),
        ("my_get_run is not a tool", "my_get_run is not a tool"),
    ],
)
def test_n11_a_tool_is_said_as_a_command(sentence: str, command: str) -> None:
    assert in_commands(sentence) == command


def test_n11_no_sentence_of_the_service_names_a_tool_at_the_terminal() -> None:
    """Every text in the code below the surfaces, as far as it is a literal."""
    tools = [name for name in FIXED_TOOLS if name != "guide"]
    seen = 0
    for folder in ("service", "registry", "engine", "model", "worker", "values"):
        for path in (SERVICE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                    seen += any(tool in node.value for tool in tools)
                    assert not any(tool in in_commands(node.value) for tool in tools), (path.name, node.value)
    assert seen >= 10


def test_json_has_escapes_for_characters_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "a\x9b2Jb\u202ec\U000e0041d\u200be é 🙂"}
    output.print_json(value)
    output.print_line(value)
    text = capsys.readouterr().out
    assert "é 🙂" in text and text.isascii() is False
    assert not any(one in text for one in "\x9b\u202e\U000e0041\u200b")
    assert json.loads(text.splitlines()[-1]) == value


def test_events_with_odd_data_are_shown() -> None:
    for kind, data in (
        ("progress", {"done": "1" * 30, "total": {}}),
        ("progress", {}),
        ("log", {"level": {"a": 1}, "message": None}),
    ):
        assert kind in output.event_line({"n": 1, "type": kind, "at": "2026-01-01T00:00:00.000Z", "data": data})
