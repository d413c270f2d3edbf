"""`input()` and `breakpoint()` in a run, which has no terminal: the error says what to use instead. In a real worker."""

from __future__ import annotations

import pytest

from support import workers
from support.workers import Worker

shared, worker = workers.shared, workers.worker

BREAKS = ["breakpoint()", "import pdb; pdb.set_trace()", "import sys; sys.breakpointhook()"]


@pytest.mark.parametrize("source", BREAKS)
def test_n23_breakpoint_in_a_run_names_the_command_that_has_a_terminal(worker: Worker, source: str) -> None:
    fault = worker.fault(f"def run():\n x = 1\n {source}\n return x", name="talk")
    assert fault.code == "not_available" and fault.line in (3, 4), fault
    assert fault.message.startswith("breakpoint(): a run has no terminal.")
    assert "`repertoire debug talk`" in fault.message and "log.info" in (fault.hint or "")


def test_n23_input_in_a_run_says_to_ask(worker: Worker) -> None:
    fault = worker.fault("def run():\n return input('Name? ')", name="talk")
    assert fault.line == 2, fault
    assert "`ask(question)`" in fault.message and "`repertoire debug talk`" in (fault.hint or "")


def test_input_is_the_end_of_input_for_a_script_that_expects_it(worker: Worker) -> None:
    source = "def run():\n try:\n  return input()\n except EOFError:\n  return 'nobody'"
    assert worker.result(source) == "nobody"
    assert (
        worker.result(
            "def run():\n from helper import talk\n return talk()", modules={"helper": source.replace("run", "talk")}
        )
        == "nobody"
    )
